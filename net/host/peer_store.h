// PeerStore: what is known of other peers: addresses, where each came from, how dialling it went, and the
// protocols that identify listed. Bounded; the oldest unverified entries go first. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/address/multiaddr.h"
#include "net/async/scheduler.h"

namespace testudo::net {

class PeerStore {
 public:
  // Who told us: later ones are trusted more.
  enum class Source { hearsay, dht, identify, user, connected };

  static constexpr std::size_t max_peers = 20'000;
  static constexpr std::size_t max_addresses_per_peer = 16;  // a peer that lists more gains nothing
  static constexpr std::size_t max_protocols_per_peer = 128;

  explicit PeerStore(Scheduler& scheduler) : scheduler_(scheduler) {}

  // Addresses from hearsay and the DHT expire after an hour; others stay.
  void add_addresses(const crypto::PeerId& peer, const std::vector<Multiaddr>& addresses, Source source);
  // Best first: trusted sources and recent successes before the rest.
  std::vector<Multiaddr> addresses(const crypto::PeerId& peer) const;
  void dial_succeeded(const crypto::PeerId& peer, const Multiaddr& address);
  void dial_failed(const crypto::PeerId& peer, const Multiaddr& address);

  void set_protocols(const crypto::PeerId& peer, std::set<std::string> protocols);
  // False as long as identify has not answered.
  bool speaks(const crypto::PeerId& peer, const std::string& protocol) const;
  void set_agent(const crypto::PeerId& peer, std::string agent);
  std::string agent(const crypto::PeerId& peer) const;
  std::vector<crypto::PeerId> peers() const;

 private:
  struct AddressRecord {
    Source source;
    TimePoint expires;
    std::uint32_t failures = 0;
    std::optional<TimePoint> last_success;
  };
  struct PeerRecord {
    std::map<Multiaddr, AddressRecord> addresses;
    std::set<std::string> protocols;
    std::string agent;
    TimePoint last_seen;
  };
  PeerRecord& record_of(const crypto::PeerId& peer);

  Scheduler& scheduler_;
  std::map<crypto::PeerId, PeerRecord> records_;
};

}  // namespace testudo::net
