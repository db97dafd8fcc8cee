#include "crypto/noise.h"

#include <sodium.h>

#include <limits>

#include "crypto/base/check.h"
#include "crypto/hash.h"
#include "crypto/sodium_init.h"

namespace testudo::crypto {
namespace {

constexpr std::string_view kProtocol = "Noise_XX_25519_ChaChaPoly_SHA256";
static_assert(kProtocol.size() == sizeof(Digest));  // so it is h and ck without hashing
constexpr std::size_t kKey = 32;

Secret<32> hmac(ByteView key, ByteView first, ByteView second) {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, first.data(), first.size());
  crypto_auth_hmacsha256_update(&state, second.data(), second.size());
  Secret<32> out;
  crypto_auth_hmacsha256_final(&state, out.bytes.data());
  sodium_memzero(&state, sizeof(state));
  return out;
}

struct TwoKeys {
  Secret<32> first, second;
};

// Noise's HKDF with two outputs.
TwoKeys derive(const Secret<32>& chaining_key, ByteView input) {
  constexpr ByteArray<1> kOne{1}, kTwo{2};
  const Secret<32> temporary = hmac(chaining_key.bytes, input, {});
  TwoKeys keys;
  keys.first = hmac(temporary.bytes, kOne, {});
  keys.second = hmac(temporary.bytes, keys.first.bytes, kTwo);
  return keys;
}

DhKeyPair fresh_keys() {
  SystemRng rng;
  return DhKeyPair::generate(rng);
}

}  // namespace

// The last nonce is reserved, so the counter stops there and never wraps.
Result<void> CipherState::check_nonce() const {
  if (nonce_ == std::numeric_limits<std::uint64_t>::max()) {
    return fail(ErrorCode::limit, "noise: the nonces of this key are used up");
  }
  return {};
}

Result<void> CipherState::encrypt(ByteView ad, ByteView head, ByteView body, MutableByteView out) {
  TRY_VOID(check_nonce());
  aead_.seal(Aead::nonce(nonce_++), ad, head, body, out);
  return {};
}

Result<void> CipherState::decrypt(ByteView ad, ByteView sealed, MutableByteView out) {
  TRY_VOID(decrypt_head(ad, {}, {}));
  return decrypt_rest(sealed, out);
}

Result<void> CipherState::decrypt_head(ByteView ad, ByteView sealed, MutableByteView out) {
  TRY_VOID(check_nonce());
  aead_.open_head(Aead::nonce(nonce_), ad, sealed, out);
  return {};
}

Result<void> CipherState::decrypt_rest(ByteView sealed, MutableByteView out) {
  if (!aead_.open_rest(sealed, out)) {
    return fail(ErrorCode::authentication, "noise: a message that does not decrypt");
  }
  ++nonce_;
  return {};
}

void CipherState::skip_to(std::uint64_t nonce) {
  TESTUDO_CHECK(nonce >= nonce_);
  nonce_ = nonce;
}

NoiseXX::NoiseXX(NoiseRole role, DhKeyPair static_keys, ByteView prologue, std::optional<DhKeyPair> ephemeral)
    : role_(role),
      static_(std::move(static_keys)),
      ephemeral_(ephemeral ? *std::move(ephemeral) : fresh_keys()) {
  ensure_sodium();
  std::ranges::copy(as_bytes(kProtocol), hash_.begin());
  chaining_key_.bytes = hash_;
  mix_hash(prologue);
}

void NoiseXX::mix_hash(ByteView data) {
  Bytes both = to_bytes(ByteView(hash_));
  append(both, data);
  hash_ = sha256(both);
}

void NoiseXX::mix_key(const Secret<32>& input) {
  const TwoKeys keys = derive(chaining_key_, input.bytes);
  chaining_key_ = keys.first;
  cipher_.emplace(keys.second.bytes);
}

Result<void> NoiseXX::agree(const DhKeyPair& ours, const std::optional<DhPublicKey>& theirs) {
  TESTUDO_CHECK(theirs.has_value());
  auto shared = ours.agree(*theirs);
  if (!shared) return fail(std::move(shared).error().in("noise"));
  mix_key(*shared);
  return {};
}

// EncryptAndHash: before the first key the text travels as it is.
Result<void> NoiseXX::append_sealed(Bytes& out, ByteView plain) {
  const std::size_t start = out.size();
  if (cipher_) {
    out.resize(start + plain.size() + kNoiseTag);
    TRY_VOID(cipher_->encrypt(hash_, plain, MutableByteView(out).subspan(start)));
  } else {
    append(out, plain);
  }
  mix_hash(ByteView(out).subspan(start));
  return {};
}

// DecryptAndHash of the next `size` bytes.
Result<Bytes> NoiseXX::take_sealed(ByteView& message, std::size_t size) {
  if (message.size() < size) return fail(ErrorCode::protocol, "noise: handshake message cut short");
  const ByteView sealed = message.first(size);
  message = message.subspan(size);
  if (!cipher_) {
    mix_hash(sealed);
    return to_bytes(sealed);
  }
  if (size < kNoiseTag) return fail(ErrorCode::protocol, "noise: handshake message cut short");
  Bytes plain(size - kNoiseTag);
  TRY_VOID(cipher_->decrypt(hash_, sealed, plain));
  mix_hash(sealed);
  return plain;
}

Result<Bytes> NoiseXX::write_message(ByteView payload) {
  if (failed_) return fail(ErrorCode::closed, "noise: the handshake has failed");
  TESTUDO_CHECK(our_turn());
  auto message = write(payload);
  failed_ = !message;
  if (message) ++next_;
  return message;
}

Result<Bytes> NoiseXX::write(ByteView payload) {
  // The largest message (2) has an ephemeral key, a sealed static key and a tag around its payload.
  if (payload.size() > kNoiseMaxMessage - (kKey + kKey + kNoiseTag + kNoiseTag)) {
    return fail(ErrorCode::limit, "noise: a payload of " + std::to_string(payload.size()) + " bytes");
  }
  Bytes out;
  if (next_ < 2) {
    append(out, ephemeral_.public_key());
    mix_hash(ephemeral_.public_key());
  }
  if (next_ == 1) {
    TRY_VOID(agree(ephemeral_, remote_ephemeral_));  // ee
    TRY_VOID(append_sealed(out, static_.public_key()));
    TRY_VOID(agree(static_, remote_ephemeral_));  // es
  } else if (next_ == 2) {
    TRY_VOID(append_sealed(out, static_.public_key()));
    TRY_VOID(agree(static_, remote_ephemeral_));  // se
  }
  TRY_VOID(append_sealed(out, payload));
  return out;
}

Result<Bytes> NoiseXX::read_message(ByteView message) {
  if (failed_) return fail(ErrorCode::closed, "noise: the handshake has failed");
  if (finished() || our_turn()) {
    failed_ = true;
    return fail(ErrorCode::protocol, "noise: a handshake message out of turn");
  }
  auto payload = read(message);
  failed_ = !payload;
  if (payload) ++next_;
  return payload;
}

Result<Bytes> NoiseXX::read(ByteView message) {
  if (message.size() > kNoiseMaxMessage) return fail(ErrorCode::limit, "noise: handshake message too long");
  if (next_ < 2) {
    if (message.size() < kKey) return fail(ErrorCode::protocol, "noise: handshake message cut short");
    DhPublicKey key;
    std::ranges::copy(message.first(kKey), key.begin());
    message = message.subspan(kKey);
    remote_ephemeral_ = key;
    mix_hash(key);
  }
  if (next_ > 0) {
    if (next_ == 1) {
      TRY_VOID(agree(ephemeral_, remote_ephemeral_));  // ee
    }
    TRY(const Bytes sealed_static, take_sealed(message, kKey + kNoiseTag));
    DhPublicKey key;
    std::ranges::copy(sealed_static, key.begin());
    remote_static_ = key;
    TRY_VOID(agree(ephemeral_, remote_static_));  // es for the initiator, se for the responder
  }
  return take_sealed(message, message.size());
}

const Digest& NoiseXX::handshake_hash() const {
  TESTUDO_CHECK(finished());
  return hash_;
}

NoiseXX::Transport NoiseXX::split() {
  TESTUDO_CHECK(finished() && !was_split_);
  was_split_ = true;
  const TwoKeys keys = derive(chaining_key_, {});
  wipe(chaining_key_.bytes);
  cipher_.reset();
  CipherState initiators(keys.first.bytes), responders(keys.second.bytes);
  if (role_ == NoiseRole::initiator) return {std::move(initiators), std::move(responders)};
  return {std::move(responders), std::move(initiators)};
}

}  // namespace testudo::crypto
