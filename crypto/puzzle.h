// The identity puzzle: a price in memory and time for every new name, paid anew for every beacon, so that
// names cannot be stockpiled. A nonce solves it if Argon2id over (peer, beacon, difficulty, nonce) begins
// with `difficulty_bits` zero bits. Finding takes 2^difficulty_bits evaluations on average, checking one:
// about a millisecond and 2 MiB. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "crypto/base/bytes.h"
#include "crypto/peer_id.h"

namespace testudo::crypto {

// Two mebibytes per evaluation keeps the working set out of the small memories next to a GPU's or ASIC's
// cores while checking stays cheap enough for an admission. They are part of the protocol.
inline constexpr std::size_t kPuzzleMemory = std::size_t{2} << 20;
inline constexpr unsigned kPuzzlePasses = 1;
// 2^40 evaluations are centuries: a manifest that asks for more is a mistake.
inline constexpr unsigned kPuzzleMaxBits = 40;

struct Puzzle {
  PeerId peer;
  Digest beacon{};
  unsigned difficulty_bits = 0;
};

// Tries nonces from `first` on until one fits; nullopt once `cancel` is set. For the worker pool, not the
// loop: it blocks. REQUIRES: difficulty_bits <= kPuzzleMaxBits.
std::optional<std::uint64_t> find_solution(const Puzzle& puzzle, const std::atomic<bool>& cancel,
                                           std::uint64_t first = 0);
// False too for a difficulty above kPuzzleMaxBits.
[[nodiscard]] bool verify_solution(const Puzzle& puzzle, std::uint64_t nonce);

}  // namespace testudo::crypto
