#include "training/aggregation/mixed_parts.h"

#include "training/aggregation/combine.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

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
  std::vector<const float*> rows;
  std::vector<double> weights;
  for (const std::size_t source : mixture) {
    rows.push_back(block_.row(source));
    weights.push_back(weights_[source]);
  }
  combine_rows(rows.data(), weights, nullptr, totals_[member], {scratch, count});
  return scratch;
}

}  // namespace testudo::training
