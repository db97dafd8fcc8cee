// Upgrade: what turns a raw connection into an authenticated one that carries Yamux. multistream agrees on
// /noise, Noise proves who is who, and the muxer is agreed on in Noise's payload or, if a side is silent
// there, by multistream inside. Sans-IO; one owner, one thread.
#pragma once

#include <optional>

#include "net/negotiation/multistream.h"
#include "net/security/noise_frames.h"
#include "net/security/noise_handshake.h"

namespace testudo::net {

class Upgrade {
 public:
  struct Options {
    crypto::NoiseRole role = crypto::NoiseRole::initiator;
    std::optional<crypto::PeerId> expected;
    bool advertise_muxer = true;  // off: as implementations without the extension do
  };
  Upgrade(const NoiseIdentity& identity, Options options);

  // Takes what belongs to the upgrade, decrypting in place, and returns how much that was. What is not
  // taken comes again with more behind it, or belongs to the muxer.
  Result<std::size_t> receive(MutableByteView bytes);
  Bytes take_output();
  bool done() const { return step_ == Step::done; }
  // What it was doing, for errors.
  std::string_view step_name() const;

  // REQUIRES: done(); once.
  struct Upgraded {
    crypto::PeerId peer;
    FrameSealer sealer;
    FrameOpener opener;
    Bytes early;  // decrypted bytes of the muxer that came along with the negotiation
  };
  Upgraded take();

 private:
  enum class Step { choose_security, handshake, choose_muxer, done };
  Result<std::size_t> advance(MutableByteView bytes);
  Result<void> start_muxer();
  Result<std::size_t> receive_sealed(MutableByteView bytes);
  Result<void> seal_output();
  Multistream negotiate(std::string protocol) const;

  crypto::NoiseRole role_;
  Step step_ = Step::choose_security;
  Multistream multistream_;
  NoiseHandshake handshake_;
  bool advertise_muxer_;
  std::optional<FrameSealer> sealer_;
  std::optional<FrameOpener> opener_;
  Bytes early_;
  Bytes output_;
};

}  // namespace testudo::net
