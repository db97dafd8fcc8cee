// Misbehaviour: who broke a protocol how often. The log names the peer at its 1st, 10th, 100th… offence, so
// that a hostile peer cannot fill it. Bounded. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "crypto/base/result.h"
#include "crypto/peer_id.h"

namespace testudo::net {

class Misbehaviour {
 public:
  static constexpr std::size_t max_peers = 4096;

  explicit Misbehaviour(std::string where) : where_(std::move(where)) {}
  // Counts the error if it is the peer's fault; a lost connection or a timeout is nobody's.
  void note(const crypto::PeerId& peer, const Error& error);
  std::uint64_t count(const crypto::PeerId& peer) const;
  std::uint64_t total() const { return total_; }

 private:
  std::string where_;
  std::map<crypto::PeerId, std::uint64_t> counts_;
  std::uint64_t total_ = 0;
};

}  // namespace testudo::net
