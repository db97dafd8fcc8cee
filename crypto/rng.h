// Rng: the seam for random numbers. SystemRng is libsodium's; SeededRng is ChaCha20 from a seed, the same
// stream on every machine: what the simulator and every derived value of the protocol (batches, shuffles,
// initial parameters) draw from. Not thread-safe; one owner each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "crypto/base/bytes.h"

namespace testudo::crypto {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual void fill(MutableByteView out) = 0;

  std::uint64_t next_u64();
  // Uniform in [0, bound) without modulo bias; bound > 0. Draws words until one is at least 2^64 mod bound
  // and reduces it modulo bound: the number of draws is part of the protocol.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, 1): a multiple of 2^-53.
  double unit();
  // Fisher–Yates from the back, so that the order is part of the protocol.
  template <typename Range>
  void shuffle(Range& range) {
    for (std::size_t i = range.size(); i > 1; --i) {
      std::swap(range[i - 1], range[static_cast<std::size_t>(below(i))]);
    }
  }
};

class SystemRng final : public Rng {
 public:
  void fill(MutableByteView out) override;
};

// The key stream of ChaCha20 (libsodium's original variant, 64-bit counter) with the seed as key and a
// zero nonce, read as little-endian words.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(const Digest& seed);
  explicit SeededRng(std::uint64_t seed);  // for tests and the simulator: seed in the first eight bytes
  void fill(MutableByteView out) override;

 private:
  Digest key_{};
  std::uint64_t block_ = 0;
  ByteArray<1024> buffer_{};
  std::size_t used_ = sizeof(buffer_);
};

}  // namespace testudo::crypto
