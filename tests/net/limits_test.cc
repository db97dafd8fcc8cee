// The limits of a host (net/limits/limits.h): what is refused at each, what becomes of whoever goes on, and
// that others do not notice.
#include "tests/net/rogue_peer.h"

using namespace testudo;
using namespace testudo::net;
using namespace testudo::net::testing;

namespace {

constexpr std::uint16_t syn = 1, rst = 8;

// A stream that begins to say what it is for, and does not end it.
Bytes half_a_proposal(std::uint32_t id) {
  Bytes both = mux_frame(0, syn, id, 2);
  append(both, Bytes{19, '/'});
  return both;
}

Bytes proposal(std::uint32_t id, const std::string& protocol) {
  const Bytes text = Multistream::propose(protocol).take_output();
  Bytes both = mux_frame(0, syn, id, static_cast<std::uint32_t>(text.size()));
  append(both, text);
  return both;
}

Task<void> note_peer(std::vector<PeerId>& served, std::unique_ptr<Stream> stream) {
  served.push_back(stream->peer());
  co_return;
}

}  // namespace

TEST_CASE("a stream that is reset before its turn costs no task, and is no event") {
  Scene scene;
  RogueMember rogue(scene.transport);
  rogue.join(scene.scheduler, *scene.host);
  scene.events.clear();
  Bytes many;
  for (std::uint32_t id = 1; id < 2000; id += 2) {
    append(many, proposal(id, kPingProtocol));
    append(many, mux_frame(1, rst, id, 0));
  }
  rogue.say_sealed(ByteView(many).first(many.size() / 2));
  rogue.say_sealed(ByteView(many).subspan(many.size() / 2));
  const std::uint64_t before = scene.host->traffic_with(key(66).peer_id()).bytes_received;
  REQUIRE(run_until(scene.scheduler, [&] {
    return scene.host->traffic_with(key(66).peer_id()).bytes_received >= before + many.size();
  }));
  CHECK(scene.still_works());
  CHECK(scene.events.empty());
  CHECK(run_until(scene.scheduler, [&] { return scene.host->guard().used(Limit::streams) == 0; }));
  CHECK(scene.host->is_connected(key(66).peer_id()));
}

TEST_CASE("who opens hundreds of streams at once waits for them, others do not wait behind them") {
  Scene scene;
  std::vector<PeerId> served;
  scene.host->set_handler(
      "/note", [&](std::unique_ptr<Stream> stream) { return note_peer(served, std::move(stream)); });
  RogueMember rogue(scene.transport);
  RogueMember honest(scene.transport, 67);
  rogue.join(scene.scheduler, *scene.host);
  honest.join(scene.scheduler, *scene.host);
  constexpr std::size_t count = 200;
  Bytes many;
  for (std::uint32_t i = 0; i < count; ++i) append(many, proposal(2 * i + 1, "/note"));
  const auto heard_of_rogue = [&] { return scene.host->traffic_with(key(66).peer_id()).bytes_received; };
  const std::uint64_t before = heard_of_rogue();
  rogue.say_sealed(many);
  REQUIRE(run_until(scene.scheduler, [&] { return heard_of_rogue() > before + many.size(); }));
  honest.say_sealed(proposal(1, "/note"));
  REQUIRE(run_until(scene.scheduler, [&] { return served.size() == count + 1; }));
  const auto at = std::ranges::find(served, honest.identity.peer_id());
  CHECK(at - served.begin() < static_cast<std::ptrdiff_t>(count / 2));
}

TEST_CASE("streams of all peers together are bounded, and those that end make room") {
  NetworkHostOptions options;
  options.limits[Limit::streams] = 10;
  Scene scene(options);
  RogueMember first(scene.transport, 61);
  RogueMember second(scene.transport, 62);
  first.join(scene.scheduler, *scene.host);
  second.join(scene.scheduler, *scene.host);
  const Guard& guard = scene.host->guard();
  for (std::uint32_t id = 1; id < 12; id += 2) first.say_sealed(half_a_proposal(id));
  REQUIRE(run_until(scene.scheduler, [&] { return guard.used(Limit::streams) == 6; }));
  CHECK(guard.refusals(Limit::streams) == 0);
  for (std::uint32_t id = 1; id < 12; id += 2) second.say_sealed(half_a_proposal(id));
  REQUIRE(run_until(scene.scheduler, [&] { return guard.refusals(Limit::streams) == 2; }));
  CHECK(guard.used(Limit::streams) == 10);
  CHECK_FALSE(first.closed);
  CHECK_FALSE(second.closed);
  first.socket->close();
  REQUIRE(run_until(scene.scheduler, [&] { return guard.used(Limit::streams) == 4; }));
  CHECK(scene.still_works());
  CHECK(guard.refusals(Limit::streams) == 2);
}

TEST_CASE("a connection that goes on far beyond a rate is ended, with the cause in its last line") {
  NetworkHostOptions options;
  options.limits[Limit::stream_rate_per_connection] = 10;
  Scene scene(options);
  RogueMember rogue(scene.transport);
  rogue.join(scene.scheduler, *scene.host);
  Bytes many;
  for (std::uint32_t id = 1; id < 400; id += 2) append(many, mux_frame(1, syn, id, 0));
  rogue.say_sealed(many);
  REQUIRE(run_until(scene.scheduler, [&] { return rogue.closed; }));
  // 40 at once, 40 refused, the next was one too many.
  CHECK(scene.host->guard().refusals(Limit::stream_rate_per_connection) == 41);
  REQUIRE_FALSE(scene.events.empty());
  CHECK(scene.events.back().find(key(66).peer_id().to_text()) != std::string::npos);
  CHECK(scene.events.back().find("10 new streams a second are allowed") != std::string::npos);
  CHECK(scene.still_works());
}

TEST_CASE("an address connects as often as its rate allows, and a refusal costs it nothing") {
  Limits limits;
  limits[Limit::connection_rate_per_address] = 5;
  Guard guard(limits);
  TimePoint now{1h};
  for (int i = 0; i < 20; ++i) REQUIRE_FALSE(guard.admit_connection("192.0.2.1", now));
  for (int i = 0; i < 100; ++i) {
    REQUIRE(guard.admit_connection("192.0.2.1", now) == Limit::connection_rate_per_address);
  }
  CHECK_FALSE(guard.admit_connection("192.0.2.2", now));
  now += 400ms;
  CHECK_FALSE(guard.admit_connection("192.0.2.1", now));
  CHECK_FALSE(guard.admit_connection("192.0.2.1", now));
  CHECK(guard.admit_connection("192.0.2.1", now) == Limit::connection_rate_per_address);
}

TEST_CASE("an attack counts as ten connections of its address, of no other, and is forgiven in time") {
  Limits limits;
  limits[Limit::connection_rate_per_address] = 5;
  Guard guard(limits);
  TimePoint now{1h};
  guard.penalize("192.0.2.1", now);
  for (int i = 0; i < 10; ++i) REQUIRE_FALSE(guard.admit_connection("192.0.2.1", now));
  CHECK(guard.admit_connection("192.0.2.1", now) == Limit::connection_rate_per_address);
  for (int i = 0; i < 1000; ++i) guard.penalize("192.0.2.1", now);
  CHECK_FALSE(guard.admit_connection("192.0.2.2", now));
  // However many there were, the debt is at most a full bucket and one attack: six seconds' worth.
  CHECK(guard.admit_connection("192.0.2.1", now + 4s) == Limit::connection_rate_per_address);
  CHECK_FALSE(guard.admit_connection("192.0.2.1", now + 7s));
}

TEST_CASE("limits per address count an IPv6 subscriber as one, and spare loopback") {
  const auto source = [](const char* text) { return Guard::source_of(*Multiaddr::from_text(text)); };
  CHECK(source("/ip6/2001:db8::1/tcp/1") == source("/ip6/2001:db8::ffff:2/tcp/2"));
  CHECK(source("/ip6/2001:db8::1/tcp/1") != source("/ip6/2001:db8:0:1::1/tcp/1"));
  CHECK(source("/ip4/192.0.2.1/tcp/1") == source("/ip4/192.0.2.1/tcp/2"));
  CHECK(source("/ip4/192.0.2.1/tcp/1") != source("/ip4/192.0.2.2/tcp/1"));
  CHECK(source("/ip4/127.0.0.1/tcp/1") != source("/ip4/127.0.0.2/tcp/1"));
  Guard guard;
  for (const char* loopback : {"/ip4/127.0.0.2/tcp/1", "/ip6/::1/tcp/1"}) {
    const std::string name = source(loopback);
    for (std::size_t i = 0; i < 1000; ++i) {
      REQUIRE_FALSE(guard.admit_connection(name, TimePoint{1h}));
      guard.connection_opened(name);
      guard.penalize(name, TimePoint{1h});
    }
    CHECK(guard.connections_of(name) == 1000);
  }
  CHECK(guard.used(Limit::connections_per_address) == 0);
}
