// Suite net: connections and streams of ours against plain TCP and the bare cryptography. The client is this
// process, each server a process of its own; CPU time is that of both together.
#include <unistd.h>

#include <array>

#include "crypto/aead.h"
#include "crypto/dh.h"
#include "crypto/hash.h"
#include "tools/bench/net_peer.h"
#include "tools/bench/raw_tcp.h"
#include "tools/bench/suites.h"
#include "tools/bench/worker.h"

namespace testudo::bench {
namespace {

using namespace std::chrono_literals;
using net::Task;

constexpr net::Duration start_limit = 10s;
constexpr net::Duration step_limit = 120s;
constexpr std::size_t message = 32;  // of a round trip: what libp2p's ping sends

// The two servers and how to measure against them.
class Bench {
 public:
  static Result<std::unique_ptr<Bench>> start() {
    TRY(Scratch scratch, Scratch::make());
    std::unique_ptr<Bench> bench(new Bench(std::move(scratch)));
    TRY(bench->raw_, bench->start_worker("raw-server"));
    TRY(const auto ready, bench->raw_->wait_for("ready", start_limit));
    bench->raw_port = ready.at("port").get<std::uint16_t>();
    TRY_VOID(bench->restart_server());
    return bench;
  }
  // A server with nothing in its memory yet.
  Result<void> restart_server() {
    TRY(server_, start_worker("net-server"));
    TRY(const auto ready, server_->wait_for("ready", start_limit));
    TRY(server, net::parse_peer_address(ready.at("address").get<std::string>()));
    return {};
  }
  // Wall seconds of `work`, and CPU seconds of both ends.
  template <typename Work>
  Result<Cost> cost(bool raw, Work work) {
    const pid_t other = raw ? raw_->pid() : server_->pid();
    const double cpu = process_cpu_seconds() + process_cpu_seconds(other);
    const double wall = wall_seconds();
    TRY_VOID(work());
    return Cost{wall_seconds() - wall, process_cpu_seconds() + process_cpu_seconds(other) - cpu};
  }
  template <typename T>
  Result<T> complete(Task<Result<T>> task, const char* what) {
    return bench::complete(scheduler, std::move(task), step_limit, what);
  }
  Result<std::unique_ptr<net::NetworkHost>> connected_host(std::optional<bool> seal_on_pool = std::nullopt) {
    auto host = make_host(scheduler, seal_on_pool);
    TRY_VOID(complete(host->connect(server.id, server.addresses), "connecting"));
    return host;
  }
  std::size_t server_memory() const { return resident_bytes(server_->pid()); }

  net::LibuvScheduler scheduler;
  net::PeerAddress server;
  std::uint16_t raw_port = 0;

 private:
  explicit Bench(Scratch scratch) : scratch_(std::move(scratch)) {}
  Result<std::unique_ptr<Worker>> start_worker(const char* role) {
    return Worker::start(scheduler, scratch_, {{"role", role}});
  }

  Scratch scratch_;
  std::unique_ptr<Worker> raw_;
  std::unique_ptr<Worker> server_;
};

// CPU seconds to seal and open a GiB in frames as Noise has them.
double cipher_seconds_per_gibi(std::size_t bytes) {
  constexpr std::size_t frame = std::size_t{64} * 1024;
  Bytes buffer(frame + crypto::Aead::kTagSize, 1);
  const MutableByteView plain = MutableByteView(buffer).first(frame);
  crypto::Aead aead(crypto::sha256(as_bytes("benchmark")));
  const double start = thread_cpu_seconds();
  for (std::size_t i = 0; i < bytes / frame; ++i) {
    aead.seal(i, {}, plain, buffer);
    keep(aead.open(i, {}, buffer, plain));
  }
  return (thread_cpu_seconds() - start) * gibi / static_cast<double>(bytes);
}

struct Way {
  std::size_t connections;
  std::size_t streams;  // of each connection
};

Result<Cost> send_ours(Bench& bench, const Way& way, std::size_t bytes) {
  std::vector<std::unique_ptr<net::NetworkHost>> hosts;
  for (std::size_t i = 0; i < way.connections; ++i) {
    TRY(auto host, bench.connected_host());
    hosts.push_back(std::move(host));
  }
  return bench.cost(false, [&]() -> Result<void> {
    std::vector<Task<Result<void>>> tasks;
    for (const auto& host : hosts) {
      tasks.push_back(send_over(*host, bench.server.id, way.streams, bytes / way.connections / way.streams));
    }
    std::vector<std::optional<Result<void>>> results(tasks.size());
    net::TaskGroup group(bench.scheduler);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      group.spawn(complete_into(
          net::with_timeout(bench.scheduler, step_limit, std::move(tasks[i]), "sending"), results[i]));
    }
    bench.scheduler.run_until([&group] { return group.size() == 0; });
    for (auto& result : results) {
      TRY_VOID(*std::move(result));
    }
    return {};
  });
}

Result<void> add_throughput(const Options& options, Report& report, Bench& bench) {
  const std::size_t bytes = std::size_t{options.quick ? 16U : 1024U} << 20;
  const std::vector<Way> ways = {{1, 1}, {1, 16}, {4, 1}, {4, 4}};
  struct Samples {
    std::vector<double> speed, raw_speed, cpu, raw_cpu;
  };
  std::vector<Samples> samples(ways.size());
  std::vector<double> cipher;
  const double gibis = static_cast<double>(bytes) / gibi;
  for (std::size_t turn = 0; turn < options.repeat(5); ++turn) {
    cipher.push_back(cipher_seconds_per_gibi(bytes / 4));
    for (std::size_t i = 0; i < ways.size(); ++i) {
      TRY(const Cost raw, bench.cost(true, [&] {
        return raw_send(bench.raw_port, ways[i].connections, bytes / ways[i].connections);
      }));
      TRY(const Cost ours, send_ours(bench, ways[i], bytes));
      samples[i].speed.push_back(gibis * 1024 / ours.wall);
      samples[i].raw_speed.push_back(gibis * 1024 / raw.wall);
      samples[i].cpu.push_back(ours.cpu / gibis);
      samples[i].raw_cpu.push_back(raw.cpu / gibis);
    }
  }
  const Figure ciphering = figure(cipher);
  report.add({"net/floor/seal + open",
              ciphering,
              "CPU s/GiB",
              Better::lower,
              {"plain TCP, 1 connection", figure(samples[0].raw_cpu).median},
              {}});
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const std::string name = "net/stream/" + std::to_string(ways[i].connections) + " connections x " +
                             std::to_string(ways[i].streams) + " streams";
    report.add({name + "/wall",
                figure(samples[i].speed),
                "MiB/s",
                Better::higher,
                {"plain TCP", figure(samples[i].raw_speed).median},
                {}});
    report.add({name + "/cpu",
                figure(samples[i].cpu),
                "CPU s/GiB",
                Better::lower,
                {"seal + open + plain TCP", ciphering.median + figure(samples[i].raw_cpu).median},
                1.3});
  }
  return {};
}

// What sending costs the loop thread, which everything else waits for, when the pool seals and when it does
// not: writes as long as a part.
Result<void> add_sealing(const Options& options, Report& report, Bench& bench) {
  constexpr std::size_t part = std::size_t{8} << 20;
  const std::size_t bytes = options.quick ? 2 * part : 64 * part;
  const double gibis = static_cast<double>(bytes) / gibi;
  std::array<std::vector<double>, 2> loop, speed, cpu;  // on the loop, on the pool
  for (std::size_t turn = 0; turn < options.repeat(5); ++turn) {
    for (const bool on_pool : {false, true}) {
      TRY(const auto host, bench.connected_host(on_pool));
      const double before = thread_cpu_seconds();
      TRY(const Cost cost, bench.cost(false, [&] {
        return bench.complete(send_over(*host, bench.server.id, 1, bytes, part), "sending");
      }));
      loop[on_pool].push_back((thread_cpu_seconds() - before) / gibis);
      cpu[on_pool].push_back(cost.cpu / gibis);
      speed[on_pool].push_back(gibis * 1024 / cost.wall);
    }
  }
  const auto add = [&](const char* what, const char* unit, Better better, const auto& values) {
    report.add({std::string("net/sealing on the pool/") + what,
                figure(values[1]),
                unit,
                better,
                {"sealing on the loop", figure(values[0]).median},
                {}});
  };
  add("loop", "CPU s/GiB, sender's loop", Better::lower, loop);
  add("cpu", "CPU s/GiB", Better::lower, cpu);
  add("wall", "MiB/s", Better::higher, speed);
  return {};
}

// CPU seconds of what Noise XX and libp2p's signed keys cannot do without, both sides together.
double handshake_primitives() {
  crypto::SystemRng rng;
  const auto identity = crypto::KeyPair::generate(rng);
  const Bytes text(59, 1);  // libp2p's prefix and the Noise key
  constexpr std::size_t count = 20;
  const double start = thread_cpu_seconds();
  for (std::size_t i = 0; i < 2 * count; ++i) {
    const auto ephemeral = crypto::DhKeyPair::generate(rng);  // one X25519, and three to agree
    for (int agreement = 0; agreement < 3; ++agreement) {
      keep(ephemeral.agree(ephemeral.public_key()).has_value());
    }
    const auto signature = identity.sign(text);
    keep(identity.public_key().verify(text, signature));
  }
  return (thread_cpu_seconds() - start) / count;
}

Task<Result<void>> handshake_once(net::Host& host, net::PeerAddress server) {
  CO_TRY_VOID(co_await host.connect(server.id, server.addresses));
  CO_TRY(const auto trip, co_await round_trips(host, server.id, 1, 1));
  (void)trip;
  host.disconnect(server.id);
  co_return Result<void>();
}

Task<Result<void>> handshakes(net::Host& host, net::PeerAddress server, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    CO_TRY_VOID(co_await handshake_once(host, server));
  }
  co_return Result<void>();
}

Result<void> add_handshakes(const Options& options, Report& report, Bench& bench) {
  const std::size_t count = options.quick ? 10 : 200;
  std::vector<double> rate, cpu, primitives;
  const auto host = make_host(bench.scheduler);
  for (std::size_t turn = 0; turn <= options.repeat(5); ++turn) {
    const double bare = handshake_primitives();
    TRY(const Cost cost, bench.cost(false, [&] {
      return bench.complete(handshakes(*host, bench.server, count), "handshakes");
    }));
    if (turn == 0) continue;  // warms both ends
    primitives.push_back(bare * 1e6);
    rate.push_back(static_cast<double>(count) / cost.wall);
    cpu.push_back(cost.cpu / static_cast<double>(count) * 1e6);
  }
  const double bare = figure(primitives).median;
  report.add({"net/handshake/cpu",
              figure(cpu),
              "CPU us, 2 ends",
              Better::lower,
              {"2 x (4 X25519 + sign + verify)", bare},
              2.0});
  report.add({"net/handshake/rate",
              figure(rate),
              "/s, one by one",
              Better::higher,
              {"that cryptography alone, one core", 1e6 / bare},
              {}});
  return {};
}

Result<void> add_latency(const Options& options, Report& report, Bench& bench) {
  // Many short turns: what disturbs the machine for a while disturbs all three.
  const std::size_t count = options.quick ? 20 : 200;
  const std::size_t turns = options.quick ? 5 : 20 * options.repeat(3);
  TRY(const auto host, bench.connected_host());
  std::vector<double> raw, ours, request;
  const auto take = [](std::vector<double>& all, const std::vector<double>& more) {
    for (const double seconds : more) all.push_back(seconds * 1e6);
  };
  for (std::size_t turn = 0; turn < turns; ++turn) {
    TRY(const auto plain, raw_round_trips(bench.raw_port, count, message));
    TRY(const auto trips, bench.complete(round_trips(*host, bench.server.id, count, message), "round trips"));
    TRY(const auto asked, bench.complete(requests(*host, bench.server.id, count, message), "requests"));
    take(raw, plain);
    take(ours, trips);
    take(request, asked);
  }
  for (const auto& [name, share] : {std::pair("p50", 0.5), std::pair("p99", 0.99)}) {
    const double baseline = quantile(raw, share);
    const auto value = [share](const std::vector<double>& all) {
      const double found = quantile(all, share);
      return Figure{found, found, found, 1};
    };
    report.add({std::string("net/round trip/") + name,
                value(ours),
                "us",
                Better::lower,
                {"plain TCP", baseline},
                {}});
    report.add({std::string("net/request, new stream/") + name,
                value(request),
                "us",
                Better::lower,
                {"plain TCP, no new connection", baseline},
                {}});
  }
  return {};
}

// What an idle connection holds at the server, which was started for this and has seen nothing else.
Result<void> add_memory(const Options& options, Report& report, Bench& bench) {
  const std::size_t count = options.quick ? 50 : 500;
  TRY_VOID(bench.restart_server());
  {
    // The first ones also make what all others share.
    std::vector<std::unique_ptr<net::NetworkHost>> hosts;
    for (std::size_t i = 0; i < 8; ++i) {
      TRY(auto host, bench.connected_host());
      hosts.push_back(std::move(host));
    }
    const std::size_t before = bench.server_memory();
    for (std::size_t i = 0; i < count; ++i) {
      TRY(auto host, bench.connected_host());
      hosts.push_back(std::move(host));
    }
    const std::size_t after = bench.server_memory();
    const double each =
        (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(count) / 1024;
    report.add({"net/idle connection/memory",
                {each, each, each, 1},
                "KiB, server",
                Better::lower,
                {"one Noise frame", static_cast<double>(crypto::kNoiseMaxMessage + 1) / 1024},
                1.0});
  }
  return {};
}

}  // namespace

Result<void> run_net(const Options& options, Report& report) {
  report.section("net: two processes over loopback, CPU time of both");
  TRY(const auto bench, Bench::start());
  TRY_VOID(add_memory(options, report, *bench));
  TRY_VOID(add_handshakes(options, report, *bench));
  TRY_VOID(add_latency(options, report, *bench));
  TRY_VOID(add_throughput(options, report, *bench));
  return add_sealing(options, report, *bench);
}

}  // namespace testudo::bench
