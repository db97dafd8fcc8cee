#include "net/host/network_host.h"

#include "net/services/identify.h"
#include "net/services/ping.h"
#include "tests/net/network_testing.h"

using namespace testudo;
using namespace testudo::net;
using namespace testudo::net::testing;

namespace {

constexpr const char* kEcho = "/test/echo/1";

Task<void> echo(std::unique_ptr<Stream> stream) {
  Bytes buffer(64 * 1024);
  while (true) {
    auto read = co_await stream->read_some(buffer);
    if (!read) co_return;
    if (*read == 0) break;
    auto written = co_await stream->write(ByteView(buffer).first(*read));
    if (!written) co_return;
  }
  stream->close_write();
}

Task<void> send_all(Stream& stream, const Bytes& data) {
  auto written = co_await stream.write(data);
  if (written) stream.close_write();
}

Task<Result<Bytes>> echo_through(Host& host, PeerId peer, Bytes data) {
  auto stream = co_await host.open_stream(peer, kEcho);
  if (!stream) co_return fail(std::move(stream).error());
  TaskGroup group(host.scheduler());
  group.spawn(send_all(**stream, data));
  Bytes back(data.size() + 1);
  std::size_t size = 0;
  while (true) {
    auto read = co_await (*stream)->read_some(MutableByteView(back).subspan(size));
    if (!read) co_return fail(std::move(read).error());
    if (*read == 0) break;
    size += *read;
  }
  back.resize(size);
  co_return back;
}

Bytes pattern(std::size_t size) {
  Bytes data(size);
  crypto::SeededRng rng(size);
  rng.fill(data);
  return data;
}

}  // namespace

TEST_CASE("two hosts ping each other over one authenticated connection") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  const PingService alice_ping(*alice), bob_ping(*bob);
  alice->peer_store().add_addresses(bob->id(), bob->addresses(), PeerStore::Source::user);
  const auto there = wait_for(scheduler, ping(*alice, bob->id()));
  REQUIRE_MESSAGE(there.has_value(), there.error().message);
  CHECK(*there < 5s);
  const auto back = wait_for(scheduler, ping(*bob, alice->id()));
  REQUIRE(back.has_value());
  CHECK(alice->connected_peers() == std::vector{bob->id()});
  CHECK(bob->connected_peers() == std::vector{alice->id()});
  CHECK(alice->traffic_with(bob->id()).bytes_sent > 500);
  run_until(scheduler, [&] {
    return alice->traffic().bytes_sent == bob->traffic().bytes_received &&
           alice->traffic().bytes_received == bob->traffic().bytes_sent;
  });
  CHECK(alice->traffic().bytes_sent == bob->traffic().bytes_received);
}

TEST_CASE("megabytes go through a stream unchanged, in both directions at once, on many streams") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  bob->set_handler(kEcho, echo);
  REQUIRE(wait_for(scheduler, alice->connect(bob->id(), bob->addresses())).has_value());
  std::vector<Task<Result<Bytes>>> tasks;
  for (std::size_t i = 0; i < 8; ++i)
    tasks.push_back(echo_through(*alice, bob->id(), pattern(1'500'000 + i)));
  const auto results = wait_for(scheduler, when_all(scheduler, std::move(tasks)));
  for (std::size_t i = 0; i < results.size(); ++i) {
    REQUIRE_MESSAGE(results[i].has_value(), results[i].error().message);
    CHECK(*results[i] == pattern(1'500'000 + i));
  }
}

TEST_CASE("an unknown protocol is not_found and names the peer and the protocol; the connection stays") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  const PingService bob_ping(*bob);
  REQUIRE(wait_for(scheduler, alice->connect(bob->id(), bob->addresses())).has_value());
  const auto stream = wait_for(scheduler, alice->open_stream(bob->id(), "/nobody/speaks/this"));
  REQUIRE_FALSE(stream.has_value());
  CHECK(stream.error().code == ErrorCode::not_found);
  CHECK(stream.error().message.find(bob->id().to_text()) != std::string::npos);
  CHECK(stream.error().message.find("/nobody/speaks/this") != std::string::npos);
  // Believed to be spoken, the refusal shows at the first read.
  alice->peer_store().set_protocols(bob->id(), {kEcho});
  const auto late = wait_for(scheduler, echo_through(*alice, bob->id(), pattern(10)));
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().code == ErrorCode::not_found);
  CHECK(wait_for(scheduler, ping(*alice, bob->id())).has_value());
}

TEST_CASE("whoever answers under another identity is refused, and both ids are named") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  const auto wanted = key(3).peer_id();
  const auto dialled = wait_for(scheduler, alice->connect(wanted, bob->addresses()));
  REQUIRE_FALSE(dialled.has_value());
  CHECK(dialled.error().code == ErrorCode::authentication);
  CHECK(dialled.error().message.find(wanted.to_text()) != std::string::npos);
  CHECK(dialled.error().message.find(bob->id().to_text()) != std::string::npos);
  CHECK(alice->connected_peers().empty());
}

TEST_CASE("a failed dial lists every address with its reason, and a working one behind it is found") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  const auto closed = [](const char* text) { return *Multiaddr::from_text(text); };
  const auto none = wait_for(
      scheduler, alice->connect(bob->id(), {closed("/ip4/127.0.0.1/tcp/1"), closed("/ip4/127.0.0.2/tcp/1"),
                                            closed("/ip4/127.0.0.1/udp/1/quic-v1")}));
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().message.find("/ip4/127.0.0.1/tcp/1: connection refused") != std::string::npos);
  CHECK(none.error().message.find("/ip4/127.0.0.2/tcp/1: connection refused") != std::string::npos);
  CHECK(none.error().message.find("quic-v1") != std::string::npos);
  CHECK(wait_for(scheduler, alice->connect(key(9).peer_id(), {})).error().code == ErrorCode::not_found);
  auto addresses = bob->addresses();
  addresses.insert(addresses.begin(), closed("/ip4/127.0.0.1/tcp/1"));
  CHECK(wait_for(scheduler, alice->connect(bob->id(), addresses)).has_value());
}

TEST_CASE("a port that is taken says so and what to do") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_network_host(scheduler, key(2));
  const auto taken = wait_for(scheduler, bob->listen(alice->addresses().front()));
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().message ==
        "cannot listen on " + alice->addresses().front().to_text() +
            ": address in use: another program holds the port; choose another or stop it");
}

TEST_CASE("dials that cross leave both sides connected and streams usable both ways") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  const PingService alice_ping(*alice), bob_ping(*bob);
  std::vector<Task<Result<void>>> dials;
  for (int i = 0; i < 3; ++i) {
    dials.push_back(alice->connect(bob->id(), bob->addresses()));
    dials.push_back(bob->connect(alice->id(), alice->addresses()));
  }
  for (const auto& dial : wait_for(scheduler, when_all(scheduler, std::move(dials)))) CHECK(dial.has_value());
  for (int i = 0; i < 3; ++i) {
    CHECK(wait_for(scheduler, ping(*alice, bob->id())).has_value());
    CHECK(wait_for(scheduler, ping(*bob, alice->id())).has_value());
  }
}

TEST_CASE("a banned peer is dropped and refused both ways; observers see each loss once") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  std::vector<bool> seen;
  alice->observe_connections([&](const PeerId& peer, bool connected) {
    CHECK(peer == bob->id());
    seen.push_back(connected);
  });
  REQUIRE(wait_for(scheduler, alice->connect(bob->id(), bob->addresses())).has_value());
  REQUIRE(run_until(scheduler, [&] { return bob->is_connected(alice->id()); }));
  alice->ban(bob->id());
  CHECK_FALSE(alice->is_connected(bob->id()));
  CHECK(wait_for(scheduler, alice->connect(bob->id(), bob->addresses())).error().code == ErrorCode::refused);
  REQUIRE(run_until(scheduler, [&] { return !bob->is_connected(alice->id()); }));
  // The handshake may succeed before the gate closes the connection: then its streams fail.
  auto again = wait_for(scheduler, bob->open_stream(alice->id(), kPingProtocol));
  CHECK_FALSE(again.has_value());
  CHECK(seen == std::vector{true, false});
}

TEST_CASE("both sides identify each other on connecting, and push tells of a new protocol") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  IdentifyService alice_identify(*alice), bob_identify(*bob);
  int identified = 0;
  alice->observe_identified([&](const PeerId&) { ++identified; });
  bob->observe_identified([&](const PeerId&) { ++identified; });
  REQUIRE(wait_for(scheduler, alice->connect(bob->id(), bob->addresses())).has_value());
  REQUIRE(run_until(scheduler, [&] { return identified == 2; }));
  CHECK(alice->peer_store().speaks(bob->id(), kIdentifyPushProtocol));
  CHECK(bob->peer_store().addresses(alice->id()) == alice->addresses());
  CHECK(bob->peer_store().agent(alice->id()) == "testudo/" TESTUDO_VERSION);
  REQUIRE(alice_identify.observed_address().has_value());
  CHECK(alice_identify.observed_address()->is_loopback());
  bob->set_handler(kEcho, echo);
  bob_identify.push();
  REQUIRE(run_until(scheduler, [&] { return alice->peer_store().speaks(bob->id(), kEcho); }));
  // Known to be spoken: negotiation and data now leave together.
  CHECK(wait_for(scheduler, echo_through(*alice, bob->id(), pattern(100))).has_value());
  const auto info = wait_for(scheduler, identify(*alice, bob->id()));
  REQUIRE(info.has_value());
  CHECK(info->sequence.has_value());
  CHECK(info->addresses == bob->addresses());
}

TEST_CASE("a host that is destroyed ends the streams of its peers") {
  LibuvScheduler scheduler;
  auto alice = make_host(scheduler, 1);
  auto bob = make_host(scheduler, 2);
  bob->set_handler(kEcho, echo);
  REQUIRE(wait_for(scheduler, alice->connect(bob->id(), bob->addresses())).has_value());
  auto stream = wait_for(scheduler, alice->open_stream(bob->id(), kEcho));
  REQUIRE(stream.has_value());
  bob.reset();
  Bytes buffer(10);
  const auto read = wait_for(scheduler, (*stream)->read_some(buffer));
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().message.find(key(2).peer_id().to_text()) != std::string::npos);
  REQUIRE(run_until(scheduler, [&] { return alice->connected_peers().empty(); }));
  alice.reset();
  stream->reset();  // outlives its host
}
