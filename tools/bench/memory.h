// What memory itself costs: the baseline of everything that streams over vectors. Any thread.
#pragma once

#include <cstdint>
#include <span>

namespace testudo::bench {

// The sum of all words: reads every byte once.
std::uint64_t read_all(std::span<const float> values);
// Copies every byte once. REQUIRES: equal sizes.
void copy_all(std::span<const float> from, std::span<float> to);

inline constexpr double giga = 1e9;

}  // namespace testudo::bench
