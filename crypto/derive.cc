#include "crypto/derive.h"

#include "crypto/hash.h"

namespace testudo::crypto {

Digest derive_seed(std::string_view domain, const Digest& run_id, std::uint64_t round, std::uint64_t attempt,
                   const Digest& beacon, ByteView peer) {
  return Hasher(domain).bytes(run_id).integer(round).integer(attempt).bytes(beacon).bytes(peer).finish();
}

Digest derive_seed(std::string_view domain, const Digest& run_id, std::uint64_t round, std::uint64_t attempt,
                   const Digest& beacon, const PeerId& peer) {
  return derive_seed(domain, run_id, round, attempt, beacon, peer.to_multihash());
}

}  // namespace testudo::crypto
