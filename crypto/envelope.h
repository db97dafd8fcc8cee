// libp2p's signed envelope (RFC 0002): a payload, its type, and the signature of a key over both and a
// domain. Identify's peer records, relay vouchers and our own records travel in it. Values; any thread.
#pragma once

#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/peer_id.h"

namespace testudo::crypto {

inline constexpr std::size_t kMaxEnvelope = std::size_t{1} << 20;

struct Envelope {
  PublicKey signer;
  Bytes payload_type;
  Bytes payload;
};

Bytes seal_envelope(const KeyPair& key, std::string_view domain, ByteView payload_type, ByteView payload);
// The content, after its signature was checked. Errors: limit (over kMaxEnvelope), protocol (malformed),
// refused (not an Ed25519 key), authentication (signature).
Result<Envelope> open_envelope(ByteView encoded, std::string_view domain);

}  // namespace testudo::crypto
