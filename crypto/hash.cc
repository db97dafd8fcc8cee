#include "crypto/hash.h"

#include <sodium.h>

#include "crypto/base/check.h"
#include "crypto/sodium_init.h"

namespace testudo::crypto {
namespace {

static_assert(sizeof(crypto_generichash_state) == 384 && alignof(crypto_generichash_state) <= 64);

crypto_generichash_state* state_of(ByteArray<384>& storage) {
  return reinterpret_cast<crypto_generichash_state*>(storage.data());
}

ByteArray<8> big_endian(std::uint64_t value) {
  ByteArray<8> bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return bytes;
}

}  // namespace

Digest blake2b(ByteView data) {
  ensure_sodium();
  Digest digest;
  crypto_generichash(digest.data(), digest.size(), data.data(), data.size(), nullptr, 0);
  return digest;
}

Digest sha256(ByteView data) {
  ensure_sodium();
  Digest digest;
  crypto_hash_sha256(digest.data(), data.data(), data.size());
  return digest;
}

Hasher::Hasher(std::string_view domain) {
  ensure_sodium();
  crypto_generichash_init(state_of(state_), nullptr, 0, sizeof(Digest));
  bytes(as_bytes(domain));
}

Hasher& Hasher::bytes(ByteView field) {
  TESTUDO_CHECK(!finished_);
  const auto length = big_endian(field.size());
  crypto_generichash_update(state_of(state_), length.data(), length.size());
  if (!field.empty()) crypto_generichash_update(state_of(state_), field.data(), field.size());
  return *this;
}

Hasher& Hasher::integer(std::uint64_t field) {
  TESTUDO_CHECK(!finished_);
  const auto encoded = big_endian(field);
  crypto_generichash_update(state_of(state_), encoded.data(), encoded.size());
  return *this;
}

Digest Hasher::finish() {
  TESTUDO_CHECK(!finished_);
  finished_ = true;
  Digest digest;
  crypto_generichash_final(state_of(state_), digest.data(), digest.size());
  return digest;
}

}  // namespace testudo::crypto
