#include "dht/routing_table.h"

#include <doctest/doctest.h>

#include <memory>

#include "dht/lookup.h"

namespace testudo::dht {
namespace {

PeerId random_peer(crypto::Rng& rng) {
  // Any 32 bytes will do for a place in the key space.
  ByteArray<32> raw;
  rng.fill(raw);
  return PeerId(crypto::PublicKey(raw));
}

TEST_CASE("the table keeps k peers a bucket, and the nearest come nearest first") {
  crypto::SeededRng rng(1);
  RoutingTable table(random_peer(rng), {});
  for (int i = 0; i < 5000; ++i) (void)table.seen(random_peer(rng), "", false);
  std::vector<PeerId> peers = table.peers();
  CHECK(table.is_sane());
  CHECK(table.size() == peers.size());
  CHECK(table.size() > 150);
  CHECK(table.size() < 260);
  Place target;
  rng.fill(target);
  const auto closest = table.closest(target, 20);
  REQUIRE(closest.size() == 20);
  std::ranges::sort(peers, {}, [&](const PeerId& peer) { return distance(place_of(peer), target); });
  for (std::size_t i = 0; i < 20; ++i) CHECK(closest[i] == peers[i]);
}

TEST_CASE("old peers stay when new ones come, and a replacement follows a failure") {
  crypto::SeededRng rng(2);
  RoutingTable table(random_peer(rng), {.k = 3});
  std::vector<PeerId> inside;
  for (int i = 0; i < 2000; ++i) {
    const PeerId peer = random_peer(rng);
    if (table.bucket_of(place_of(peer)) != 0) continue;
    if (table.seen(peer, "", false)) inside.push_back(peer);
  }
  REQUIRE(inside.size() == 3);
  for (const PeerId& peer : inside) CHECK(table.contains(peer));
  table.failed(inside[0]);
  CHECK_FALSE(table.contains(inside[0]));
  CHECK(table.size() == 3);
  CHECK(table.is_sane());
}

TEST_CASE("a full bucket takes a newcomer from where it has nobody, and every part keeps its oldest") {
  crypto::SeededRng rng(6);
  const PeerId self = random_peer(rng);
  const auto part = [](const PeerId& peer) { return place_of(peer)[0] >> 3 & 15; };  // behind the first bit
  const auto far_peer = [&](const auto& fits) {
    while (true) {
      const PeerId peer = random_peer(rng);
      if (common_prefix(place_of(peer), place_of(self)) == 0 && fits(part(peer))) return peer;
    }
  };
  RoutingTable table(self, {.k = 16});
  std::vector<PeerId> crowd;  // all in one of the sixteen parts
  while (crowd.size() < 16) crowd.push_back(far_peer([](int of) { return of == 3; }));
  for (const PeerId& peer : crowd) CHECK(table.seen(peer, "", false));
  CHECK_FALSE(table.seen(far_peer([](int of) { return of == 3; }), "", false));
  std::vector<PeerId> spread;
  for (int of = 0; of < 16; ++of) {
    if (of == 3) continue;
    spread.push_back(far_peer([of](int other) { return other == of; }));
    CHECK(table.seen(spread.back(), "", false));
    // The youngest of the crowd went.
    CHECK_FALSE(table.contains(crowd[16 - spread.size()]));
    CHECK(table.size() == 16);
  }
  // From now on nobody gets in, however many come: whoever floods the table displaces nobody.
  for (int i = 0; i < 500; ++i) CHECK_FALSE(table.seen(far_peer([](int) { return true; }), "", false));
  CHECK(table.contains(crowd[0]));
  for (const PeerId& peer : spread) CHECK(table.contains(peer));
  CHECK(table.is_sane());
}

TEST_CASE("an unverified newcomer displaces nobody who is verified, wherever it comes from") {
  crypto::SeededRng rng(7);
  const PeerId self = random_peer(rng);
  RoutingTable table(self, {.k = 2});
  const auto half = [](const PeerId& peer) { return place_of(peer)[0] >> 6 & 1; };  // behind the first bit
  const auto far_peer = [&](int in) {
    while (true) {
      const PeerId peer = random_peer(rng);
      if (common_prefix(place_of(peer), place_of(self)) == 0 && half(peer) == in) return peer;
    }
  };
  CHECK(table.seen(far_peer(0), "", true));
  CHECK(table.seen(far_peer(0), "", true));
  CHECK_FALSE(table.seen(far_peer(1), "", false));
  CHECK(table.seen(far_peer(1), "", true));
}

TEST_CASE("verified peers take the places of unverified ones, never the other way round") {
  crypto::SeededRng rng(3);
  RoutingTable table(random_peer(rng), {.k = 2});
  std::vector<PeerId> peers;
  while (peers.size() < 6) {
    const PeerId peer = random_peer(rng);
    if (table.bucket_of(place_of(peer)) == 0) peers.push_back(peer);
  }
  CHECK(table.seen(peers[0], "", false));
  CHECK(table.seen(peers[1], "", false));
  CHECK_FALSE(table.seen(peers[2], "", false));
  CHECK(table.seen(peers[3], "", true));
  CHECK(table.seen(peers[4], "", true));
  CHECK_FALSE(table.seen(peers[5], "", false));
  CHECK(table.contains(peers[3]));
  CHECK(table.contains(peers[4]));
}

TEST_CASE("one public network gets only its quota of a bucket") {
  crypto::SeededRng rng(4);
  RoutingTable table(random_peer(rng), {.k = 20, .max_per_subnet = 3});
  for (int i = 0; i < 500; ++i) table.seen(random_peer(rng), "abc", false);
  CHECK(table.is_sane());
  CHECK(table.size() <= 30);
}

TEST_CASE("a lookup in a static network ends with exactly the k nearest, with one path and with four") {
  for (const std::size_t paths : {std::size_t{1}, std::size_t{4}}) {
    crypto::SeededRng rng(5);
    std::vector<PeerId> peers;
    std::map<PeerId, std::unique_ptr<RoutingTable>> tables;
    for (int i = 0; i < 400; ++i) peers.push_back(random_peer(rng));
    for (const PeerId& peer : peers) {
      tables[peer] = std::make_unique<RoutingTable>(peer, RoutingTable::Options{});
      for (const PeerId& other : peers) tables[peer]->seen(other, "", false);
    }
    for (int round = 0; round < 20; ++round) {
      Place target;
      rng.fill(target);
      const PeerId self = peers[rng.below(peers.size())];
      Lookup lookup(self, target, {.paths = paths});
      std::vector<PeerAddress> start;
      for (const auto& peer : tables[self]->closest(target, 20)) start.push_back({peer, {}});
      lookup.start(start);
      for (bool any = true; any;) {
        any = false;
        for (std::size_t path = 0; path < paths; ++path) {
          auto next = lookup.next(path);
          if (!next) continue;
          any = true;
          std::vector<PeerAddress> closer;
          for (const auto& peer : tables[next->id]->closest(target, 20)) closer.push_back({peer, {}});
          lookup.answered(next->id, closer);
        }
      }
      for (std::size_t path = 0; path < paths; ++path) CHECK(lookup.finished(path));
      std::vector<PeerId> expected = peers;
      std::erase(expected, self);
      std::ranges::sort(expected, {}, [&](const PeerId& peer) { return distance(place_of(peer), target); });
      const auto closest = lookup.closest();
      REQUIRE(closest.size() == 20);
      for (std::size_t i = 0; i < 20; ++i) CHECK(closest[i].id == expected[i]);
      CHECK(lookup.hops() <= 4);
    }
  }
}

TEST_CASE("a liar's flood of nearer peers is bounded, and failures are passed over") {
  crypto::SeededRng rng(6);
  const PeerId self = random_peer(rng);
  Place target;
  rng.fill(target);
  Lookup lookup(self, target, {});
  lookup.start({{random_peer(rng), {}}});
  for (int i = 0; i < 200; ++i) {
    auto next = lookup.next(0);
    if (!next) break;
    std::vector<PeerAddress> flood;
    for (int j = 0; j < 1000; ++j) flood.push_back({random_peer(rng), {}});
    if (i % 2 == 0) {
      lookup.answered(next->id, flood);
    } else {
      lookup.failed(next->id);
    }
  }
  CHECK(lookup.asked() < 200);
  CHECK(lookup.finished(0));
}

}  // namespace
}  // namespace testudo::dht
