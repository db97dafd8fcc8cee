// PeerRates: how often each peer may ask one service for something. Who asks more often waits; who goes on
// all the same, so that waiting would never end, is disconnected. Loop thread only; the host outlives it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "net/host/host.h"

namespace testudo::net {

class PeerRates {
 public:
  // `protocol` is the name of the service's account; `rate` is another one than the limit's, in things a
  // second.
  PeerRates(Host& host, Limit limit, std::string protocol, std::optional<std::uint64_t> rate = std::nullopt)
      : host_(host),
        limit_(limit),
        protocol_(std::move(protocol)),
        per_second_(rate.value_or(host.guard().limit(limit))) {}

  // Until the peer may; false when it is being disconnected. `weight`: for how many of the usual ones it
  // counts.
  Task<bool> admit(PeerId peer, double weight = 1);
  // For what was found out to weigh more only after it was admitted.
  void charge(const PeerId& peer, double weight);

 private:
  // Names cost nothing: those that owe nothing are forgotten when there are so many.
  static constexpr std::size_t max_peers = 4096;
  TokenBucket& bucket(const PeerId& peer);

  Host& host_;
  Limit limit_;
  std::string protocol_;
  std::uint64_t per_second_;
  std::map<PeerId, TokenBucket> buckets_;
};

}  // namespace testudo::net
