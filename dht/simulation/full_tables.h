// FullTables: what a network would know if every routing table held k peers of every bucket that has as many
// (random ones: Kademlia leaves open which), and nobody lost anything: what the hops of real lookups are
// measured against, and who really is nearest to a place. Built from the list of all live nodes; it sends
// nothing. Loop thread only.
#pragma once

#include <utility>
#include <vector>

#include "dht/lookup.h"

namespace testudo::dht {

class FullTables {
 public:
  FullTables(const std::vector<PeerId>& live, std::size_t k);

  // The nearest of all to the place, nearest first, without `asker`.
  std::vector<PeerId> nearest(const Place& target, std::size_t count, const PeerId& asker) const;
  // Hops of the lookup that `asker` would make (lookup.h), with `alpha` questions at a time.
  std::size_t hops(const PeerId& asker, const Place& target, std::size_t alpha) const;

 private:
  using Entry = std::pair<Place, PeerId>;
  std::size_t neighbourhood(const Place& place) const;
  std::vector<PeerAddress> answer(const Place& of, const PeerId& asker, const Place& target) const;

  std::size_t k_;
  std::vector<Entry> all_;  // by place
};

}  // namespace testudo::dht
