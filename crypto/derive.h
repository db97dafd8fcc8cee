// All randomness of the protocol is derived, so that everybody can repeat every draw:
// seed = BLAKE2b(domain, run_id, round, attempt, beacon, peer), expanded by SeededRng. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/peer_id.h"

namespace testudo::crypto {

// `peer` is empty where the draw belongs to nobody in particular.
Digest derive_seed(std::string_view domain, const Digest& run_id, std::uint64_t round, std::uint64_t attempt,
                   const Digest& beacon, ByteView peer);
// The same with the bytes of the peer's multihash.
Digest derive_seed(std::string_view domain, const Digest& run_id, std::uint64_t round, std::uint64_t attempt,
                   const Digest& beacon, const PeerId& peer);

}  // namespace testudo::crypto
