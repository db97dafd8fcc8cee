// Places in the key space: SHA-256 of what is looked for (a peer id's multihash, a value's key), compared by
// XOR distance. Values; any thread.
#pragma once

#include <bit>

#include "crypto/hash.h"
#include "crypto/peer_id.h"

namespace testudo::dht {

using crypto::PeerId;
using Place = Digest;

inline Place place_of(ByteView key) { return crypto::sha256(key); }
inline Place place_of(const PeerId& peer) { return crypto::sha256(peer.to_multihash()); }

inline Digest distance(const Place& a, const Place& b) {
  Digest result;
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = a[i] ^ b[i];
  return result;
}
// Leading bits that both have in common, 0 to 256.
inline std::size_t common_prefix(const Place& a, const Place& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto difference = static_cast<std::uint8_t>(a[i] ^ b[i]);
    if (difference != 0) return 8 * i + static_cast<std::size_t>(std::countl_zero(difference));
  }
  return 8 * a.size();
}

}  // namespace testudo::dht
