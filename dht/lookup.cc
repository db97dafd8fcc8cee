#include "dht/lookup.h"

#include <algorithm>

#include "dht/subnet.h"

namespace testudo::dht {

Lookup::Lookup(const PeerId& self, const Place& target, Options options)
    : self_(self), target_(target), options_(options) {}

void Lookup::start(const std::vector<PeerAddress>& peers) {
  for (std::size_t i = 0; i < peers.size(); ++i) add(peers[i], i % options_.paths, 1);
}

void Lookup::add(const PeerAddress& peer, std::size_t path, std::size_t hop) {
  if (peer.id == self_ || known_.contains(peer.id)) return;
  std::string subnet = subnet_of(peer.addresses);
  if (!subnet.empty() && options_.max_per_subnet > 0) {
    std::size_t& count = per_subnet_[subnet];
    if (count >= options_.max_per_subnet) return;
    ++count;
  }
  known_.insert(peer.id);
  Candidate candidate{peer, distance(place_of(peer.id), target_), std::move(subnet), path, hop};
  auto where = std::ranges::upper_bound(candidates_, candidate.distance, {}, &Candidate::distance);
  candidates_.insert(where, std::move(candidate));
  if (candidates_.size() > options_.max_candidates) drop_farthest();
}

void Lookup::drop_farthest() {
  for (std::size_t i = candidates_.size(); i-- > 0;) {
    Candidate& candidate = candidates_[i];
    if (candidate.status != Status::heard) continue;
    if (auto it = per_subnet_.find(candidate.subnet); it != per_subnet_.end()) --it->second;
    known_.erase(candidate.peer.id);
    candidates_.erase(candidates_.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

Lookup::Candidate* Lookup::find(const PeerId& peer) {
  auto it = std::ranges::find_if(candidates_, [&](const Candidate& c) { return c.peer.id == peer; });
  return it == candidates_.end() ? nullptr : &*it;
}

std::optional<PeerAddress> Lookup::next(std::size_t path) {
  std::size_t live = 0;
  for (auto& candidate : candidates_) {
    if (candidate.path != path || candidate.status == Status::failed) continue;
    if (candidate.status == Status::heard) {
      candidate.status = Status::asked;
      ++asked_;
      return candidate.peer;
    }
    if (++live >= options_.k) return std::nullopt;
  }
  return std::nullopt;
}

bool Lookup::finished(std::size_t path) const {
  std::size_t live = 0;
  for (const auto& candidate : candidates_) {
    if (candidate.path != path || candidate.status == Status::failed) continue;
    if (candidate.status != Status::answered) return false;
    if (++live >= options_.k) return true;
  }
  return true;
}

void Lookup::answered(const PeerId& peer, const std::vector<PeerAddress>& closer) {
  Candidate* candidate = find(peer);
  if (candidate == nullptr || candidate->status != Status::asked) return;
  candidate->status = Status::answered;
  hops_ = std::max(hops_, candidate->hop);
  const std::size_t path = candidate->path;
  const std::size_t hop = candidate->hop + 1;  // add() moves the candidates
  for (std::size_t i = 0; i < closer.size() && i < options_.k; ++i) add(closer[i], path, hop);
}

void Lookup::failed(const PeerId& peer) {
  if (Candidate* candidate = find(peer)) candidate->status = Status::failed;
}

std::vector<PeerAddress> Lookup::closest() const {
  std::vector<PeerAddress> result;
  for (const auto& candidate : candidates_) {
    if (candidate.status != Status::answered) continue;
    result.push_back(candidate.peer);
    if (result.size() == options_.k) break;
  }
  return result;
}

}  // namespace testudo::dht
