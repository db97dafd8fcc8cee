#include "net/host/peer_rates.h"

#include "net/async/event.h"

namespace testudo::net {

TokenBucket& PeerRates::bucket(const PeerId& peer) {
  if (buckets_.size() >= max_peers && !buckets_.contains(peer)) {
    const TimePoint now = host_.scheduler().now();
    std::erase_if(buckets_, [now](const auto& entry) { return entry.second.full(now); });
    if (buckets_.size() >= max_peers) buckets_.clear();
  }
  return buckets_.try_emplace(peer, per_second_).first->second;
}

void PeerRates::charge(const PeerId& peer, double weight) {
  bucket(peer).take(host_.scheduler().now(), weight);
}

Task<bool> PeerRates::admit(PeerId peer, double weight) {
  Scheduler& scheduler = host_.scheduler();
  TokenBucket& owned = bucket(peer);
  const Duration wait = owned.take(scheduler.now(), weight);
  if (wait == Duration(0)) co_return true;
  host_.guard().refused(limit_);
  ++host_.guard().protocol(protocol_).delayed;
  if (owned.hopeless()) {
    host_.disconnect_for(
        peer, Error{ErrorCode::limit, "more than " + std::to_string(per_second_) + " a second on " +
                                          protocol_ + ", and it does not wait"});
    co_return false;
  }
  co_await sleep_for(scheduler, wait);
  co_return true;
}

}  // namespace testudo::net
