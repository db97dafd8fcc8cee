// Lookup: which peers to ask next on the way to a place. Decisions only; Dht sends the questions.
//
// 1. It starts from the k nearest peers of the routing table. They are dealt over `paths` disjoint paths; a
//    path is one iterative lookup, and a peer belongs to the path that heard of it first. With one path a
//    liar near the way can lead it astray; with d paths it spoils one of them (S/Kademlia).
// 2. A path asks its nearest peer not yet asked among its k nearest that have not failed. So silence costs a
//    slot for one deadline, and does not end the lookup.
// 3. At most alpha questions are under way at a time, at least one per path.
// 4. A path is finished when its k nearest that did not fail have all answered: then nobody nearer is known
//    to anyone near.
// 5. Of one answer at most k peers count: a liar cannot flood the list. The list holds at most
//    `max_candidates`; the farthest that nobody asked leave first.
// 6. At most `max_per_subnet` peers of one public /24 or /48 count in a lookup: whoever has many identities
//    and few addresses cannot occupy the neighbourhood of a place.
// 7. The asker itself never counts.
// Cost: every question takes O(candidates). Loop thread only. Owned by the coroutine that looks up.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dht/key.h"
#include "net/address/multiaddr.h"

namespace testudo::dht {

using net::PeerAddress;

class Lookup {
 public:
  struct Options {
    std::size_t k = 20;
    std::size_t paths = 1;
    std::size_t max_candidates = 400;
    std::size_t max_per_subnet = 8;  // 0: no quota
  };
  Lookup(const PeerId& self, const Place& target, Options options);

  void start(const std::vector<PeerAddress>& peers);
  // The next peer to ask on the path, if there is one now.
  std::optional<PeerAddress> next(std::size_t path);
  void answered(const PeerId& peer, const std::vector<PeerAddress>& closer);
  void failed(const PeerId& peer);
  // Nothing is left to ask or to wait for on the path.
  bool finished(std::size_t path) const;
  // The k nearest peers that answered, nearest first.
  std::vector<PeerAddress> closest() const;
  std::size_t asked() const { return asked_; }
  // Steps from the routing table to the farthest peer that answered.
  std::size_t hops() const { return hops_; }

 private:
  enum class Status { heard, asked, answered, failed };
  struct Candidate {
    PeerAddress peer;
    Digest distance;
    std::string subnet;
    std::size_t path;
    std::size_t hop;
    Status status = Status::heard;
  };
  void add(const PeerAddress& peer, std::size_t path, std::size_t hop);
  Candidate* find(const PeerId& peer);
  void drop_farthest();

  PeerId self_;
  Place target_;
  Options options_;
  std::vector<Candidate> candidates_;  // nearest first
  std::set<PeerId> known_;
  std::map<std::string, std::size_t> per_subnet_;
  std::size_t asked_ = 0;
  std::size_t hops_ = 0;
};

}  // namespace testudo::dht
