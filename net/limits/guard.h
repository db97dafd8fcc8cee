// Guard: the accounts of one host against its limits: what each peer and address holds, what was refused and
// why, which peers are protected, and what each protocol of ours was asked. The host and its services write
// it; metrics read it. Loop thread only; the host owns it.
#pragma once

#include <map>
#include <set>
#include <string>

#include "crypto/peer_id.h"
#include "net/address/multiaddr.h"
#include "net/limits/limits.h"
#include "net/limits/token_bucket.h"

namespace testudo::net {

using crypto::PeerId;

class Guard {
 public:
  explicit Guard(Limits limits = {}) : limits_(limits) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  std::uint64_t limit(Limit limit) const { return limits_[limit]; }
  void refused(Limit limit) { ++refusals_[static_cast<std::size_t>(limit)]; }
  std::uint64_t refusals(Limit limit) const { return refusals_[static_cast<std::size_t>(limit)]; }

  // Peers that never make room for others, by who wants them kept; an empty set forgets `who`.
  void protect(const std::string& who, std::set<PeerId> peers);
  bool is_protected(const PeerId& peer) const;

  // Addresses. A source is what limits per address count by: an IPv4 address or an IPv6 /64. Loopback has
  // some too, which are counted and spared.
  static std::string source_of(const Multiaddr& address);
  // Which limit another inbound connection from there meets, if any. Takes from the source's rate.
  std::optional<Limit> admit_connection(const std::string& source, TimePoint now);
  // It was refused for another reason: it gets back what admitting it took.
  void connection_refused(const std::string& source, TimePoint now);
  // The same once it is decided: every one that opened is closed; `handshake` as long as it is one.
  void connection_opened(const std::string& source);
  void handshake_ended(const std::string& source);
  void connection_closed(const std::string& source);
  // An attack came from there: it may connect less often.
  void penalize(const std::string& source, TimePoint now);
  std::size_t connections_of(const std::string& source) const;
  // The one with the most connections; empty when there are none.
  std::string most_crowded() const;

  // Inbound streams. Which limit another one meets, if any.
  std::optional<Limit> admit_stream(const PeerId& peer) const;
  void stream_opened(const PeerId& peer);
  void stream_closed(const PeerId& peer);
  // Bytes that arrived and were not read yet, more or fewer. Which limit is passed now, if any.
  std::optional<Limit> count_unread(const PeerId& peer, std::int64_t change);
  std::uint64_t unread() const { return unread_; }
  // Who holds the most unread bytes.
  std::optional<PeerId> greediest() const;

  // What a protocol of ours was asked. The reference stays.
  struct Protocol {
    std::uint64_t requests = 0;
    std::uint64_t answers = 0;
    std::uint64_t delayed = 0;   // for the rate
    std::uint64_t offences = 0;  // requests that broke the protocol
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::size_t open = 0;          // streams being served
    std::size_t most_of_peer = 0;  // of them, of one peer, ever
  };
  Protocol& protocol(const std::string& name) { return protocols_[name]; }
  const std::map<std::string, Protocol>& protocols() const { return protocols_; }

  // How much of a limit is used now; for limits per something, by whoever uses most. Rates have no use to
  // tell, and what the host counts itself it sets.
  std::uint64_t used(Limit limit) const;
  void set_used(Limit limit, std::uint64_t value) { used_[static_cast<std::size_t>(limit)] = value; }

 private:
  struct Source {
    explicit Source(std::uint64_t rate) : arrivals(rate) {}
    std::size_t connections = 0;
    std::size_t handshakes = 0;
    TokenBucket arrivals;
  };
  struct Peer {
    std::size_t streams = 0;
    std::uint64_t unread = 0;
  };
  Source& source(const std::string& name, TimePoint now);
  void drop_if_idle(std::map<PeerId, Peer>::iterator peer);

  Limits limits_;
  std::array<std::uint64_t, limit_count> refusals_{};
  std::array<std::uint64_t, limit_count> used_{};
  std::map<std::string, std::set<PeerId>> protected_;
  std::map<std::string, Source> sources_;
  std::map<PeerId, Peer> peers_;  // those that hold something
  std::map<std::string, Protocol> protocols_;
  std::size_t streams_ = 0;
  std::uint64_t unread_ = 0;
};

}  // namespace testudo::net
