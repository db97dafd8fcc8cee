#include "crypto/puzzle.h"

#include <sodium.h>

#include <bit>
#include <new>

#include "crypto/base/check.h"
#include "crypto/hash.h"
#include "crypto/sodium_init.h"

namespace testudo::crypto {
namespace {

Digest evaluate(const Puzzle& puzzle, std::uint64_t nonce) {
  ensure_sodium();
  const Digest input = Hasher("testudo identity puzzle")
                           .bytes(puzzle.peer.to_multihash())
                           .bytes(puzzle.beacon)
                           .integer(puzzle.difficulty_bits)
                           .integer(nonce)
                           .finish();
  // The input is unique already; Argon2 merely wants some salt.
  static_assert(crypto_pwhash_SALTBYTES == 16);
  static constexpr ByteArray<crypto_pwhash_SALTBYTES> kSalt{'t', 'e', 's', 't', 'u', 'd', 'o'};
  Digest out;
  if (crypto_pwhash(out.data(), out.size(), reinterpret_cast<const char*>(input.data()), input.size(),
                    kSalt.data(), kPuzzlePasses, kPuzzleMemory, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    throw std::bad_alloc();  // its only failure with these parameters
  }
  return out;
}

unsigned leading_zero_bits(const Digest& digest) {
  unsigned bits = 0;
  for (std::uint8_t byte : digest) {
    if (byte != 0) return bits + static_cast<unsigned>(std::countl_zero(byte));
    bits += 8;
  }
  return bits;
}

}  // namespace

std::optional<std::uint64_t> find_solution(const Puzzle& puzzle, const std::atomic<bool>& cancel,
                                           std::uint64_t first) {
  TESTUDO_CHECK(puzzle.difficulty_bits <= kPuzzleMaxBits);
  for (std::uint64_t nonce = first; !cancel.load(std::memory_order_relaxed); ++nonce) {
    if (verify_solution(puzzle, nonce)) return nonce;
  }
  return std::nullopt;
}

bool verify_solution(const Puzzle& puzzle, std::uint64_t nonce) {
  if (puzzle.difficulty_bits > kPuzzleMaxBits) return false;
  return leading_zero_bits(evaluate(puzzle, nonce)) >= puzzle.difficulty_bits;
}

}  // namespace testudo::crypto
