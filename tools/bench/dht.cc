// Suite dht: many nodes in this process, each a real host on a socket of its own, that put and get signed
// values over connections that stay. CPU time is that of all nodes together. The baseline is what one round
// trip over plain TCP costs between two processes in the same run.
#include "dht/dht.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "crypto/base/log.h"
#include "net/services/identify.h"
#include "tools/bench/net_peer.h"
#include "tools/bench/raw_tcp.h"
#include "tools/bench/suites.h"
#include "tools/bench/worker.h"

namespace testudo::bench {
namespace {

using namespace std::chrono_literals;
using net::Task;

constexpr std::size_t in_flight = 32;
constexpr std::size_t joining_at_once = 8;
constexpr std::size_t value_bytes = 100;
constexpr net::Duration limit = 300s;

struct DhtNode {
  explicit DhtNode(net::LibuvScheduler& scheduler)
      : host(make_host(scheduler)),
        identify(*host),
        dht(std::make_unique<dht::Dht>(*host, dht::DhtOptions{})) {}
  net::PeerAddress address() const { return {host->id(), host->addresses()}; }

  std::unique_ptr<net::NetworkHost> host;
  net::IdentifyService identify;
  std::unique_ptr<dht::Dht> dht;
};

// What many tasks share that take one piece of work after another.
struct Work {
  std::size_t next = 0;
  std::vector<double> seconds;  // of each that went well
  std::size_t failed = 0;
};

class DhtBench {
 public:
  Result<void> join(std::size_t count) {
    const std::size_t before = resident_bytes(getpid());
    TRY(const auto any_port, net::Multiaddr::tcp("127.0.0.1", 0));
    for (std::size_t i = 0; i < count; ++i) {
      nodes_.push_back(std::make_unique<DhtNode>(scheduler));
      TRY(const auto bound, complete(scheduler, nodes_.back()->host->listen(any_port), limit, "listening"));
      (void)bound;
    }
    TRY_VOID(complete(scheduler, nodes_.front()->dht->bootstrap({}), limit, "the first node"));
    Work work{.next = 1};
    TRY_VOID(run(work, joining_at_once, count, &DhtBench::join_one, "joining"));
    if (work.failed > 0) return fail(ErrorCode::unreachable, "nodes could not join the DHT");
    memory_ = resident_bytes(getpid()) - before;
    return {};
  }

  using Step = Task<bool> (DhtBench::*)(std::size_t);
  // Pieces `work.next` to `end`, `width` at a time.
  Result<Cost> run(Work& work, std::size_t width, std::size_t end, Step step, const char* what) {
    const double cpu = process_cpu_seconds();
    const double wall = wall_seconds();
    {
      net::TaskGroup group(scheduler);
      for (std::size_t i = 0; i < width; ++i) group.spawn(take_pieces(work, end, step));
      bool late = false;
      const net::Timer timer = scheduler.after(limit, [&late] { late = true; });
      scheduler.run_until([&] { return late || group.size() == 0; });
      if (late) return fail(ErrorCode::timeout, std::string("dht: ") + what + " took too long");
    }
    return Cost{wall_seconds() - wall, process_cpu_seconds() - cpu};
  }

  Task<bool> join_one(std::size_t i) {
    std::vector<net::PeerAddress> bootstrap;
    bootstrap.push_back(nodes_.front()->address());
    const auto joined = co_await nodes_[i]->dht->bootstrap(std::move(bootstrap));
    co_return joined.has_value();
  }
  Task<bool> put_one(std::size_t i) {
    DhtNode& owner = *nodes_[i % nodes_.size()];
    const net::UnixTime now = scheduler.unix_now();
    const std::string key = key_of(i);
    Bytes record = dht::OwnedValue::make(owner.host->identity(), key, 1, now + 24h, Bytes(value_bytes, 1));
    const auto taken = co_await owner.dht->put(key, std::move(record));
    co_return taken.has_value();
  }
  // By another node than the one that put it.
  Task<bool> get_one(std::size_t i) {
    DhtNode& reader = *nodes_[(i * 31 + 7) % nodes_.size()];
    const std::string key = key_of(i % stored);
    const auto record = co_await reader.dht->get(key);
    co_return record&& dht::OwnedValue::open(key, *record, scheduler.unix_now()).has_value();
  }

  std::size_t memory() const { return memory_; }
  std::size_t size() const { return nodes_.size(); }
  double connections() const {
    double sum = 0;
    for (const auto& node : nodes_) sum += static_cast<double>(node->host->connected_peers().size());
    return sum / static_cast<double>(nodes_.size());
  }

  net::LibuvScheduler scheduler;
  std::size_t stored = 0;

 private:
  std::string key_of(std::size_t i) const {
    return dht::OwnedValue::key_of(nodes_[i % nodes_.size()]->host->id(), "value-" + std::to_string(i));
  }
  Task<void> take_pieces(Work& work, std::size_t end, Step step) {
    while (work.next < end) {
      const std::size_t piece = work.next++;
      const double start = wall_seconds();
      const bool well = co_await (this->*step)(piece);
      if (well) {
        work.seconds.push_back(wall_seconds() - start);
      } else {
        ++work.failed;
      }
    }
  }

  std::vector<std::unique_ptr<DhtNode>> nodes_;
  std::size_t memory_ = 0;
};

// Nodes that all know one another hold two descriptors a pair, besides their listeners.
Result<void> allow_descriptors(std::size_t nodes) {
  const rlim_t needed = nodes * nodes + 4 * nodes + 256;
  rlimit now{};
  getrlimit(RLIMIT_NOFILE, &now);
  if (now.rlim_cur >= needed) return {};
  const rlimit wanted{needed, std::max(needed, now.rlim_max)};
  if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
    return fail(ErrorCode::limit, "dht: " + std::to_string(nodes) + " nodes may need " +
                                      std::to_string(needed) +
                                      " descriptors; raise ulimit -n or take fewer nodes");
  }
  return {};
}

Figure single(double value) { return {value, value, value, 1}; }

Result<void> run_nodes(std::size_t nodes, const Options& options, Report& report) {
  report.section("dht: " + std::to_string(nodes) +
                 " nodes in one process over loopback, signed values, connections kept");
  TRY(const Scratch scratch, Scratch::make());
  DhtBench bench;
  TRY(const auto raw, Worker::start(bench.scheduler, scratch, {{"role", "raw-server"}}));
  TRY(const auto ready, raw->wait_for("ready", 10s));
  const auto port = ready.at("port").get<std::uint16_t>();

  log::info("dht: {} nodes join", nodes);
  TRY_VOID(bench.join(nodes));
  const std::size_t count = options.quick ? 40 : 320;
  const std::size_t turns = options.repeat(3);
  std::vector<double> put_rate, put_cpu, get_rate, get_cpu, raw_rate, raw_cpu, trips;
  Work one_by_one;
  std::size_t failed = 0;
  for (std::size_t turn = 0; turn < turns; ++turn) {
    log::info("dht: puts and gets, {} of {}", turn + 1, turns);
    const double cpu = process_cpu_seconds() + process_cpu_seconds(raw->pid());
    TRY(const auto plain, raw_round_trips(port, count, value_bytes));
    raw_cpu.push_back((process_cpu_seconds() + process_cpu_seconds(raw->pid()) - cpu) /
                      static_cast<double>(count));
    trips.insert(trips.end(), plain.begin(), plain.end());
    double sum = 0;
    for (const double seconds : plain) sum += seconds;
    raw_rate.push_back(static_cast<double>(count) / sum);

    Work puts{.next = bench.stored};
    TRY(const Cost put, bench.run(puts, in_flight, bench.stored + count, &DhtBench::put_one, "puts"));
    put_rate.push_back(static_cast<double>(puts.seconds.size()) / put.wall);
    put_cpu.push_back(put.cpu / static_cast<double>(count));
    bench.stored += count;
    Work gets;
    TRY(const Cost get, bench.run(gets, in_flight, count, &DhtBench::get_one, "gets"));
    get_rate.push_back(static_cast<double>(gets.seconds.size()) / get.wall);
    get_cpu.push_back(get.cpu / static_cast<double>(count));
    one_by_one.next = 0;
    TRY(const Cost single_gets,
        bench.run(one_by_one, 1, std::min<std::size_t>(count, 200), &DhtBench::get_one, "single gets"));
    (void)single_gets;
    failed += puts.failed + gets.failed;
  }
  failed += one_by_one.failed;
  if (failed > 0) report.note("dht: " + std::to_string(failed) + " puts and gets failed");

  const std::string name = "dht/" + std::to_string(nodes) + " nodes/";
  const Baseline round_trips{"round trips of plain TCP", figure(raw_rate).median};
  report.add({name + "put", figure(put_rate), "/s, 32 at once", Better::higher, round_trips, {}});
  report.add({name + "get", figure(get_rate), "/s, 32 at once", Better::higher, round_trips, {}});
  const auto microseconds = [](double seconds) { return seconds * 1e6; };
  for (const auto& [row, share] : {std::pair("get p50", 0.5), std::pair("get p99", 0.99)}) {
    report.add({name + row,
                single(quantile(one_by_one.seconds, share) * 1e6),
                "us, one by one",
                Better::lower,
                {"round trip of plain TCP", quantile(trips, share) * 1e6},
                {}});
  }
  report.add({name + "get cpu",
              mapped(figure(get_cpu), microseconds),
              "CPU us, all nodes",
              Better::lower,
              {"round trip of plain TCP", figure(raw_cpu).median * 1e6},
              {}});
  report.add({name + "memory",
              single(static_cast<double>(bench.memory()) / static_cast<double>(nodes) / 1024),
              "KiB a node",
              Better::lower,
              {"half a MiB", 512},
              1.0});
  report.note("connections a node: " + std::to_string(static_cast<int>(bench.connections())));
  return {};
}

}  // namespace

Result<void> run_dht(const Options& options, Report& report) {
  const std::size_t nodes = options.nodes > 0 ? options.nodes : options.quick ? 8 : 64;
  TRY_VOID(allow_descriptors(nodes));
  TRY_VOID(run_nodes(nodes, options, report));
  if (!options.all || options.nodes > 0) return {};
  constexpr std::size_t many = 256;
  const auto allowed = allow_descriptors(many);
  if (allowed) return run_nodes(many, options, report);
  report.note(allowed.error().message);
  return {};
}

}  // namespace testudo::bench
