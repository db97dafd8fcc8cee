// Limits that only peers with addresses of their own meet, or peers that do not read: a host in this process,
// in a network of its own, and blocking sockets against it.
#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/attack/private_network.h"
#include "tests/attack/raw_peer.h"
#include "tests/net/network_testing.h"

using namespace testudo;
using namespace testudo::net;
using namespace testudo::net::testing;
using testudo::attack::RawPeer;

namespace {

attack::PrivateNetwork network;  // entered by main, before there are threads

class Scene {
 public:
  explicit Scene(NetworkHostOptions options = {}) {
    options.on_event = [this](const std::string& line) { events.push_back(line); };
    host = make_network_host(scheduler, key(1), std::move(options));
    const std::string address = "/ip4/" + network.node + "/tcp/0";
    auto bound = wait_for(scheduler, host->listen(*Multiaddr::from_text(address)));
    REQUIRE(bound.has_value());
    port = bound->tcp_endpoint()->port;
  }
  // From the `source`th address of the network.
  std::unique_ptr<RawPeer> dial(std::size_t source) {
    return std::make_unique<RawPeer>(attack::Target{network.node, port, {network.attackers.at(source)}}, 0);
  }
  // Through its handshake; it closes when the host hangs up.
  std::unique_ptr<RawPeer> join(std::size_t source) {
    auto peer = dial(source);
    (void)wait_for(scheduler, offload(scheduler, [raw = peer.get()] { return raw->join(); }));
    return peer;
  }
  bool until(const std::function<bool()>& condition) { return run_until(scheduler, condition); }
  // Until the host has thrown it out.
  bool ends(RawPeer& peer) {
    return until([&] {
      peer.drain();
      return !peer.is_open();
    });
  }
  std::uint64_t refusals(Limit limit) { return host->guard().refusals(limit); }
  std::size_t established() { return host->statistics().inbound; }
  bool said(std::string_view text) {
    return std::ranges::any_of(events,
                               [&](const auto& line) { return line.find(text) != std::string::npos; });
  }

  LibuvScheduler scheduler;
  std::vector<std::string> events;
  std::unique_ptr<NetworkHost> host;
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("an address that connects too often is refused, and another one is not") {
  NetworkHostOptions options;
  options.limits[Limit::connection_rate_per_address] = 2;
  Scene scene(options);
  for (int i = 0; i < 8; ++i) REQUIRE(scene.join(0)->is_open());
  std::size_t refused = 0;
  for (int i = 0; i < 8; ++i) refused += scene.join(0)->is_open() ? 0 : 1;
  CHECK(refused >= 6);  // a rate gives back what time passes
  CHECK(scene.refusals(Limit::connection_rate_per_address) == refused);
  CHECK(scene.said("refused /ip4/" + network.attackers[0]));
  CHECK(scene.join(1)->is_open());
}

TEST_CASE("connections that end for an attack count ten times against their address, others once") {
  NetworkHostOptions options;
  options.limits[Limit::connection_rate_per_address] = 5;  // 20 at once
  Scene scene(options);
  const auto flood = [&](std::size_t source, std::uint16_t flags) {
    const auto peer = scene.join(source);
    REQUIRE(peer->is_open());
    Bytes pings;
    for (std::uint32_t i = 0; i < 200; ++i) append(pings, RawPeer::header(RawPeer::ping, flags, 0, i));
    peer->say_sealed(pings);
    REQUIRE(scene.ends(*peer));
  };
  flood(0, RawPeer::syn);  // beyond their rate
  CHECK(scene.refusals(Limit::ping_rate_per_connection) == 1);
  flood(0, RawPeer::ack);  // answers to nothing
  CHECK_FALSE(scene.join(0)->is_open());
  CHECK(scene.refusals(Limit::connection_rate_per_address) == 1);
  for (int i = 0; i < 10; ++i) REQUIRE(scene.join(1)->is_open());
}

TEST_CASE("one address gets its share of connections and handshakes, and not that of others") {
  NetworkHostOptions options;
  options.limits[Limit::connections_per_address] = 4;
  options.limits[Limit::handshakes_per_address] = 2;
  Scene scene(options);
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(scene.dial(0));
  REQUIRE(scene.until([&] { return scene.refusals(Limit::handshakes_per_address) == 1; }));
  CHECK(scene.host->pending_handshakes() == 2);
  CHECK(scene.join(1)->is_open());
  peers.clear();
  REQUIRE(scene.until([&] { return scene.host->pending_handshakes() == 0; }));
  for (int i = 0; i < 4; ++i) REQUIRE(peers.emplace_back(scene.join(0))->is_open());
  CHECK_FALSE(scene.join(0)->is_open());
  CHECK(scene.refusals(Limit::connections_per_address) == 1);
  CHECK(scene.join(1)->is_open());
  peers.pop_back();
  REQUIRE(scene.until([&] { return scene.established() == 3; }));
  CHECK(scene.join(0)->is_open());
}

TEST_CASE("who fills every connection and keeps them busy keeps nobody at another address out") {
  NetworkHostOptions options;
  options.limits[Limit::connections] = 12;
  Scene scene(options);
  std::vector<std::unique_ptr<RawPeer>> crowd, newcomers;
  for (std::uint32_t i = 0; i < 12; ++i) {
    REQUIRE(crowd.emplace_back(scene.join(0))->is_open());
    crowd.back()->frame(RawPeer::window_update, RawPeer::syn, 1, 0);
    REQUIRE(scene.until([&] { return scene.host->statistics().streams == i + 1; }));
  }
  scene.host->guard().protect("the test", {crowd.back()->identity().peer_id()});
  CHECK_FALSE(scene.join(0)->is_open());
  CHECK(scene.refusals(Limit::connections) == 1);
  for (int i = 0; i < 4; ++i) REQUIRE(newcomers.emplace_back(scene.join(1))->is_open());
  CHECK_FALSE(scene.join(1)->is_open());  // eight and five would be no crowd
  CHECK(scene.refusals(Limit::connections) == 2);
  CHECK(scene.host->statistics().made_room == 4);
  for (const auto& peer : crowd) peer->drain();
  CHECK(crowd[11]->is_open());  // protected
  for (std::size_t i = 7; i < 11; ++i) CHECK_FALSE(crowd[i]->is_open());
  for (std::size_t i = 0; i < 7; ++i) CHECK(crowd[i]->is_open());
}

TEST_CASE("who connects too often makes nobody leave") {
  NetworkHostOptions options;
  options.limits[Limit::connections] = 8;
  options.limits[Limit::connection_rate_per_address] = 1;  // four at once
  Scene scene(options);
  for (int i = 0; i < 4; ++i) REQUIRE(scene.join(0)->is_open());
  REQUIRE(scene.until([&] { return scene.established() == 0; }));
  std::vector<std::unique_ptr<RawPeer>> others;
  for (std::size_t i = 0; i < 8; ++i) REQUIRE(others.emplace_back(scene.join(1 + i / 4))->is_open());
  CHECK_FALSE(scene.join(0)->is_open());
  CHECK(scene.refusals(Limit::connection_rate_per_address) == 1);
  CHECK(scene.host->statistics().made_room == 0);
  CHECK(scene.join(3)->is_open());
  CHECK(scene.host->statistics().made_room == 1);
}

namespace {

// Every stream is refused with a frame, however many come.
NetworkHostOptions refuses_streams() {
  NetworkHostOptions options;
  options.limits[Limit::streams_per_connection] = 0;
  options.limits[Limit::stream_rate_per_connection] = 100'000'000;
  options.limits[Limit::control_frame_rate_per_connection] = 100'000'000;
  return options;
}

// Opens streams and reads nothing, until `enough`; false when the kernel could have taken it all.
// `after_each` runs between frames.
bool make_it_owe(
    Scene& scene, RawPeer& peer, const std::function<bool()>& enough,
    const std::function<void()>& after_each = [] {}) {
  constexpr std::uint32_t in_a_frame = 1'000;  // 30 KB of refusals
  constexpr int turns = 2'000;
  Bytes many;
  for (std::uint32_t id = 1; id < 2 * in_a_frame; id += 2) {
    append(many, RawPeer::header(RawPeer::window_update, RawPeer::syn, id, 0));
  }
  for (int i = 0; i < turns; ++i) {
    const std::uint64_t next = scene.refusals(Limit::streams_per_connection) + in_a_frame;
    peer.say_sealed(many);
    after_each();
    if (!scene.until([&] { return scene.refusals(Limit::streams_per_connection) >= next || enough(); })) {
      return false;
    }
    if (enough()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("who makes us owe frames and reads none of them is disconnected") {
  NetworkHostOptions options = refuses_streams();
  options.limits[Limit::unsent_bytes_per_connection] = 1 << 20;
  Scene scene(options);
  const auto peer = scene.join(0);
  REQUIRE(peer->is_open());
  REQUIRE(make_it_owe(scene, *peer, [&] { return scene.established() == 0; }));
  CHECK(scene.refusals(Limit::unsent_bytes_per_connection) == 1);
  CHECK(scene.refusals(Limit::unsent_bytes) == 0);
  CHECK(scene.said("the peer does not read what it asks for"));
}

TEST_CASE("what waits for those who do not read is bounded in total, and who holds most is disconnected") {
  NetworkHostOptions options = refuses_streams();
  options.limits[Limit::unsent_bytes] = 1 << 20;
  Scene scene(options);
  const auto unsent = [&] {
    scene.host->measure();
    return scene.host->guard().used(Limit::unsent_bytes);
  };
  const auto more = scene.join(0);
  const auto less = scene.join(1);
  REQUIRE(make_it_owe(scene, *more, [&] { return unsent() > 700'000; }));
  CHECK(scene.refusals(Limit::unsent_bytes) == 0);
  // To just below where the sum is looked at, then so slowly that a look falls between any two frames: in the
  // tenth of a second from one look to the next it could come to hold more than the other.
  REQUIRE(make_it_owe(scene, *less, [&] { return unsent() > 850'000; }));
  const auto look_passes = [&] {
    const TimePoint next = scene.scheduler.now() + 100ms;
    run_until(scene.scheduler, [&] { return scene.scheduler.now() >= next; }, 110ms);
  };
  REQUIRE(make_it_owe(scene, *less, [&] { return scene.established() == 1; }, look_passes));
  CHECK(scene.refusals(Limit::unsent_bytes) == 1);
  CHECK(unsent() < 700'000);
  CHECK(scene.said("all such peers together keep"));
  CHECK(scene.ends(*more));
  less->drain();
  CHECK(less->is_open());
}

int main(int argc, char** argv) {
  network = attack::enter_private_network();
  if (network.attackers.empty()) {
    std::puts("skipped: the system lets nobody make a network of their own");
    return 0;
  }
  return doctest::Context(argc, argv).run();
}
