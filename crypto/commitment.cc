#include "crypto/commitment.h"

#include "crypto/hash.h"

namespace testudo::crypto {

Opening Opening::draw(Rng& rng) {
  Opening opening;
  rng.fill(opening.coin);
  rng.fill(opening.salt);
  return opening;
}

Digest commit(const PeerId& id, std::uint64_t round, std::uint64_t attempt, const Opening& opening) {
  return Hasher("testudo coin commitment")
      .bytes(id.to_multihash())
      .integer(round)
      .integer(attempt)
      .bytes(opening.coin)
      .bytes(opening.salt)
      .finish();
}

bool verify_commitment(const Digest& commitment, const PeerId& id, std::uint64_t round, std::uint64_t attempt,
                       const Opening& opening) {
  return commit(id, round, attempt, opening) == commitment;
}

}  // namespace testudo::crypto
