// Signatures on our own protocol's messages. What is signed is BLAKE2b over the domain and the message, so
// a signature given for one purpose never counts for another. Any thread.
#pragma once

#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/peer_id.h"

namespace testudo::crypto {

Signature sign(const KeyPair& key, std::string_view domain, ByteView message);
[[nodiscard]] bool verify(const PublicKey& signer, std::string_view domain, ByteView message,
                          const Signature& signature);

}  // namespace testudo::crypto
