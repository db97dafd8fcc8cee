// Commit–reveal for the beacon's coins: everybody commits before anybody reveals, so nobody chooses a coin
// knowing another's. The id, round and attempt are hashed in, or a member could copy another's commitment
// (and later its reveal) or use one twice; the salt keeps a guessable coin hidden. Any thread.
#pragma once

#include <cstdint>

#include "crypto/base/bytes.h"
#include "crypto/peer_id.h"
#include "crypto/rng.h"

namespace testudo::crypto {

struct Opening {
  Digest coin{};
  Digest salt{};
  auto operator<=>(const Opening&) const = default;

  static Opening draw(Rng& rng);
};

Digest commit(const PeerId& id, std::uint64_t round, std::uint64_t attempt, const Opening& opening);
[[nodiscard]] bool verify_commitment(const Digest& commitment, const PeerId& id, std::uint64_t round,
                                     std::uint64_t attempt, const Opening& opening);

}  // namespace testudo::crypto
