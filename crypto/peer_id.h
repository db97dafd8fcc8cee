// Ed25519 identities and peer ids, encoded exactly as libp2p does, so that its tools understand ours.
// Values; any thread.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/rng.h"

namespace testudo::crypto {

using Signature = ByteArray<64>;

class PublicKey {
 public:
  PublicKey() = default;
  explicit PublicKey(const ByteArray<32>& raw) : raw_(raw) {}
  // libp2p protobuf `PublicKey { Type = Ed25519, Data }`: `08 01 12 20 ‖ key`. Other key types are refused.
  static Result<PublicKey> from_protobuf(ByteView encoded);
  Bytes to_protobuf() const;
  const ByteArray<32>& raw() const { return raw_; }
  bool verify(ByteView message, const Signature& signature) const;
  auto operator<=>(const PublicKey&) const = default;

 private:
  ByteArray<32> raw_{};
};

// Identity multihash of the protobuf key: `00 24 08 01 12 20 ‖ key`, 38 bytes; text base58btc `12D3Koo…`.
// Only Ed25519 ids exist here, so an id carries its key. Ordered by its bytes: the roster's order.
class PeerId {
 public:
  PeerId() = default;
  explicit PeerId(const PublicKey& key) : key_(key) {}
  static Result<PeerId> from_multihash(ByteView encoded);
  // Accepts base58btc (`12D3Koo…`), and CIDv1 in base32 (`bafz…`) or base36 (`k51…`).
  static Result<PeerId> from_text(std::string_view text);
  Bytes to_multihash() const;
  std::string to_text() const;
  // The last eight characters: for logs and tables where the whole id would drown the rest.
  std::string short_text() const;
  const PublicKey& key() const { return key_; }
  auto operator<=>(const PeerId&) const = default;

 private:
  PublicKey key_;
};

// A key pair. The secret is wiped on destruction and never printed. Copyable on purpose: never implicitly.
class KeyPair {
 public:
  static KeyPair generate(Rng& rng);
  static KeyPair from_seed(const Digest& seed);
  // libp2p protobuf private key: `08 01 12 40 ‖ seed ‖ public` (and the older 96-byte form).
  static Result<KeyPair> from_protobuf(ByteView encoded);
  Bytes to_protobuf() const;
  KeyPair(KeyPair&& other) noexcept;
  KeyPair& operator=(KeyPair&& other) noexcept;
  KeyPair(const KeyPair&) = delete;
  KeyPair& operator=(const KeyPair&) = delete;
  ~KeyPair();
  KeyPair clone() const;

  const PublicKey& public_key() const { return public_; }
  PeerId peer_id() const { return PeerId(public_); }
  Signature sign(ByteView message) const;

  // `identity.key`: written with mode 0600, through a temporary file and rename.
  static Result<KeyPair> load(const std::string& path);
  Result<void> save(const std::string& path) const;

 private:
  KeyPair() = default;
  ByteArray<64> secret_{};  // seed ‖ public, libsodium's form
  PublicKey public_;
};

}  // namespace testudo::crypto

template <>
struct std::hash<testudo::crypto::PeerId> {
  std::size_t operator()(const testudo::crypto::PeerId& id) const noexcept;
};
