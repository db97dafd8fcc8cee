#include "crypto/signing.h"

#include "crypto/hash.h"

namespace testudo::crypto {
namespace {

Digest signed_digest(std::string_view domain, ByteView message) {
  return Hasher(domain).bytes(message).finish();
}

}  // namespace

Signature sign(const KeyPair& key, std::string_view domain, ByteView message) {
  return key.sign(signed_digest(domain, message));
}

bool verify(const PublicKey& signer, std::string_view domain, ByteView message, const Signature& signature) {
  return signer.verify(signed_digest(domain, message), signature);
}

}  // namespace testudo::crypto
