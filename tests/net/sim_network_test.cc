#include "net/sim/sim_network.h"

#include <doctest/doctest.h>

#include "net/async/combinators.h"

namespace testudo::net {
namespace {

constexpr auto echo_protocol = "/test/echo";

Task<void> echo(std::unique_ptr<Stream> stream) {
  Bytes buffer(64 * 1024);
  while (true) {
    auto read = co_await stream->read_some(buffer);
    if (!read || *read == 0) break;
    auto written = co_await stream->write(ByteView(buffer).first(*read));
    if (!written) co_return;
  }
  stream->close_write();
}

Task<void> say(Stream& stream, Bytes message) {
  auto written = co_await stream.write(message);
  if (written) stream.close_write();
}

// Reads while it writes: an echo longer than the windows would wait for its reader otherwise.
Task<Result<Bytes>> ask(Host& host, PeerId peer, std::string protocol, Bytes message) {
  CO_TRY(auto stream, co_await host.open_stream(peer, protocol));
  TaskGroup writing(host.scheduler());
  writing.spawn(say(*stream, std::move(message)));
  Bytes answer;
  Bytes buffer(4096);
  while (true) {
    CO_TRY(const std::size_t read, co_await stream->read_some(buffer));
    if (read == 0) co_return answer;
    append(answer, ByteView(buffer).first(read));
  }
}
template <typename T>
Task<void> store(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await task);
}
template <typename T>
T run(SimScheduler& scheduler, Task<T> task, Duration limit = 10min) {
  std::optional<T> out;
  TaskGroup group(scheduler);
  group.spawn(store(std::move(task), out));
  REQUIRE(scheduler.run_for([&] { return out.has_value(); }, limit));
  return std::move(*out);
}

struct Pair {
  explicit Pair(SimOptions options = {}, SimHostOptions host = {})
      : network(scheduler, options), a(network.add_host(host)), b(network.add_host(host)) {
    a.peer_store().add_addresses(b.id(), b.addresses(), PeerStore::Source::user);
    b.set_handler(echo_protocol, echo);
  }
  SimScheduler scheduler;
  SimNetwork network;
  SimHost& a;
  SimHost& b;
};

TEST_CASE("a simulated stream carries bytes both ways and closes half by half") {
  Pair pair;
  Bytes message(1'500'000);
  pair.a.rng().fill(message);
  auto answer = run(pair.scheduler, ask(pair.a, pair.b.id(), echo_protocol, message));
  REQUIRE(answer.has_value());
  CHECK(*answer == message);
  CHECK(pair.a.is_connected(pair.b.id()));
  CHECK(pair.a.traffic().bytes_sent >= message.size());
  CHECK(pair.a.traffic_with(pair.b.id()).bytes_received >= message.size());
  CHECK(pair.a.peer_store().speaks(pair.b.id(), echo_protocol));
}

TEST_CASE("a protocol that the other side does not speak is not found") {
  Pair pair;
  auto answer = run(pair.scheduler, ask(pair.a, pair.b.id(), "/test/other", to_bytes("x")));
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().code == ErrorCode::not_found);
}

TEST_CASE("dialling says which address failed and why") {
  Pair pair;
  SimHost& c = pair.network.add_host();
  const PeerId nobody = crypto::KeyPair::generate(pair.a.rng()).peer_id();
  auto unknown = run(pair.scheduler, pair.a.connect(nobody, {}));
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().message.find("no address is known") != std::string::npos);
  auto wrong = run(pair.scheduler, pair.a.connect(nobody, c.addresses()));
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().message.find("/ip4/10.0.0.3/tcp/4001") != std::string::npos);
  CHECK(wrong.error().message.find(c.id().to_text()) != std::string::npos);
  pair.a.ban(pair.b.id());
  auto banned = run(pair.scheduler, pair.a.connect(pair.b.id(), {}));
  CHECK(banned.error().code == ErrorCode::refused);
}

TEST_CASE("latency and bandwidth take the time they should") {
  SimOptions options;
  options.jitter = 0ns;
  SimHostOptions host;
  host.latency = 25ms;
  host.upload = 1e6;
  Pair pair(options, host);
  const TimePoint start = pair.scheduler.now();
  auto answer = run(pair.scheduler, ask(pair.a, pair.b.id(), echo_protocol, Bytes(1'000'000)));
  REQUIRE(answer.has_value());
  // 3 round trips to connect, one to open, a second of upload, and the same back while it arrives; until the
  // windows have grown, credit waits behind the data on the upload.
  const double took = seconds(pair.scheduler.now() - start);
  CHECK(took > 1.4);
  CHECK(took < 2.0);
}

Task<void> write_all(std::unique_ptr<Stream>& stream, Bytes data, bool& done) {
  auto written = co_await stream->write(data);
  done = written.has_value();
}
Task<void> keep(std::unique_ptr<Stream> stream, std::unique_ptr<Stream>& out) {
  out = std::move(stream);
  co_return;
}

namespace {

// Reads until the end; notes when each MiB was complete.
Task<void> note_progress(std::unique_ptr<Stream> stream, Scheduler& scheduler,
                         std::vector<TimePoint>& mebis) {
  Bytes buffer(256 * 1024);
  for (std::size_t total = 0;;) {
    auto read = co_await stream->read_some(buffer);
    if (!read || *read == 0) co_return;
    total += *read;
    while (mebis.size() < total / (1024 * 1024)) mebis.push_back(scheduler.now());
  }
}

}  // namespace

TEST_CASE("one stream fills a line of 1 Gbit/s with a round trip of 100 ms, soon") {
  SimHostOptions host;
  host.latency = 25ms;
  host.upload = host.download = 125e6;
  SimOptions options;
  options.jitter = 0ns;
  Pair pair(options, host);
  std::vector<TimePoint> mebis;
  pair.b.set_handler("/test/fill", [&](std::unique_ptr<Stream> stream) {
    return note_progress(std::move(stream), pair.scheduler, mebis);
  });
  auto stream = run(pair.scheduler, pair.a.open_stream(pair.b.id(), "/test/fill"));
  REQUIRE(stream.has_value());
  const TimePoint start = pair.scheduler.now();
  bool done = false;
  TaskGroup group(pair.scheduler);
  group.spawn(write_all(*stream, Bytes(192 * 1024 * 1024), done));
  REQUIRE(pair.scheduler.run_for([&] { return mebis.size() == 192; }, 60s));
  const double line = 125e6 / 1024 / 1024;  // MiB a second
  // The last half, and all of it with the time that the window took to grow.
  CHECK(96 / seconds(mebis[191] - mebis[95]) > 0.95 * line);
  CHECK(192 / seconds(mebis[191] - start) > 0.6 * line);
}

TEST_CASE("a writer waits for its slow reader, and goes on when it reads") {
  SimOptions options;
  options.stream_window = 10'000;
  Pair pair(options);
  std::unique_ptr<Stream> inbound;
  pair.b.set_handler("/test/keep",
                     [&](std::unique_ptr<Stream> stream) { return keep(std::move(stream), inbound); });
  auto opened = run(pair.scheduler, pair.a.open_stream(pair.b.id(), "/test/keep"));
  REQUIRE(opened.has_value());
  bool done = false;
  TaskGroup group(pair.scheduler);
  group.spawn(write_all(*opened, Bytes(25'000), done));
  pair.scheduler.run_for(10s);
  CHECK_FALSE(done);
  Bytes buffer(25'000);
  auto read = run(pair.scheduler, read_exactly(*inbound, buffer));
  CHECK(read.has_value());
  CHECK(done);
}

TEST_CASE("a reset and a lost stream fail the other side's reads") {
  Pair pair;
  std::unique_ptr<Stream> inbound;
  pair.b.set_handler("/test/keep",
                     [&](std::unique_ptr<Stream> stream) { return keep(std::move(stream), inbound); });
  auto opened = run(pair.scheduler, pair.a.open_stream(pair.b.id(), "/test/keep"));
  REQUIRE(opened.has_value());
  (*opened)->reset();
  Bytes buffer(1);
  auto read = run(pair.scheduler, inbound->read_some(buffer));
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().message.find(pair.a.id().to_text()) != std::string::npos);
}

TEST_CASE("a crash breaks connections, and after a restart the host can be dialled again") {
  Pair pair;
  std::vector<bool> seen;
  pair.a.observe_connections([&](const PeerId& peer, bool connected) {
    CHECK(peer == pair.b.id());
    seen.push_back(connected);
  });
  REQUIRE(run(pair.scheduler, ask(pair.a, pair.b.id(), echo_protocol, to_bytes("x"))).has_value());
  pair.network.crash(pair.b);
  pair.scheduler.run_for(1s);
  CHECK(seen == std::vector<bool>{true, false});
  auto down = run(pair.scheduler, ask(pair.a, pair.b.id(), echo_protocol, to_bytes("x")));
  REQUIRE_FALSE(down.has_value());
  CHECK(down.error().code == ErrorCode::unreachable);
  pair.network.restart(pair.b);
  pair.b.set_handler(echo_protocol, echo);
  CHECK(run(pair.scheduler, ask(pair.a, pair.b.id(), echo_protocol, to_bytes("x"))).has_value());
}

TEST_CASE("a partition cuts, or holds back what is under way until it heals") {
  Pair pair;
  REQUIRE(run(pair.scheduler, pair.a.connect(pair.b.id(), {})).has_value());
  pair.network.partition({{&pair.b}}, SimNetwork::Across::stalls);
  std::optional<Result<Bytes>> answer;
  TaskGroup group(pair.scheduler);
  group.spawn(store(ask(pair.a, pair.b.id(), echo_protocol, to_bytes("late")), answer));
  pair.scheduler.run_for(1min);
  CHECK_FALSE(answer.has_value());
  pair.network.heal();
  pair.scheduler.run_for(1s);
  REQUIRE(answer.has_value());
  CHECK(answer->has_value());
  pair.network.partition({{&pair.b}});
  CHECK_FALSE(pair.a.is_connected(pair.b.id()));
  CHECK_FALSE(run(pair.scheduler, pair.a.connect(pair.b.id(), {})).has_value());
  pair.network.heal();
  CHECK(run(pair.scheduler, pair.a.connect(pair.b.id(), {})).has_value());
}

std::uint64_t trace_of(std::uint64_t seed) {
  SimOptions options;
  options.seed = seed;
  options.loss = 0.05;
  SimScheduler scheduler;
  SimNetwork network(scheduler, options);
  for (int i = 0; i < 20; ++i) network.add_host().set_handler(echo_protocol, echo);
  TaskGroup group(scheduler);
  std::vector<std::optional<Result<Bytes>>> answers(20);
  for (std::size_t i = 0; i < 20; ++i) {
    SimHost& from = *network.hosts()[i];
    SimHost& to = *network.hosts()[(i * 7 + 3) % 20];
    if (&from == &to) continue;
    from.peer_store().add_addresses(to.id(), to.addresses(), PeerStore::Source::user);
    group.spawn(store(ask(from, to.id(), echo_protocol, Bytes(50'000)), answers[i]));
  }
  scheduler.run_for(5min);
  CHECK(group.size() == 0);
  return network.trace();
}

TEST_CASE("the same seed gives the same trace, another seed another one") {
  CHECK(trace_of(1) == trace_of(1));
  CHECK(trace_of(1) != trace_of(2));
}

TEST_CASE("streams that outlive their network fail and do no harm") {
  SimScheduler scheduler;
  std::unique_ptr<Stream> left;
  {
    SimNetwork network(scheduler, {});
    SimHost& a = network.add_host();
    SimHost& b = network.add_host();
    b.set_handler(echo_protocol, echo);
    a.peer_store().add_addresses(b.id(), b.addresses(), PeerStore::Source::user);
    auto opened = run(scheduler, a.open_stream(b.id(), echo_protocol));
    REQUIRE(opened.has_value());
    left = std::move(*opened);
  }
  auto written = run(scheduler, left->write(Bytes(10)));
  CHECK_FALSE(written.has_value());
}

}  // namespace
}  // namespace testudo::net
