#include <doctest/doctest.h>

#include <map>
#include <optional>

#include "net/async/combinators.h"
#include "net/messages/service.h"
#include "net/sim/sim_network.h"

namespace testudo::net {
namespace {

struct RoundTag {};
using Round = Strong<RoundTag>;

struct Inner {
  std::string name;
  Bytes bytes;
  MSGPACK_DEFINE(name, bytes)
  bool operator==(const Inner&) const = default;
};
struct Sample {
  PeerId peer;
  Digest digest{};
  Round round;
  std::vector<Inner> inner;
  std::map<std::string, std::int64_t> numbers;
  std::optional<double> maybe;
  MSGPACK_DEFINE(peer, digest, round, inner, numbers, maybe)
  bool operator==(const Sample&) const = default;
};

Sample sample() {
  crypto::SeededRng rng(7);
  Sample value;
  value.peer = crypto::KeyPair::generate(rng).peer_id();
  rng.fill(value.digest);
  value.round = Round(300);
  value.inner = {{"a", {1, 2, 3}}, {"", {}}};
  value.numbers = {{"x", -5}, {"y", 1'000'000'000'000}};
  value.maybe = 0.5;
  return value;
}

TEST_CASE("messages come back as they were packed") {
  const Sample value = sample();
  auto back = unpack<Sample>(pack(value));
  REQUIRE(back.has_value());
  CHECK(*back == value);
}

TEST_CASE("every cut and every appended byte of a message is refused") {
  const Bytes packed = pack(sample());
  for (std::size_t size = 0; size < packed.size(); ++size) {
    CHECK_FALSE(unpack<Sample>(ByteView(packed).first(size)).has_value());
  }
  Bytes longer = packed;
  longer.push_back(0xc0);
  CHECK_FALSE(unpack<Sample>(longer).has_value());
}

TEST_CASE("random changes never crash and what is accepted packs to the same bytes") {
  crypto::SeededRng rng(11);
  const Bytes packed = pack(sample());
  for (int i = 0; i < 20'000; ++i) {
    Bytes changed = packed;
    for (std::uint64_t flips = 1 + rng.below(4); flips > 0; --flips) {
      changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.below(256));
    }
    auto value = unpack<Sample>(changed);
    if (value) CHECK(pack(*value) == changed);
  }
}

TEST_CASE("a digest of another size, another integer width and a missing member are refused") {
  CHECK(unpack<Digest>(pack(Digest{})).has_value());
  CHECK_FALSE(unpack<Digest>(pack(ByteArray<31>{})).has_value());
  CHECK_FALSE(unpack<Digest>(pack(ByteArray<33>{})).has_value());
  // Bytes of a fixed number are never a string, whose reader would go on after its end.
  for (const std::size_t size : {0U, 5U, 31U, 32U}) {
    CHECK_FALSE(unpack<Digest>(pack(std::string(size, 'a'))).has_value());
  }
  CHECK(unpack<std::uint64_t>(Bytes{0x05}).has_value());
  CHECK_FALSE(unpack<std::uint64_t>(Bytes{0xcd, 0x00, 0x05}).has_value());
  CHECK_FALSE(unpack<Inner>(Bytes{0x91, 0xa1, 'a'}).has_value());
}

TEST_CASE("the version that a message begins with is read whatever follows it") {
  CHECK(version_of(Bytes{0x93, 0x04}) == 4);
  CHECK(version_of(Bytes{0x93, 0x7f, 0xff}) == 127);
  CHECK(version_of(Bytes{0xdc, 0x00, 0x11, 0x05}) == 5);
  CHECK_FALSE(version_of(Bytes{}).has_value());
  CHECK_FALSE(version_of(Bytes{0x93}).has_value());
  CHECK_FALSE(version_of(Bytes{0x93, 0xcc, 0x80}).has_value());
  CHECK_FALSE(version_of(Bytes{0xdc, 0x00, 0x11}).has_value());
  CHECK_FALSE(version_of(Bytes{0xc4, 0x01, 0x05}).has_value());
}

TEST_CASE("headers that claim huge sizes and deep nesting cost nothing and fail") {
  CHECK_FALSE(unpack<std::vector<int>>(Bytes{0xdd, 0xff, 0xff, 0xff, 0xff}).has_value());
  CHECK_FALSE(unpack<Bytes>(Bytes{0xc6, 0xff, 0xff, 0xff, 0xff}).has_value());
  CHECK_FALSE((unpack<std::map<int, int>>(Bytes{0xdf, 0xff, 0xff, 0xff, 0xff}).has_value()));
  CHECK_FALSE(unpack<Inner>(Bytes(100'000, 0x91)).has_value());
  MessageLimits limits;
  limits.size = 3;
  CHECK(unpack<Bytes>(Bytes{0xc4, 2, 0, 0}, limits).error().code == ErrorCode::limit);
}

template <typename T>
Task<void> store(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await task);
}
template <typename T>
T run(SimScheduler& scheduler, Task<T> task) {
  std::optional<T> out;
  TaskGroup group(scheduler);
  group.spawn(store(std::move(task), out));
  REQUIRE(scheduler.run_for([&] { return out.has_value(); }, 10min));
  return std::move(*out);
}

constexpr auto protocol = "/testudo/test/1.0.0";

Task<Result<Bytes>> reverse(PeerId, Bytes message) {
  if (message == to_bytes("no")) co_return fail(ErrorCode::protocol, "do not ask that");
  std::ranges::reverse(message);
  co_return message;
}
Task<Result<Bytes>> never(Scheduler& scheduler, PeerId, Bytes) {
  co_await sleep_for(scheduler, 24h);
  co_return Bytes{};
}

struct Pair {
  Pair() : network(scheduler, {}), a(network.add_host()), b(network.add_host()) {
    a.peer_store().add_addresses(b.id(), b.addresses(), PeerStore::Source::user);
  }
  SimScheduler scheduler;
  SimNetwork network;
  SimHost& a;
  SimHost& b;
};

TEST_CASE("a service answers, names who asked for nonsense, and is gone when destroyed") {
  Pair pair;
  auto service = serve(pair.b, protocol, 1000, 10s, reverse);
  auto answer = run(pair.scheduler, request(pair.a, pair.b.id(), protocol, to_bytes("abc"), 1000, 10s));
  REQUIRE(answer.has_value());
  CHECK(*answer == to_bytes("cba"));

  auto refused = run(pair.scheduler, request(pair.a, pair.b.id(), protocol, to_bytes("no"), 1000, 10s));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message.find(pair.b.id().to_text()) != std::string::npos);
  CHECK(service.misbehaviour().count(pair.a.id()) == 1);

  auto large = run(pair.scheduler, request(pair.a, pair.b.id(), protocol, Bytes(1001), 1000, 10s));
  CHECK_FALSE(large.has_value());
  CHECK(service.misbehaviour().count(pair.a.id()) == 2);

  service = Service();
  auto gone = run(pair.scheduler, request(pair.a, pair.b.id(), protocol, to_bytes("abc"), 1000, 10s));
  CHECK(gone.error().code == ErrorCode::not_found);
}

TEST_CASE("an answer that does not come ends in a timeout, and one that is too long is refused") {
  Pair pair;
  auto service = serve(pair.b, protocol, 1000, 1h, [&](PeerId peer, Bytes message) {
    return never(pair.scheduler, peer, std::move(message));
  });
  auto late = run(pair.scheduler, request(pair.a, pair.b.id(), protocol, to_bytes("abc"), 1000, 5s));
  CHECK(late.error().code == ErrorCode::timeout);
  service = serve(pair.b, protocol, 1000, 1h, reverse);
  auto large = run(pair.scheduler, request(pair.a, pair.b.id(), protocol, to_bytes("abc"), 2, 5s));
  CHECK(large.error().code == ErrorCode::limit);
}

Task<Result<void>> send_tensor(Host& host, PeerId peer, const std::vector<float>& tensor) {
  CO_TRY(auto stream, co_await host.open_stream(peer, protocol));
  const ByteView raw(reinterpret_cast<const std::uint8_t*>(tensor.data()), tensor.size() * sizeof(float));
  CO_TRY_VOID(co_await write_raw(*stream, pack(Inner{"tensor", {}}), raw));
  stream->close_write();
  co_return Result<void>{};
}
Task<void> receive_tensor(std::unique_ptr<Stream> stream, std::vector<float>& into, bool& done) {
  auto header = co_await read_raw_header<Inner>(*stream, 100);
  if (!header || header->name != "tensor") co_return;
  auto read =
      co_await read_raw(*stream, {reinterpret_cast<std::uint8_t*>(into.data()), into.size() * sizeof(float)});
  done = read.has_value();
  stream->close_write();
}

TEST_CASE("raw tensor bytes follow their header into the caller's memory") {
  Pair pair;
  const std::vector<float> tensor(1'000'000, 1.5F);
  std::vector<float> received(tensor.size());
  bool done = false;
  pair.b.set_handler(protocol, [&](std::unique_ptr<Stream> stream) {
    return receive_tensor(std::move(stream), received, done);
  });
  CHECK(run(pair.scheduler, send_tensor(pair.a, pair.b.id(), tensor)).has_value());
  pair.scheduler.run_for(10s);
  CHECK(done);
  CHECK(received == tensor);
}

}  // namespace
}  // namespace testudo::net
