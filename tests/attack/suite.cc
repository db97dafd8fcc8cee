// attack_suite: a real `testudo bootstrap`, or a member of a run, one attack after the other against it, and
// an honest peer that measures what they do to others. Prints a table; fails when the node stops, keeps what
// it should give back, answers the honest peer much later than without the attack, or a member's rounds do
// not go on.
//
//   attack_suite [--target join] [--seconds S] [--attack NAME]...
//     each for S seconds, after S seconds without
//
//   attack_suite --cycles N
//     N connections with whole handshakes, one after the other
//
//   attack_suite --list
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "dht/dht.h"
#include "net/async/combinators.h"
#include "net/host/network_host.h"
#include "net/services/identify.h"
#include "net/services/ping.h"
#include "tests/attack/attacks.h"
#include "tests/attack/private_network.h"
#include "tests/attack/victim.h"
#include "tools/demo_runner/child_process.h"

namespace testudo::attack {
namespace {

using namespace std::chrono_literals;
using net::Task;
using tools::ChildProcess;

// What a node may keep of an attack that is over: allocators give back late. Many attacks together must not
// add up, so that the sum is bounded as well. Sanitizers keep what was freed, up to 256 MiB of it.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr double kKeptBySanitizer = 512;
#else
constexpr double kKeptBySanitizer = 0;
#endif
constexpr double kMaxGrowthMiB = 24 + kKeptBySanitizer;
constexpr double kMaxTotalGrowthMiB = 48 + kKeptBySanitizer;
// Within so many seconds after an attack its descriptors are closed: a handshake may take ten.
constexpr net::Duration kSettle = 20s;
// A processor that others share makes anybody wait as long; ratios of less say nothing.
// A short run's tail is a handful of requests, which a compiler in the next room holds up.
constexpr double kNoiseMedian = 0.010, kNoiseTail = 0.060, kNoiseTailOfShortRuns = 0.250;
constexpr net::Duration kShortRun = 30s;
constexpr double kMaxRatio = 2;
// Of the rounds that a member applied without the attack, so many are applied with it: the attacker takes
// processor time from all members, and a round is a matter of milliseconds.
constexpr double kMinRounds = 0.25;

std::vector<std::string> problems;
void require(bool good, const std::string& what) {
  if (good) return;
  problems.push_back(what);
  fmt::print("FAILED: {}\n", what);
}

// What the process uses once it has no more descriptors than that, or after kSettle. It opens some for a
// moment itself, to count them.
Use settled(net::LibuvScheduler& scheduler, const std::function<Use()>& use, std::size_t descriptors) {
  Use last;
  wait(scheduler, kSettle, [&] {
    last = use();
    return last.descriptors <= descriptors;
  });
  return last;
}

struct Latencies {
  std::vector<double> seconds;
  std::size_t failures = 0;
  double quantile(double q) {
    if (seconds.empty()) return 0;
    std::ranges::sort(seconds);
    return seconds[std::min(seconds.size() - 1,
                            static_cast<std::size_t>(q * static_cast<double>(seconds.size())))];
  }
};

// Pings, puts and gets through the node, thirty a second, and how long each took.
class HonestPeer {
 public:
  HonestPeer(net::LibuvScheduler& scheduler, net::PeerAddress node)
      : scheduler_(scheduler),
        node_(std::move(node)),
        host_(net::make_network_host(scheduler, fresh_identity())),
        identify_(*host_),
        dht_(*host_, client()) {
    host_->peer_store().add_addresses(node_.id, node_.addresses, net::PeerStore::Source::user);
  }

  Latencies measure(net::Duration duration) {
    Latencies latencies;
    net::TaskGroup group(scheduler_);
    group.spawn(ask(duration, latencies));
    bool done = false;
    scheduler_.run_until([&] { return done || group.size() == 0; });
    return latencies;
  }

 private:
  static crypto::KeyPair fresh_identity() {
    crypto::SystemRng rng;
    return crypto::KeyPair::generate(rng);
  }
  static dht::DhtOptions client() {
    dht::DhtOptions options;
    options.server = false;
    return options;
  }
  Task<void> ask(net::Duration duration, Latencies& latencies) {
    auto joined = co_await dht_.bootstrap({node_});
    if (!joined) ++latencies.failures;
    const net::TimePoint end = scheduler_.now() + duration;
    for (std::uint64_t turn = 0; scheduler_.now() < end; ++turn) {
      const auto start = std::chrono::steady_clock::now();
      bool good = false;
      if (turn % 4 == 1) {
        auto put = co_await dht_.announce(run_, to_bytes(std::string_view("here")), 1min);
        good = put.has_value();
      } else if (turn % 4 == 3) {
        auto got = co_await dht_.run_entries(run_);
        good = got.has_value() && !got->empty();
      } else {
        auto echoed = co_await net::ping(*host_, node_.id);
        good = echoed.has_value();
      }
      latencies.seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      if (!good) ++latencies.failures;
      co_await net::sleep_for(scheduler_, 33ms);
    }
  }

  net::LibuvScheduler& scheduler_;
  net::PeerAddress node_;
  Digest run_{7};
  std::unique_ptr<net::NetworkHost> host_;
  net::IdentifyService identify_;
  dht::Dht dht_;
};

std::string endpoint_text(const net::PeerAddress& address) {
  const auto endpoint = address.addresses.front().tcp_endpoint();
  return endpoint->ip + ":" + std::to_string(endpoint->port);
}

// The attack in a process of its own, at the lowest priority, so that its own work is not what others wait
// for.
std::unique_ptr<ChildProcess> start_attacker(net::LibuvScheduler& scheduler, const std::string& name,
                                             const Victim& victim, const std::vector<std::string>& sources,
                                             const std::string& folder) {
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string(), "--attacker",
                                   name, "--endpoint", endpoint_text(victim.address())};
  for (const std::string& source : sources) command.insert(command.end(), {"--source", source});
  auto started = ChildProcess::start(scheduler, command, folder + "/attacker.log", nullptr, nullptr);
  if (!started) throw std::runtime_error(started.error().message);
  return std::move(*started);
}

void run_attack(net::LibuvScheduler& scheduler, const Attack& attack, Victim& victim, HonestPeer& honest,
                const PrivateNetwork& network, net::Duration duration, const std::string& folder) {
  const Use before = victim.use();
  auto refused = victim.refusals();
  const std::uint64_t rounds_before = victim.rounds();
  Latencies calm = honest.measure(duration);
  const std::uint64_t rounds_calm = victim.rounds() - rounds_before;
  Latencies attacked;
  double peak = 0;
  std::uint64_t rounds_attacked = 0;
  {
    const auto attacker = start_attacker(scheduler, attack.name, victim, network.attackers, folder);
    const std::uint64_t rounds_now = victim.rounds();
    attacked = honest.measure(duration);
    rounds_attacked = victim.rounds() - rounds_now;
    require(!attacker->finished(), attack.name + ": the attacker ended by itself");
    peak = victim.use().resident_mib;
  }
  const Use after = settled(scheduler, [&] { return victim.use(); }, before.descriptors);
  std::string causes;
  wait(scheduler, 1100ms, [] { return false; });  // metrics are at most a second old
  for (const auto& [limit, count] : victim.refusals()) {
    if (count > refused[limit]) causes += fmt::format(" {} {:.0f}", limit, count - refused[limit]);
  }
  const double median = attacked.quantile(0.5) / std::max(calm.quantile(0.5), 1e-6);
  const double tail = attacked.quantile(0.99) / std::max(calm.quantile(0.99), 1e-6);
  fmt::print("| {:22} | {:6.2f} | {:5.2f} | {:6.2f} | {:5.2f} | {:+6.1f} | {:+6.1f} | {:3} | {:>11} | {} |\n",
             attack.name, attacked.quantile(0.5) * 1e3, median, attacked.quantile(0.99) * 1e3, tail,
             peak - before.resident_mib, after.resident_mib - before.resident_mib,
             static_cast<int>(after.descriptors) - static_cast<int>(before.descriptors),
             victim.rounds() == 0 ? "-" : fmt::format("{} / {}", rounds_attacked, rounds_calm),
             causes.empty() ? "-" : causes.substr(1));
  std::fflush(stdout);
  require(victim.runs(), attack.name + ": the node ended");
  require(victim.rounds() == 0 || (rounds_attacked > 0 && static_cast<double>(rounds_attacked) >=
                                                              kMinRounds * static_cast<double>(rounds_calm)),
          fmt::format("{}: {} rounds were applied, {} in the same time before", attack.name, rounds_attacked,
                      rounds_calm));
  require(attacked.failures == 0 && !attacked.seconds.empty(),
          fmt::format("{}: {} of {} honest requests failed", attack.name, attacked.failures,
                      attacked.seconds.size()));
  require(median <= kMaxRatio || attacked.quantile(0.5) <= kNoiseMedian,
          fmt::format("{}: the median of honest requests is {:.2f} times what it was", attack.name, median));
  const double noise = duration < kShortRun ? kNoiseTailOfShortRuns : kNoiseTail;
  require(tail <= kMaxRatio || attacked.quantile(0.99) <= noise,
          fmt::format("{}: the 99th percentile of honest requests is {:.2f} times what it was", attack.name,
                      tail));
  require(
      after.resident_mib - before.resident_mib <= kMaxGrowthMiB,
      fmt::format("{}: the node keeps {:.1f} MiB", attack.name, after.resident_mib - before.resident_mib));
  require(after.descriptors <= before.descriptors,
          fmt::format("{}: the node keeps {} descriptors, {} before", attack.name, after.descriptors,
                      before.descriptors));
}

void run_suite(Victim::Kind kind, const std::vector<std::string>& names, net::Duration duration,
               const std::string& folder) {
  const PrivateNetwork network = enter_private_network();
  fmt::print(
      "{}; {:.0f} s without and {:.0f} s with each attack; growth of memory during it and {:.0f} s after, "
      "MiB\n\n",
      network.attackers.empty()
          ? std::string("on loopback, where limits per address do not hold")
          : fmt::format("{} attacking addresses in a network of their own", network.attackers.size()),
      net::seconds(duration), net::seconds(duration), net::seconds(kSettle));
  fmt::print(
      "| attack                 | p50 ms | ratio | p99 ms | ratio | during |  after | fds |      rounds | "
      "refused or delayed |\n");
  fmt::print(
      "|------------------------|--------|-------|--------|-------|--------|--------|-----|-------------|----"
      "-"
      "---------------|\n");
  net::LibuvScheduler scheduler;
  Victim victim(scheduler, kind, network.node, folder);
  HonestPeer honest(scheduler, victim.address());
  (void)honest.measure(2s);  // warms both up
  const Use before = victim.use();
  for (const Attack& attack : all_attacks()) {
    if (!names.empty() && std::ranges::find(names, attack.name) == names.end()) continue;
    run_attack(scheduler, attack, victim, honest, network, duration, folder);
    if (!victim.runs()) return;
  }
  const double growth = victim.use().resident_mib - before.resident_mib;
  require(growth <= kMaxTotalGrowthMiB, fmt::format("all attacks together left {:.1f} MiB", growth));
}

// Whole handshakes with fresh identities, each closed at once. The first half warms up what is bounded:
// tables of peers, the allocator.
void run_cycles(std::size_t cycles, const std::string& folder) {
  net::LibuvScheduler scheduler;
  Victim victim(scheduler, Victim::Kind::bootstrap, "127.0.0.1", folder);
  const auto endpoint = victim.address().addresses.front().tcp_endpoint();
  const Target target{endpoint->ip, endpoint->port, {}};
  const auto connect_and_leave = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      RawPeer peer(target, i);
      if (!peer.join()) require(false, fmt::format("handshake {} was refused", i));
      if (problems.size() > 3) return;
    }
  };
  const Use fresh = victim.use();
  connect_and_leave(cycles / 2);
  const Use warm = settled(scheduler, [&] { return victim.use(); }, fresh.descriptors);
  connect_and_leave(cycles);
  const Use after = settled(scheduler, [&] { return victim.use(); }, fresh.descriptors);
  fmt::print(
      "{} connections after a warm-up of {}: memory {:.1f}, {:.1f}, {:.1f} MiB (fresh, warm, after), "
      "descriptors {}, {}, {}\n",
      cycles, cycles / 2, fresh.resident_mib, warm.resident_mib, after.resident_mib, fresh.descriptors,
      warm.descriptors, after.descriptors);
  constexpr double tolerated = 2;  // MiB: a leak of 200 bytes a connection would be as much
  require(after.resident_mib - warm.resident_mib <= tolerated,
          fmt::format("memory grew by {:.1f} MiB", after.resident_mib - warm.resident_mib));
  require(after.descriptors <= fresh.descriptors, "descriptors stayed open");
  require(victim.runs(), "the node ended");
}

int attack_as(const std::string& name, const std::string& target, std::vector<std::string> sources) {
  setpriority(PRIO_PROCESS, 0, 19);
  const std::size_t colon = target.rfind(':');
  const auto found = std::ranges::find(all_attacks(), name, &Attack::name);
  if (colon == std::string::npos || found == all_attacks().end()) return 2;
  found->run({target.substr(0, colon), static_cast<std::uint16_t>(std::stoi(target.substr(colon + 1))),
              std::move(sources)});
  return 0;
}

}  // namespace

int main_of_suite(int argc, char** argv) {
  CLI::App app("Attacks on a real node, and what they do to others", "attack_suite");
  std::vector<std::string> names, sources;
  std::string attacker, endpoint, target = "bootstrap";
  double duration = 10;
  std::size_t cycles = 0;
  bool list = false;
  app.add_option("--seconds", duration, "Length of each attack, and of the calm before it")
      ->capture_default_str();
  app.add_option("--attack", names, "Only this attack (repeatable)");
  app.add_option("--target", target, "What is attacked: a bootstrap node, or a member of a run")
      ->check(CLI::IsMember({"bootstrap", "join"}))
      ->capture_default_str();
  app.add_option("--cycles", cycles, "Instead: this many connections, one after the other");
  app.add_flag("--list", list, "The attacks, one a line");
  app.add_option("--attacker", attacker)->group("");
  app.add_option("--endpoint", endpoint)->group("");
  app.add_option("--source", sources)->group("");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const Attack& attack : all_attacks()) fmt::print("{:24}{}\n", attack.name, attack.what);
    return 0;
  }
  if (!attacker.empty()) return attack_as(attacker, endpoint, sources);
  std::string folder = (std::filesystem::temp_directory_path() / "testudo-attack-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  try {
    if (cycles > 0) {
      run_cycles(cycles, folder);
    } else {
      run_suite(target == "join" ? Victim::Kind::member : Victim::Kind::bootstrap, names,
                net::from_seconds(duration), folder);
    }
  } catch (const std::exception& failed) {
    require(false, failed.what());
  }
  if (!problems.empty()) {
    fmt::print("\n{} problems; the node's log is in {}\n", problems.size(), folder);
    return 1;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}

}  // namespace testudo::attack

int main(int argc, char** argv) { return testudo::attack::main_of_suite(argc, argv); }
