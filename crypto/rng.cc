#include "crypto/rng.h"

#include <sodium.h>

#include <cstring>

#include "crypto/base/check.h"
#include "crypto/sodium_init.h"

namespace testudo::crypto {
namespace {

constexpr std::size_t kBlock = 64;  // one ChaCha20 block

void key_stream(const Digest& key, std::uint64_t first_block, MutableByteView out) {
  static constexpr ByteArray<crypto_stream_chacha20_NONCEBYTES> kNonce{};
  std::memset(out.data(), 0, out.size());
  crypto_stream_chacha20_xor_ic(out.data(), out.data(), out.size(), kNonce.data(), first_block, key.data());
}

}  // namespace

std::uint64_t Rng::next_u64() {
  ByteArray<8> bytes;
  fill(bytes);
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

std::uint64_t Rng::below(std::uint64_t bound) {
  TESTUDO_CHECK(bound > 0);
  // 2^64 mod bound values are refused at the low end, so that the rest splits evenly.
  const std::uint64_t refused = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t value = next_u64();
    if (value >= refused) return value % bound;
  }
}

double Rng::unit() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

void SystemRng::fill(MutableByteView out) {
  ensure_sodium();
  randombytes_buf(out.data(), out.size());
}

SeededRng::SeededRng(const Digest& seed) : key_(seed) { ensure_sodium(); }

SeededRng::SeededRng(std::uint64_t seed) {
  ensure_sodium();
  for (std::size_t i = 0; i < 8; ++i) key_[i] = static_cast<std::uint8_t>(seed >> (8 * i));
}

void SeededRng::fill(MutableByteView out) {
  while (!out.empty()) {
    if (used_ == buffer_.size()) {
      // Whole blocks go straight to the caller: large draws (initial parameters) need no copy.
      const std::size_t direct = out.size() / kBlock * kBlock;
      if (direct >= buffer_.size()) {
        key_stream(key_, block_, out.first(direct));
        block_ += direct / kBlock;
        out = out.subspan(direct);
        continue;
      }
      key_stream(key_, block_, buffer_);
      block_ += buffer_.size() / kBlock;
      used_ = 0;
    }
    const std::size_t count = std::min(out.size(), buffer_.size() - used_);
    std::memcpy(out.data(), buffer_.data() + used_, count);
    used_ += count;
    out = out.subspan(count);
  }
}

}  // namespace testudo::crypto
