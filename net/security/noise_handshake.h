// libp2p's Noise handshake: the XX pattern, with payloads that prove which identity owns the static key and
// name the muxers a side offers. Sans-IO; one owner, one thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crypto/noise.h"
#include "crypto/peer_id.h"

namespace testudo::net {

// What a host proves in each of its handshakes: that its identity owns this static key. The key is drawn and
// signed once and not for every connection: what was said stays secret by the ephemeral keys, which are
// new each time; the static key only shows who is there. Whoever reads it in our memory finds the identity
// key beside it; nobody but an authenticated peer ever sees its public half; it is never stored. Immutable.
class NoiseIdentity {
 public:
  NoiseIdentity(const crypto::KeyPair& identity);  // NOLINT: a key pair will do wherever one is needed once
  const crypto::DhKeyPair& static_keys() const { return static_keys_; }
  // The handshake payload: identity key, signature, and the muxers if any are to be named.
  Bytes payload(const std::vector<std::string>& muxers) const;

 private:
  crypto::DhKeyPair static_keys_;
  Bytes proof_;
};

class NoiseHandshake {
 public:
  // A handshake message is some 200 bytes; RSA keys and certificate hashes of others make it a few thousand.
  static constexpr std::size_t max_message = 8192;
  static constexpr std::size_t max_muxers = 16;

  // `expected`: who was dialled; anyone else fails with an authentication error that names both.
  NoiseHandshake(crypto::NoiseRole role, const NoiseIdentity& identity,
                 std::optional<crypto::PeerId> expected, const std::vector<std::string>& muxers);

  // Takes whole messages and returns how many bytes that were.
  Result<std::size_t> receive(ByteView bytes);
  Bytes take_output() { return std::exchange(output_, {}); }
  bool done() const { return noise_.finished(); }

  // REQUIRES: done().
  const crypto::PeerId& peer() const { return *peer_; }
  // Nothing if the peer sent no list: then multistream decides.
  const std::optional<std::vector<std::string>>& peer_muxers() const { return peer_muxers_; }
  crypto::NoiseXX::Transport split() { return noise_.split(); }

 private:
  Result<void> on_message(ByteView message);
  Result<void> write();
  Result<void> on_payload(ByteView payload);

  crypto::NoiseRole role_;
  crypto::NoiseXX noise_;
  Bytes payload_;     // ours
  int messages_ = 0;  // sent and received
  std::optional<crypto::PeerId> expected_;
  std::optional<crypto::PeerId> peer_;
  std::optional<std::vector<std::string>> peer_muxers_;
  Bytes output_;
};

}  // namespace testudo::net
