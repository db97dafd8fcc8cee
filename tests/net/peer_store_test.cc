#include "net/host/peer_store.h"

#include <doctest/doctest.h>

#include <cstring>

#include "net/async/sim_scheduler.h"

using namespace testudo;
using namespace testudo::net;

namespace {
crypto::PeerId peer(std::uint64_t number) {
  crypto::SeededRng rng(number);
  ByteArray<32> key;
  rng.fill(key);
  return crypto::PeerId(crypto::PublicKey(key));
}
Multiaddr at(std::uint16_t port) { return *Multiaddr::tcp("192.0.2.1", port); }
}  // namespace

TEST_CASE("addresses come back best first, without the peer id, and hearsay expires") {
  SimScheduler scheduler;
  PeerStore store(scheduler);
  const auto id = peer(1);
  store.add_addresses(id, {at(1).with_peer_id(id)}, PeerStore::Source::hearsay);
  store.add_addresses(id, {at(2)}, PeerStore::Source::user);
  store.add_addresses(id, {at(3), at(4).with_peer_id(peer(2))}, PeerStore::Source::identify);
  store.dial_succeeded(id, at(3));
  store.dial_failed(id, at(2));
  CHECK(store.addresses(id) == std::vector{at(3), at(1), at(2)});
  scheduler.run_for(61min);
  CHECK(store.addresses(id) == std::vector{at(3), at(2)});
}

TEST_CASE("a peer that lists addresses without end keeps sixteen, and the proven one stays") {
  SimScheduler scheduler;
  PeerStore store(scheduler);
  store.dial_succeeded(peer(1), at(9999));
  for (std::uint16_t port = 1; port < 200; ++port) {
    store.add_addresses(peer(1), {at(port)}, PeerStore::Source::identify);
  }
  const auto addresses = store.addresses(peer(1));
  CHECK(addresses.size() == PeerStore::max_addresses_per_peer);
  CHECK(addresses.front() == at(9999));
}

TEST_CASE("a flood of invented peers does not push out one we reached") {
  SimScheduler scheduler;
  PeerStore store(scheduler);
  store.dial_succeeded(peer(1), at(1));
  for (std::uint64_t i = 2; i < PeerStore::max_peers + 1000; ++i) {
    ByteArray<32> key{};
    std::memcpy(key.data(), &i, sizeof i);
    store.add_addresses(crypto::PeerId(crypto::PublicKey(key)), {at(2)}, PeerStore::Source::hearsay);
  }
  CHECK(store.peers().size() <= PeerStore::max_peers);
  CHECK(store.addresses(peer(1)).size() == 1);
}

TEST_CASE("protocols and agent are bounded, and control characters do not reach a terminal") {
  SimScheduler scheduler;
  PeerStore store(scheduler);
  CHECK_FALSE(store.speaks(peer(1), "/a/1"));
  std::set<std::string> protocols;
  for (int i = 0; i < 1000; ++i) protocols.insert("/p/" + std::to_string(i));
  store.set_protocols(peer(1), protocols);
  CHECK(store.speaks(peer(1), "/p/0"));
  store.set_agent(peer(1), "evil\x1b[2J" + std::string(1000, 'x'));
  CHECK(store.agent(peer(1)).size() == 256);
  CHECK(store.agent(peer(1)).substr(0, 5) == "evil?");
}
