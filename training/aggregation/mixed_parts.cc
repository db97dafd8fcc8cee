#include "training/aggregation/mixed_parts.h"

#include <algorithm>

#include "crypto/base/vector_unit.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr std::size_t tile = 512;  // its sums fit the first-level cache; no influence on the bits

// rows: what is mixed, at the first of `size` values, size ≤ tile.
TESTUDO_KERNEL int mix_rows(const float* const* rows, const double* weights, std::size_t members,
                            double total, float* __restrict out, std::size_t size) {
  double sums[tile] = {};
  for (std::size_t i = 0; i < members; ++i) {
    const float* const row = rows[i];
    const double weight = weights[i];
    for (std::size_t k = 0; k < size; ++k) sums[k] += weight * static_cast<double>(row[k]);
  }
  for (std::size_t k = 0; k < size; ++k) out[k] = static_cast<float>(sums[k] / total) + 0.0F;
  return 0;
}

}  // namespace

MixedParts::MixedParts(const Parts& parts, std::span<const double> weights, std::vector<Mixture> mixtures)
    : parts_(parts), weights_(weights), mixtures_(std::move(mixtures)), block_(parts) {
  const ScopedFloatEnvironment environment;
  for (const Mixture& mixture : mixtures_) {
    double total = 0;
    for (const std::size_t member : mixture) total += weights_[member];
    totals_.push_back(total);
  }
}

const float* MixedParts::read(std::size_t member, std::size_t begin, std::size_t count,
                              float* scratch) const {
  const ScopedFloatEnvironment environment;
  if (block_begin_ != begin) {
    block_.read(begin);
    block_begin_ = begin;
  }
  const Mixture& mixture = mixtures_[member];
  std::vector<const float*> rows(mixture.size());
  std::vector<double> weights;
  for (const std::size_t source : mixture) weights.push_back(weights_[source]);
  for (std::size_t at = 0; at < count; at += tile) {
    for (std::size_t i = 0; i < mixture.size(); ++i) rows[i] = block_.row(mixture[i]) + at;
    run_widest<mix_rows>(static_cast<const float* const*>(rows.data()),
                         static_cast<const double*>(weights.data()), mixture.size(), totals_[member],
                         scratch + at, std::min(tile, count - at));
  }
  return scratch;
}

}  // namespace testudo::training
