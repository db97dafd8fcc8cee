// testudo simulate dht: a whole network of production DHT nodes in virtual time.

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <memory>
#include <optional>

#include "crypto/base/counted.h"
#include "crypto/base/log.h"
#include "dht/simulation/dht_simulation.h"
#include "tools/cli/checks.h"
#include "tools/cli/replay.h"
#include "tools/testudo/commands.h"
#include "training/simulation/round_simulation.h"

namespace testudo::tools {
namespace {

// A simulation that kills more often takes days.
constexpr double most_kills = 1e6;

struct DhtArguments {
  SeedOptions seeds;
  dht::DhtSimulationOptions simulation;
  double latency = 20;
  double jitter = 2;
  double downtime = 30;
  double spread = -1;

  double spread_seconds() const {
    // Where nobody dies there is nothing to wait for.
    if (spread < 0) return simulation.kills_per_minute > 0 ? 300 : 0;
    return spread;
  }
};

Result<void> check_kills(const DhtArguments& arguments) {
  const double kills = arguments.simulation.kills_per_minute * arguments.spread_seconds() / 60;
  if (kills <= most_kills) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("--churn: {:g} kills a minute over the {:g} seconds of --spread are {:.0f}; more than "
                  "{:.0f} would not end",
                  arguments.simulation.kills_per_minute, arguments.spread_seconds(), kills, most_kills));
}

class DhtPrinter final : public dht::DhtSimulationObserver {
 public:
  DhtPrinter(std::uint64_t seed, std::string prefix, Output& output, SimulationProgress& progress)
      : seed_(seed), prefix_(std::move(prefix)), output_(output), progress_(progress) {}
  void on_progress(const std::string& phase, std::size_t done, std::size_t total,
                   net::Duration virtual_time) override {
    const double seconds = net::seconds(virtual_time);
    progress_.show(fmt::format("{}{} {} of {}", prefix_, phase, done, total), seconds);
    if (done != total || phase == said_) return;  // to programs, once a phase
    said_ = phase;
    output_.say({{"event", "progress"},
                 {"seed", seed_},
                 {"phase", phase},
                 {"done", done},
                 {"total", total},
                 {"virtual_seconds", seconds}},
                "");
  }

 private:
  std::uint64_t seed_;
  std::string prefix_;
  Output& output_;
  SimulationProgress& progress_;
  std::string said_;
};

void say_report(std::uint64_t seed, const dht::DhtSimulationReport& report, Output& output) {
  const double p50 = training::quantile(report.get_seconds, 0.5);
  const double p99 = training::quantile(report.get_seconds, 0.99);
  const double virtual_seconds = net::seconds(report.virtual_time);
  std::string text = fmt::format(
      "seed {}: {} joined in {}, {} stored, {} of {} found the newest value, p50 {:.2f} s p99 {:.2f} s", seed,
      counted(report.joined, "node"), duration_text(net::seconds(report.joining_time)),
      counted(report.stored, "put"), report.newest, counted(report.attempted, "get"), p50, p99);
  if (report.lookups > 0) {
    text += fmt::format("\n        {:.2f} % of the nearest found, {:.2f} hops a lookup (full tables: {:.2f})",
                        100 * report.nearest, report.hops, report.full_table_hops);
  }
  text += fmt::format(
      "\n        {} requests, {} failed, {} segments; a node: {:.0f} peers in its table, {:.0f} connections; "
      "{} of "
      "virtual time",
      report.requests, report.failed_requests, report.segments, report.table_size, report.connections,
      duration_text(virtual_seconds));
  if (report.kills > 0) text += fmt::format(", killed {}", report.kills);
  output.say({{"event", "done"},
              {"seed", seed},
              {"held", report.broken.empty()},
              {"joined", report.joined},
              {"stored", report.stored},
              {"gets", report.attempted},
              {"newest", report.newest},
              {"older", report.older},
              {"get_seconds_p50", p50},
              {"get_seconds_p99", p99},
              {"lookups", report.lookups},
              {"nearest", report.nearest},
              {"hops", report.hops},
              {"full_table_hops", report.full_table_hops},
              {"kills", report.kills},
              {"requests", report.requests},
              {"failed_requests", report.failed_requests},
              {"segments", report.segments},
              {"table_size", report.table_size},
              {"connections", report.connections},
              {"virtual_seconds", virtual_seconds},
              {"trace", fmt::format("{:016x}", report.trace)}},
             text);
}

std::uint64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

Result<void> simulate_networks(const DhtArguments& arguments, const CLI::App& command, Output& output) {
  end_with_reader();
  TRY(const auto seeds, chosen_seeds(arguments.seeds));
  std::optional<log::Sink> errors_only;
  if (command.get_parent()->get_parent()->count("--log-level") == 0) errors_only.emplace(LogLevel::error);
  SimulationProgress progress;
  std::size_t failed = 0;
  std::string replay;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    dht::DhtSimulationOptions options = arguments.simulation;
    options.seed = seeds[i];
    options.latency = net::from_seconds(arguments.latency / 1000);
    options.jitter = net::from_seconds(arguments.jitter / 1000);
    options.downtime = net::from_seconds(arguments.downtime);
    options.spread = net::from_seconds(arguments.spread_seconds());
    const std::string prefix =
        seeds.size() > 1 ? fmt::format("seed {} ({} of {}): ", seeds[i], i + 1, seeds.size()) : std::string();
    DhtPrinter printer(seeds[i], prefix, output, progress);
    const auto report = dht::simulate_dht(options, &printer);
    progress.add_run(net::seconds(report.virtual_time));
    const std::string line = replay_line(command, seeds[i]);
    for (const dht::BrokenProperty& broken : report.broken) {
      output.say({{"event", "property_failed"},
                  {"seed", seeds[i]},
                  {"property", broken.property},
                  {"what", broken.what},
                  {"replay", line},
                  {"version", TESTUDO_VERSION}},
                 fmt::format("seed {}: PROPERTY FAILED: {}: {}", seeds[i], broken.property, broken.what));
    }
    if (!report.broken.empty()) {
      ++failed;
      if (replay.empty()) replay = line;
      if (!output.json()) output.say(Json(), fmt::format("replay: {}  # testudo {}", line, TESTUDO_VERSION));
    }
    say_report(seeds[i], report, output);
  }
  const auto a_node = peak_memory() / std::max<std::size_t>(arguments.simulation.nodes, 1);
  progress.say(fmt::format("{}; at most {} of memory, {} a node", progress.summary(),
                           bytes_text(peak_memory()), bytes_text(a_node)));
  if (failed == 0) return {};
  return fail(ErrorCode::internal, fmt::format("a property failed in {} of {}; repeat the first with: {}",
                                               failed, counted(seeds.size(), "run"), replay));
}

}  // namespace

void add_simulate_dht(Program& program, CLI::App* group) {
  auto arguments = std::make_shared<DhtArguments>();
  auto self = std::make_shared<CLI::App*>(nullptr);
  CLI::App* command = program.add(
      "dht", "A whole network of DHT nodes",
      R"(Every node is the one of testudo bootstrap; the network, time and randomness are simulated. The nodes join through
one, write values twice and read them, and look for the nearest to random places, while nodes are killed and
restarted if --churn says so. It is checked that readers get the newest value, that lookups find the nearest
and take no more hops than with full tables. A property that fails is printed with the line that repeats the
run, and the exit code is 1. stdout depends on the options alone; speed and memory are said on stderr.

Example:  testudo simulate dht --nodes 1000
          testudo simulate dht --nodes 200 --churn 10 --loss 0.02 --seeds 20)",
      [arguments, self](Output& output) { return simulate_networks(*arguments, **self, output); }, group);
  *self = command;
  DhtArguments& a = *arguments;
  const auto option = [command](const char* name, auto& value, const char* what) {
    return command->add_option(name, value, what)->capture_default_str();
  };
  add_seed_options(*command, a.seeds);
  option("--nodes", a.simulation.nodes, "Nodes")->check(CLI::Range(2, 1'000'000));
  option("--puts", a.simulation.puts, "Values, each written twice")->check(CLI::Range(0, 1'000'000));
  option("--gets", a.simulation.gets, "Reads of them")->check(CLI::Range(0, 1'000'000));
  option("--lookups", a.simulation.lookups, "Lookups of what is nearest to a random place")
      ->check(CLI::Range(0, 1'000'000));
  option("--loss", a.simulation.loss, "Share of packets that are lost, and sent again")
      ->check(finite_range(0.0, 0.9));
  option("--latency", a.latency, "Milliseconds, one way between two nodes")
      ->check(finite_range(0.0, 60'000.0));
  option("--jitter", a.jitter, "Milliseconds at most that a segment is late")
      ->check(finite_range(0.0, 60'000.0));
  option("--churn", a.simulation.kills_per_minute, "kill -9 of a node, so many times a minute")
      ->check(finite_range(0.0, 1e6));
  option("--downtime", a.downtime, "Seconds on average until it is started again, empty")
      ->check(finite_range(0.0, 36e3));
  option("--spread", a.spread,
         "Seconds over which writes, reads and lookups are spread; -1: 300 with churn, else none")
      ->check(finite_range(-1.0, 1e6));
  check_together(*command, [arguments] { return check_kills(*arguments); });
}

}  // namespace testudo::tools
