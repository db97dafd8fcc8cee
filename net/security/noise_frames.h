// Noise transport frames: a length of two bytes, then one sealed message. Sealing encrypts from where the
// plaintext lies into the output; opening decrypts where the bytes arrived or, when the first of them say
// where the others belong, straight to there. One owner, one thread.
#pragma once

#include <optional>

#include "crypto/noise.h"

namespace testudo::net {

inline constexpr std::size_t kMaxFramePlain = crypto::kNoiseMaxMessage - crypto::kNoiseTag;

class FrameSealer {
 public:
  explicit FrameSealer(crypto::CipherState cipher) : cipher_(std::move(cipher)) {}
  static constexpr std::size_t frame_size(std::size_t plain) { return 2 + plain + crypto::kNoiseTag; }
  // One frame around `head` ‖ `body`. REQUIRES: together at most kMaxFramePlain bytes; `out` has
  // frame_size() of that, and overlaps neither.
  Result<void> seal_frame(MutableByteView out, ByteView head, ByteView body);
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

  // The same in steps.
  struct Sealed {
    MutableByteView message;  // within the input
    std::size_t consumed;
    std::size_t plain_size() const { return message.size() - crypto::kNoiseTag; }
  };
  static Result<std::optional<Sealed>> find_frame(MutableByteView input);
  // Decrypts the first `size` bytes where they are; not authentic before the rest is.
  // REQUIRES: size <= plain_size().
  Result<ByteView> open_head(const Sealed& frame, std::size_t size);
  // The bytes behind those: the first of them into `target`, the others where they are. An error ends the
  // connection and leaves nothing in `target`.
  // REQUIRES: open_head(frame, head) came before; `target` is not longer than what is left.
  Result<ByteView> open_rest(const Sealed& frame, std::size_t head, MutableByteView target);

 private:
  crypto::CipherState cipher_;
};

}  // namespace testudo::net
