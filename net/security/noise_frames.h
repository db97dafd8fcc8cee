// Noise transport frames: a length of two bytes, then one sealed message. Sealing copies the plaintext once
// into the output and encrypts it there; opening decrypts where the bytes arrived. One owner, one thread.
#pragma once

#include <optional>

#include "crypto/noise.h"

namespace testudo::net {

inline constexpr std::size_t kMaxFramePlain = crypto::kNoiseMaxMessage - crypto::kNoiseTag;

class FrameSealer {
 public:
  explicit FrameSealer(crypto::CipherState cipher) : cipher_(std::move(cipher)) {}
  // Appends one frame around `head` ‖ `body`. REQUIRES: together at most kMaxFramePlain bytes.
  Result<void> append_frame(Bytes& out, ByteView head, ByteView body);

 private:
  crypto::CipherState cipher_;
};

class FrameOpener {
 public:
  explicit FrameOpener(crypto::CipherState cipher) : cipher_(std::move(cipher)) {}
  struct Frame {
    ByteView plain;        // within the input
    std::size_t consumed;  // of the input
  };
  // The first frame of `input`, or nothing while it is not complete.
  Result<std::optional<Frame>> open_frame(MutableByteView input);

 private:
  crypto::CipherState cipher_;
};

}  // namespace testudo::net
