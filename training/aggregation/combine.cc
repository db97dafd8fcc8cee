#include "training/aggregation/combine.h"

#include <algorithm>
#include <cstddef>

#include "crypto/base/vector_unit.h"
#include "training/arithmetic/reproducible.h"

namespace testudo::training {

namespace {

constexpr std::size_t tile = 1024;  // its sums fit the first-level cache; no influence on the bits

TESTUDO_KERNEL int add_scaled(const float* __restrict part, double coefficient, double* __restrict sums,
                              std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) sums[k] += coefficient * static_cast<double>(part[k]);
  return 0;
}

TESTUDO_KERNEL int add_scaled_difference(const float* __restrict part, const float* __restrict base,
                                         double coefficient, double* __restrict sums, std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) {
    const float difference = part[k] - base[k];
    sums[k] += coefficient * static_cast<double>(difference);
  }
  return 0;
}

TESTUDO_KERNEL int divide_and_round(const double* __restrict sums, double divisor, float* __restrict out,
                                    std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) out[k] = static_cast<float>(sums[k] / divisor) + 0.0F;
  return 0;
}

}  // namespace

void combine(const Parts& parts, std::span<const double> coefficients, std::span<const float> base,
             double divisor, const BlockSink& sink) {
  const ScopedFloatEnvironment environment;
  PartsBlock block(parts);
  std::vector<double> sums(tile);
  std::vector<float> out(Parts::block);
  for (std::size_t begin = 0; begin < parts.size(); begin += Parts::block) {
    const std::size_t size = block.read(begin);
    for (std::size_t at = 0; at < size; at += tile) {
      const std::size_t count = std::min(tile, size - at);
      const float* const from = base.empty() ? nullptr : base.data() + begin + at;
      for (std::size_t k = 0; k < count; ++k) sums[k] = from == nullptr ? 0.0 : static_cast<double>(from[k]);
      for (std::size_t i = 0; i < parts.members(); ++i) {
        const float* const part = block.row(i) + at;
        if (from == nullptr) {
          run_widest<add_scaled>(part, coefficients[i], sums.data(), count);
        } else {
          run_widest<add_scaled_difference>(part, from, coefficients[i], sums.data(), count);
        }
      }
      run_widest<divide_and_round>(static_cast<const double*>(sums.data()), divisor, out.data() + at, count);
    }
    sink(begin, std::span(out).first(size));
  }
}

}  // namespace testudo::training
