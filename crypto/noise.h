// Noise_XX_25519_ChaChaPoly_SHA256 (noiseprotocol.org, revision 34) as a sans-IO machine: bytes in, bytes
// out; no sockets, no clock. One owner and one thread at a time.
//
//   -> e            message 1, initiator; the payload is not secret
//   <- e, ee, s, es message 2, responder
//   -> s, se        message 3, initiator; then both split()
//
// Framing (a length before each message) and what the payloads mean are the caller's.
#pragma once

#include <optional>

#include "crypto/aead.h"
#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/dh.h"

namespace testudo::crypto {

enum class NoiseRole { initiator, responder };

inline constexpr std::size_t kNoiseMaxMessage = 65535;
inline constexpr std::size_t kNoiseTag = Aead::kTagSize;

// One direction of a connection: a key and the counter of messages under it.
class CipherState {
 public:
  explicit CipherState(const Digest& key) : aead_(key) {}

  // `out` as in Aead::seal and Aead::open. Error limit: the nonces are used up, the connection must end.
  Result<void> encrypt(ByteView ad, ByteView plain, MutableByteView out) {
    return encrypt(ad, plain, {}, out);
  }
  Result<void> encrypt(ByteView ad, ByteView head, ByteView body, MutableByteView out);
  // Error authentication: not what the other side sealed next; the counter stays, the connection must end.
  Result<void> decrypt(ByteView ad, ByteView sealed, MutableByteView out);
  // The same in steps, as Aead::open_head, open_more and open_rest.
  Result<void> decrypt_head(ByteView ad, ByteView sealed, MutableByteView out);
  void decrypt_more(ByteView sealed, MutableByteView out) { aead_.open_more(sealed, out); }
  Result<void> decrypt_rest(ByteView sealed, MutableByteView out);

  std::uint64_t next_nonce() const { return nonce_; }
  // Only forward: a nonce is never used twice.
  void skip_to(std::uint64_t nonce);

 private:
  Result<void> check_nonce() const;

  Aead aead_;
  std::uint64_t nonce_ = 0;
};

class NoiseXX {
 public:
  // A fixed ephemeral key is for tests against vectors; without one it is drawn from the system.
  NoiseXX(NoiseRole role, DhKeyPair static_keys, ByteView prologue,
          std::optional<DhKeyPair> ephemeral = std::nullopt);

  // The next message of the handshake around `payload`. Error limit: longer than kNoiseMaxMessage.
  // REQUIRES: it is our turn.
  Result<Bytes> write_message(ByteView payload);
  // Its payload. After an error the handshake is over and every later call fails.
  Result<Bytes> read_message(ByteView message);

  bool our_turn() const { return !finished() && (next_ % 2 == 0) == (role_ == NoiseRole::initiator); }
  bool finished() const { return next_ == 3; }
  // The other side's static key, known after its second (responder: third) message was read.
  const std::optional<DhPublicKey>& remote_static() const { return remote_static_; }
  // Binds this very handshake: both sides have the same. REQUIRES: finished().
  const Digest& handshake_hash() const;

  struct Transport {
    CipherState send, receive;
  };
  // The keys of the connection; once. REQUIRES: finished().
  Transport split();

 private:
  // Noise's SymmetricState: chaining key, transcript hash, and the current key with its counter.
  void mix_hash(ByteView data);
  void mix_key(const Secret<32>& input);
  Result<void> agree(const DhKeyPair& ours, const std::optional<DhPublicKey>& theirs);
  Result<void> append_sealed(Bytes& out, ByteView plain);
  Result<Bytes> take_sealed(ByteView& message, std::size_t size);

  Result<Bytes> write(ByteView payload);
  Result<Bytes> read(ByteView message);

  NoiseRole role_;
  DhKeyPair static_;
  DhKeyPair ephemeral_;
  std::optional<DhPublicKey> remote_ephemeral_;
  std::optional<DhPublicKey> remote_static_;
  Digest hash_{};
  Secret<32> chaining_key_;
  std::optional<CipherState> cipher_;
  int next_ = 0;  // the message that comes next, 0..2; 3 = finished
  bool failed_ = false;
  bool was_split_ = false;
};

}  // namespace testudo::crypto
