// The simulated network of nodes: what it measures against is right, its runs replay, values survive churn.
// That a property can fail is shown by tests/tools/simulate_test.cc.
#include <algorithm>

#include "dht/simulation/dht_simulation.h"
#include "dht/simulation/full_tables.h"
#include "tests/dht/swarm_of_nodes.h"

namespace testudo::dht {
namespace {

using namespace std::chrono_literals;

std::vector<PeerId> make_peers(std::size_t count) {
  crypto::SeededRng rng(5);
  std::vector<PeerId> peers;
  for (std::size_t i = 0; i < count; ++i) {
    ByteArray<32> key;
    rng.fill(key);
    peers.emplace_back(crypto::PublicKey(key));
  }
  return peers;
}

TEST_CASE("full tables know who is nearest, and lead there in about log n steps") {
  const auto peers = make_peers(2000);
  const FullTables tables(peers, 20);
  std::vector<PeerId> sorted(peers.begin() + 1, peers.end());
  const Place target = place_of(as_bytes("somewhere"));
  std::ranges::sort(sorted, {}, [&](const PeerId& peer) { return distance(place_of(peer), target); });
  sorted.resize(20);
  CHECK(tables.nearest(target, 20, peers[0]) == sorted);
  std::size_t hops = 0;
  for (std::size_t i = 0; i < 50; ++i) {
    const std::string key = "key " + std::to_string(i);
    const std::size_t one = tables.hops(peers[i], place_of(as_bytes(key)), 3);
    CHECK(one >= 1);
    CHECK(one <= 11);  // each step halves the distance at least
    hops += one;
  }
  CHECK(hops > 50);  // a table of 2,000 nodes does not hold them all
  // Of the k peers in an answer the nearest is log2(k) bits nearer, until k are left: 1 + log_k(n / k) steps,
  // which are fewer than 3.
  CHECK(hops <= 50 * 3);
  // Whoever knows everybody asks the nearest themselves.
  const auto few = make_peers(15);
  CHECK(FullTables(few, 20).hops(few[0], target, 3) == 1);
}

TEST_CASE("a simulated network keeps its properties, and replays from its seed") {
  const DhtSimulationOptions options{
      .nodes = 60, .puts = 10, .gets = 30, .lookups = 20, .loss = 0.01, .seed = 2};
  const auto first = simulate_dht(options);
  for (const BrokenProperty& property : first.broken) FAIL_CHECK(property.property, ": ", property.what);
  CHECK(first.joined == 60);
  CHECK(first.stored == 20);
  CHECK(first.newest == 30);
  CHECK(first.lookups == 20);
  CHECK(first.nearest == 1);
  CHECK(first.hops >= 1);
  CHECK(first.get_seconds.size() == 30);
  CHECK(simulate_dht(options).trace == first.trace);
  DhtSimulationOptions other = options;
  other.seed = 3;
  CHECK(simulate_dht(other).trace != first.trace);
}

TEST_CASE("values survive nodes that come and go") {
  const auto report = simulate_dht(
      {.nodes = 60, .puts = 10, .gets = 30, .lookups = 10, .kills_per_minute = 5, .spread = 3min, .seed = 1});
  for (const BrokenProperty& property : report.broken) FAIL_CHECK(property.property, ": ", property.what);
  CHECK(report.kills > 5);
  CHECK(report.virtual_time >= 3min);
}

}  // namespace
}  // namespace testudo::dht
