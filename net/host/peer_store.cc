#include "net/host/peer_store.h"

#include <algorithm>
#include <tuple>

namespace testudo::net {
namespace {
constexpr Duration kHearsayLifetime = 1h;
constexpr std::size_t kMaxAgent = 256;  // bytes: it is shown in tables

bool expires(PeerStore::Source source) {
  return source == PeerStore::Source::hearsay || source == PeerStore::Source::dht;
}
}  // namespace

PeerStore::PeerRecord& PeerStore::record_of(const crypto::PeerId& peer) {
  const auto found = records_.find(peer);
  if (found != records_.end()) return found->second;
  if (records_.size() >= max_peers) {
    // A sixteenth at once, so that a flood of invented peers costs little each. Those whom we never reached
    // and nobody of trust named go first: real ones cannot be pushed out by hearsay.
    struct Candidate {
      bool verified;
      TimePoint last_seen;
      std::map<crypto::PeerId, PeerRecord>::iterator record;
    };
    std::vector<Candidate> candidates;
    candidates.reserve(records_.size());
    for (auto it = records_.begin(); it != records_.end(); ++it) {
      const bool verified = std::ranges::any_of(it->second.addresses, [](const auto& entry) {
        return entry.second.last_success || entry.second.source >= Source::user;
      });
      candidates.push_back({verified, it->second.last_seen, it});
    }
    const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(max_peers / 16);
    std::nth_element(candidates.begin(), middle, candidates.end(), [](const auto& a, const auto& b) {
      return a.verified != b.verified ? b.verified : a.last_seen < b.last_seen;
    });
    for (auto it = candidates.begin(); it != middle; ++it) records_.erase(it->record);
  }
  PeerRecord& record = records_[peer];
  record.last_seen = scheduler_.now();
  return record;
}

void PeerStore::add_addresses(const crypto::PeerId& peer, const std::vector<Multiaddr>& addresses,
                              Source source) {
  if (addresses.empty()) return;
  PeerRecord& record = record_of(peer);
  record.last_seen = scheduler_.now();
  std::size_t taken = 0;
  for (const Multiaddr& with_id : addresses) {
    if (taken++ == max_addresses_per_peer) break;
    if (const auto named = with_id.peer_id(); named && *named != peer) continue;
    const Multiaddr address = with_id.without_peer_id();
    if (address.empty()) continue;
    const TimePoint until = expires(source) ? scheduler_.now() + kHearsayLifetime : TimePoint::max();
    if (const auto known = record.addresses.find(address); known != record.addresses.end()) {
      known->second.source = std::max(known->second.source, source);
      known->second.expires = std::max(known->second.expires, until);
      continue;
    }
    if (record.addresses.size() >= max_addresses_per_peer) {
      const auto worst = std::ranges::min_element(record.addresses, [](const auto& a, const auto& b) {
        const auto rank = [](const AddressRecord& r) {
          return std::tuple(r.last_success.has_value(), r.source, -static_cast<std::int64_t>(r.failures),
                            r.expires);
        };
        return rank(a.second) < rank(b.second);
      });
      if (worst->second.source > source || worst->second.last_success) continue;
      record.addresses.erase(worst);
    }
    record.addresses.emplace(address, AddressRecord{.source = source, .expires = until, .last_success = {}});
  }
}

std::vector<Multiaddr> PeerStore::addresses(const crypto::PeerId& peer) const {
  const auto found = records_.find(peer);
  if (found == records_.end()) return {};
  std::vector<std::pair<Multiaddr, AddressRecord>> live;
  for (const auto& [address, record] : found->second.addresses) {
    if (record.expires > scheduler_.now()) live.emplace_back(address, record);
  }
  std::ranges::sort(live, [](const auto& a, const auto& b) {
    const auto rank = [](const AddressRecord& r) {
      const bool works = r.last_success && r.failures == 0;
      return std::tuple(works, -static_cast<std::int64_t>(r.failures), r.source,
                        r.last_success.value_or(TimePoint::min()));
    };
    const auto left = rank(a.second), right = rank(b.second);
    return left != right ? left > right : a.first < b.first;
  });
  std::vector<Multiaddr> sorted;
  sorted.reserve(live.size());
  for (auto& [address, record] : live) sorted.push_back(std::move(address));
  return sorted;
}

void PeerStore::dial_succeeded(const crypto::PeerId& peer, const Multiaddr& address) {
  const Multiaddr bare = address.without_peer_id();
  add_addresses(peer, {bare}, Source::connected);
  PeerRecord& record = record_of(peer);
  record.last_seen = scheduler_.now();
  const auto found = record.addresses.find(bare);
  if (found == record.addresses.end()) return;  // sixteen better ones are known
  found->second.failures = 0;
  found->second.last_success = scheduler_.now();
}

void PeerStore::dial_failed(const crypto::PeerId& peer, const Multiaddr& address) {
  const auto record = records_.find(peer);
  if (record == records_.end()) return;
  const auto found = record->second.addresses.find(address.without_peer_id());
  if (found != record->second.addresses.end()) ++found->second.failures;
}

void PeerStore::set_protocols(const crypto::PeerId& peer, std::set<std::string> protocols) {
  while (protocols.size() > max_protocols_per_peer) protocols.erase(std::prev(protocols.end()));
  PeerRecord& record = record_of(peer);
  record.protocols = std::move(protocols);
  record.last_seen = scheduler_.now();
}

bool PeerStore::speaks(const crypto::PeerId& peer, const std::string& protocol) const {
  const auto found = records_.find(peer);
  return found != records_.end() && found->second.protocols.contains(protocol);
}

void PeerStore::set_agent(const crypto::PeerId& peer, std::string agent) {
  agent.resize(std::min(agent.size(), kMaxAgent));
  // It ends up on terminals: no control characters.
  std::ranges::replace_if(
      agent, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  record_of(peer).agent = std::move(agent);
}

std::string PeerStore::agent(const crypto::PeerId& peer) const {
  const auto found = records_.find(peer);
  return found == records_.end() ? std::string() : found->second.agent;
}

std::vector<crypto::PeerId> PeerStore::peers() const {
  std::vector<crypto::PeerId> ids;
  ids.reserve(records_.size());
  for (const auto& [id, record] : records_) ids.push_back(id);
  return ids;
}

}  // namespace testudo::net
