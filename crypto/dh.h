// X25519 key agreement. A key pair belongs to one owner; its secret is wiped.
#pragma once

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/rng.h"
#include "crypto/secret.h"

namespace testudo::crypto {

using DhPublicKey = ByteArray<32>;

class DhKeyPair {
 public:
  static DhKeyPair generate(Rng& rng);
  static DhKeyPair from_secret(const ByteArray<32>& secret);
  DhKeyPair(DhKeyPair&& other) noexcept;
  DhKeyPair& operator=(DhKeyPair&& other) noexcept;
  DhKeyPair(const DhKeyPair&) = delete;
  DhKeyPair& operator=(const DhKeyPair&) = delete;
  ~DhKeyPair() = default;
  DhKeyPair clone() const;

  const DhPublicKey& public_key() const { return public_; }
  // Error authentication: their key is a point of small order, so that the secret would be all zeros
  // whatever our key is.
  Result<Secret<32>> agree(const DhPublicKey& theirs) const;

 private:
  DhKeyPair() = default;
  Secret<32> secret_;
  DhPublicKey public_{};
};

}  // namespace testudo::crypto
