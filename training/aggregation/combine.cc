#include "training/aggregation/combine.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "crypto/base/vector_unit.h"
#include "training/arithmetic/reproducible.h"

namespace testudo::training {

namespace {

// Values whose sums stay in registers while the members are added, and in how many chains; no influence on
// the bits.
constexpr std::size_t lane_count = 8;
constexpr std::size_t chains = 4;
constexpr std::size_t at_once = lane_count * chains;
using Doubles = double __attribute__((vector_size(lane_count * sizeof(double))));
using Floats = float __attribute__((vector_size(lane_count * sizeof(float))));

struct Sum {
  const float* const* rows;  // of the members
  const double* coefficients;
  std::size_t members;
  const float* base;  // may be null
  double divisor;     // or its reciprocal, with `exact`
};

// Values [k, k + at_once). `exact`: the divisor is a power of two, so that to multiply by its reciprocal is
// the same, and faster.
template <bool exact>
TESTUDO_KERNEL void combine_lanes(const Sum& sum, std::size_t k, float* out) {
  Floats base[chains];
  Doubles sums[chains];
#pragma unroll
  for (std::size_t c = 0; c < chains; ++c) {
    base[c] = Floats{};
    if (sum.base != nullptr) std::memcpy(&base[c], sum.base + k + c * lane_count, sizeof(Floats));
    sums[c] = __builtin_convertvector(base[c], Doubles);
  }
  for (std::size_t i = 0; i < sum.members; ++i) {
    const double coefficient = sum.coefficients[i];
#pragma unroll
    for (std::size_t c = 0; c < chains; ++c) {
      Floats part;
      std::memcpy(&part, sum.rows[i] + k + c * lane_count, sizeof(Floats));
      // Without a base this takes +0 away, which changes nothing.
      sums[c] += coefficient * __builtin_convertvector(part - base[c], Doubles);
    }
  }
#pragma unroll
  for (std::size_t c = 0; c < chains; ++c) {
    const Floats value =
        __builtin_convertvector(exact ? sums[c] * sum.divisor : sums[c] / sum.divisor, Floats) + 0.0F;
    std::memcpy(out + c * lane_count, &value, sizeof(Floats));
  }
}

template <bool exact>
TESTUDO_KERNEL int combine_block(const Sum* sum, float* out, std::size_t size) {
  std::size_t k = 0;
  for (; k + at_once <= size; k += at_once) combine_lanes<exact>(*sum, k, out + k);
  for (; k < size; ++k) {
    const float base = sum->base != nullptr ? sum->base[k] : 0.0F;
    auto total = static_cast<double>(base);
    for (std::size_t i = 0; i < sum->members; ++i) {
      const float difference = sum->rows[i][k] - base;
      total += sum->coefficients[i] * static_cast<double>(difference);
    }
    out[k] = static_cast<float>(exact ? total * sum->divisor : total / sum->divisor) + 0.0F;
  }
  return 0;
}

bool is_power_of_two(double value) {
  int exponent = 0;
  return std::frexp(value, &exponent) == 0.5;
}

}  // namespace

void combine_rows(const float* const* rows, std::span<const double> coefficients, const float* base,
                  double divisor, std::span<float> out) {
  const bool exact = is_power_of_two(divisor);
  const Sum sum{rows, coefficients.data(), coefficients.size(), base, exact ? 1 / divisor : divisor};
  if (exact) {
    run_widest<combine_block<true>>(&sum, out.data(), out.size());
  } else {
    run_widest<combine_block<false>>(&sum, out.data(), out.size());
  }
}

void combine(const Parts& parts, std::span<const double> coefficients, std::span<const float> base,
             double divisor, const BlockSink& sink) {
  const ScopedFloatEnvironment environment;
  PartsBlock block(parts);
  std::vector<float> out(Parts::block);
  for (std::size_t begin = 0; begin < parts.size(); begin += Parts::block) {
    const auto values = std::span(out).first(block.read(begin));
    combine_rows(block.rows(), coefficients, base.empty() ? nullptr : base.data() + begin, divisor, values);
    sink(begin, values);
  }
}

}  // namespace testudo::training
