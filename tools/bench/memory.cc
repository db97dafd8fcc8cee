#include "tools/bench/memory.h"

#include <array>
#include <cstring>

#include "tools/bench/measure.h"

namespace testudo::bench {

std::uint64_t read_all(std::span<const float> values) {
  // Wide and independent sums, so that the memory limits and not the adder.
  constexpr std::size_t lanes = 32;
  std::array<std::uint64_t, lanes> sums{};
  const std::size_t blocks = values.size_bytes() / sizeof(sums);
  for (std::size_t block = 0; block < blocks; ++block) {
    std::array<std::uint64_t, lanes> words;
    std::memcpy(words.data(), values.data() + block * sizeof(sums) / sizeof(float), sizeof(words));
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += words[lane];
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t lane : sums) sum += lane;
  return sum;
}

void copy_all(std::span<const float> from, std::span<float> to) {
  std::memcpy(to.data(), from.data(), from.size_bytes());
  keep(to.data());
}

}  // namespace testudo::bench
