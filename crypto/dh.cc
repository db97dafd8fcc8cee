#include "crypto/dh.h"

#include <sodium.h>

#include "crypto/sodium_init.h"

namespace testudo::crypto {

DhKeyPair DhKeyPair::generate(Rng& rng) {
  Secret<32> secret;
  rng.fill(secret.bytes);
  return from_secret(secret.bytes);
}

DhKeyPair DhKeyPair::from_secret(const ByteArray<32>& secret) {
  ensure_sodium();
  DhKeyPair pair;
  pair.secret_.bytes = secret;
  crypto_scalarmult_base(pair.public_.data(), secret.data());
  return pair;
}

DhKeyPair DhKeyPair::clone() const {
  DhKeyPair copy;
  copy.secret_ = secret_;
  copy.public_ = public_;
  return copy;
}

DhKeyPair::DhKeyPair(DhKeyPair&& other) noexcept : secret_(other.secret_), public_(other.public_) {
  wipe(other.secret_.bytes);
}

DhKeyPair& DhKeyPair::operator=(DhKeyPair&& other) noexcept {
  if (this != &other) {
    secret_ = other.secret_;
    public_ = other.public_;
    wipe(other.secret_.bytes);
  }
  return *this;
}

Result<Secret<32>> DhKeyPair::agree(const DhPublicKey& theirs) const {
  Secret<32> shared;
  // libsodium returns an error for points of small order.
  if (crypto_scalarmult(shared.bytes.data(), secret_.bytes.data(), theirs.data()) != 0 ||
      sodium_is_zero(shared.bytes.data(), shared.bytes.size()) != 0) {
    return fail(ErrorCode::authentication, "x25519: a public key of small order");
  }
  return shared;
}

}  // namespace testudo::crypto
