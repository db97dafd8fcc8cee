#include "net/messages/misbehaviour.h"

#include "crypto/base/log.h"

namespace testudo::net {

namespace {
bool is_power_of_ten(std::uint64_t count) {
  while (count % 10 == 0) count /= 10;
  return count == 1;
}
}  // namespace

void Misbehaviour::note(const crypto::PeerId& peer, const Error& error) {
  if (error.code != ErrorCode::protocol && error.code != ErrorCode::limit &&
      error.code != ErrorCode::authentication) {
    return;
  }
  ++total_;
  if (counts_.size() >= max_peers && !counts_.contains(peer)) {
    counts_.clear();  // new identities are free: exact counts of that many are worth nothing
  }
  const std::uint64_t count = ++counts_[peer];
  if (is_power_of_ten(count)) {
    log::warn("{}: peer {} misbehaved ({} times so far): {}", where_, peer.to_text(), count, error.message);
  }
}

std::uint64_t Misbehaviour::count(const crypto::PeerId& peer) const {
  auto it = counts_.find(peer);
  return it == counts_.end() ? 0 : it->second;
}

}  // namespace testudo::net
