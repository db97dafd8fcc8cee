// Hashes. BLAKE2b-256 is the protocol's own; SHA-256 is libp2p's (DHT keys, Noise).
#pragma once

#include <initializer_list>
#include <string_view>

#include "crypto/base/bytes.h"

namespace testudo::crypto {

Digest blake2b(ByteView data);
Digest sha256(ByteView data);

// BLAKE2b-256 over fields that cannot run into each other: the domain and every byte field are hashed
// behind their length (eight bytes, big endian), integers as eight bytes big endian.
class Hasher {
 public:
  explicit Hasher(std::string_view domain);
  Hasher& bytes(ByteView field);
  Hasher& integer(std::uint64_t field);
  Digest finish();  // once; nothing may be added afterwards

 private:
  alignas(64) ByteArray<384> state_;  // crypto_generichash_state, kept out of this header
  bool finished_ = false;
};

}  // namespace testudo::crypto
