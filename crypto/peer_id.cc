#include "crypto/peer_id.h"

#include <sodium.h>

#include <cstring>

#include "crypto/base/check.h"
#include "crypto/base/encoding.h"
#include "crypto/base/file.h"
#include "crypto/sodium_init.h"
#include "crypto/verified_signatures.h"

namespace testudo::crypto {
namespace {

constexpr ByteArray<4> kPublicHeader{0x08, 0x01, 0x12, 0x20};
constexpr ByteArray<4> kPrivateHeader{0x08, 0x01, 0x12, 0x40};
constexpr ByteArray<4> kOldPrivateHeader{0x08, 0x01, 0x12, 0x60};  // seed ‖ public ‖ public
constexpr ByteArray<2> kIdentityHeader{0x00, 0x24};
constexpr ByteArray<2> kCidHeader{0x01, 0x72};  // CIDv1, codec libp2p-key
constexpr std::size_t kPublicSize = 36;
constexpr std::size_t kMaxText = 128;  // the longest form, base32, has 65 characters
constexpr std::size_t kMaxKeyFile = 1024;

bool starts_with(ByteView bytes, ByteView prefix) {
  return bytes.size() >= prefix.size() && equal(bytes.first(prefix.size()), prefix);
}

// Wipes a buffer of secret bytes when it goes out of scope.
struct Wiped {
  explicit Wiped(Bytes content) : bytes(std::move(content)) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { sodium_memzero(bytes.data(), bytes.size()); }
  Bytes bytes;
};

}  // namespace

Result<PublicKey> PublicKey::from_protobuf(ByteView encoded) {
  if (encoded.size() >= 2 && encoded[0] == 0x08 && (encoded[1] == 0 || encoded[1] == 2 || encoded[1] == 3)) {
    constexpr std::string_view kNames[] = {"RSA", "Ed25519", "secp256k1", "ECDSA"};
    return fail(ErrorCode::refused,
                "public key: " + std::string(kNames[encoded[1]]) + " keys are not supported, only Ed25519");
  }
  // The encoding is deterministic (libp2p peer-ids), so an Ed25519 key has exactly these 36 bytes.
  if (encoded.size() != kPublicSize || !starts_with(encoded, kPublicHeader)) {
    return fail(ErrorCode::protocol, "public key: not an Ed25519 key in libp2p's encoding");
  }
  ByteArray<32> raw;
  std::memcpy(raw.data(), encoded.data() + kPublicHeader.size(), raw.size());
  return PublicKey(raw);
}

Bytes PublicKey::to_protobuf() const {
  Bytes out = to_bytes(ByteView(kPublicHeader));
  append(out, raw_);
  return out;
}

bool PublicKey::verify(ByteView message, const Signature& signature) const {
  ensure_sodium();
  const auto computed = [&] {
    return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), raw_.data()) == 0;
  };
  return VerifiedSignatures::exist() ? VerifiedSignatures::check(*this, message, signature, computed)
                                     : computed();
}

Result<PeerId> PeerId::from_multihash(ByteView encoded) {
  if (encoded.size() == 34 && encoded[0] == 0x12 && encoded[1] == 0x20) {
    return fail(ErrorCode::refused, "peer id: hashed ids (RSA, ECDSA) are not supported, only Ed25519");
  }
  if (!starts_with(encoded, kIdentityHeader)) {
    return fail(ErrorCode::protocol, "peer id: not an identity multihash of 36 bytes");
  }
  auto key = PublicKey::from_protobuf(encoded.subspan(kIdentityHeader.size()));
  if (!key) return fail(std::move(key).error().in("peer id"));
  return PeerId(*key);
}

Result<PeerId> PeerId::from_text(std::string_view text) {
  if (text.empty() || text.size() > kMaxText) {
    return fail(ErrorCode::invalid_argument,
                "peer id: text of " + std::to_string(text.size()) + " characters");
  }
  const bool cid = text[0] == 'b' || text[0] == 'k';  // a base58 multihash starts with 1 or Q
  auto bytes = text[0] == 'b'   ? from_base32(text.substr(1))
               : text[0] == 'k' ? from_base36(text.substr(1))
                                : from_base58(text);
  if (!bytes) return fail(std::move(bytes).error().in("peer id"));
  if (!cid) return from_multihash(*bytes);
  if (!starts_with(*bytes, kCidHeader)) {
    return fail(ErrorCode::invalid_argument, "peer id: not a CIDv1 of a libp2p key");
  }
  return from_multihash(ByteView(*bytes).subspan(kCidHeader.size()));
}

Bytes PeerId::to_multihash() const {
  Bytes out = to_bytes(ByteView(kIdentityHeader));
  append(out, key_.to_protobuf());
  return out;
}

std::string PeerId::to_text() const { return to_base58(to_multihash()); }

std::string PeerId::short_text() const {
  const std::string text = to_text();
  return text.substr(text.size() - 8);
}

KeyPair KeyPair::generate(Rng& rng) {
  Digest seed;
  rng.fill(seed);
  KeyPair pair = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  return pair;
}

KeyPair KeyPair::from_seed(const Digest& seed) {
  ensure_sodium();
  KeyPair pair;
  ByteArray<32> raw;
  crypto_sign_seed_keypair(raw.data(), pair.secret_.data(), seed.data());
  pair.public_ = PublicKey(raw);
  return pair;
}

Result<KeyPair> KeyPair::from_protobuf(ByteView encoded) {
  const bool current = encoded.size() == 68 && starts_with(encoded, kPrivateHeader);
  const bool old = encoded.size() == 100 && starts_with(encoded, kOldPrivateHeader);
  if (!current && !old) {
    return fail(ErrorCode::invalid_argument, "private key: not an Ed25519 key in libp2p's encoding (" +
                                                 std::to_string(encoded.size()) + " bytes, expected 68)");
  }
  const ByteView body = encoded.subspan(kPrivateHeader.size());
  Digest seed;
  std::memcpy(seed.data(), body.data(), seed.size());
  KeyPair pair = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  for (ByteView stored = body.subspan(32); !stored.empty(); stored = stored.subspan(32)) {
    if (!equal(stored.first(32), pair.public_.raw())) {
      return fail(ErrorCode::corrupt, "private key: the public half does not belong to the secret half");
    }
  }
  return pair;
}

Bytes KeyPair::to_protobuf() const {
  Bytes out;
  out.reserve(kPrivateHeader.size() + secret_.size());
  append(out, kPrivateHeader);
  append(out, secret_);
  return out;
}

KeyPair::KeyPair(KeyPair&& other) noexcept : secret_(other.secret_), public_(other.public_) {
  sodium_memzero(other.secret_.data(), other.secret_.size());
}

KeyPair& KeyPair::operator=(KeyPair&& other) noexcept {
  if (this != &other) {
    secret_ = other.secret_;
    public_ = other.public_;
    sodium_memzero(other.secret_.data(), other.secret_.size());
  }
  return *this;
}

KeyPair::~KeyPair() { sodium_memzero(secret_.data(), secret_.size()); }

KeyPair KeyPair::clone() const {
  KeyPair copy;
  copy.secret_ = secret_;
  copy.public_ = public_;
  return copy;
}

Signature KeyPair::sign(ByteView message) const {
  ensure_sodium();
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret_.data());
  return signature;
}

Result<KeyPair> KeyPair::load(const std::string& path) {
  auto content = read_file(path, kMaxKeyFile);
  if (!content) return fail(std::move(content).error().in("identity key"));
  const Wiped file(*std::move(content));
  auto pair = from_protobuf(file.bytes);
  if (!pair) {
    Error error = std::move(pair).error();
    error.code = ErrorCode::corrupt;
    return fail(std::move(error).in("identity key " + path));
  }
  return pair;
}

Result<void> KeyPair::save(const std::string& path) const {
  const Wiped encoded(to_protobuf());
  auto written = write_file(path, encoded.bytes, 0600);
  if (!written) return fail(std::move(written).error().in("identity key"));
  return {};
}

}  // namespace testudo::crypto

std::size_t std::hash<testudo::crypto::PeerId>::operator()(const testudo::crypto::PeerId& id) const noexcept {
  // The same in every process, so that a simulation replays; tables keyed by peer ids are bounded, so
  // chosen collisions cannot make them slow.
  std::uint64_t mixed = 0;
  for (std::size_t i = 0; i < 32; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, id.key().raw().data() + i, 8);
    mixed = (mixed ^ word) * 0x9e3779b97f4a7c15u;
    mixed ^= mixed >> 32;
  }
  return static_cast<std::size_t>(mixed);
}
