// Parts whose rows are weighted means of other parts' rows: what a wrapper hands to the rule behind it.
// Mixed block by block as they are read, never as a whole.
//
// Written order of a value: that of combine.h without a base, the members of the mixture in roster order, the
// coefficients their weights, the divisor the sum of these in the same order.
// Threads: none but one; read() keeps the block it read last. Owner: one call of aggregate().
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "training/aggregation/parts.h"

namespace testudo::training {

using Mixture = std::vector<std::size_t>;  // whom a row averages: members, ascending, at least one

class MixedParts final : public Parts {
 public:
  // REQUIRES: a weight a member of `parts`; both outlive this.
  MixedParts(const Parts& parts, std::span<const double> weights, std::vector<Mixture> mixtures);
  std::size_t members() const override { return mixtures_.size(); }
  std::size_t size() const override { return parts_.size(); }
  const float* read(std::size_t member, std::size_t begin, std::size_t count, float* scratch) const override;

 private:
  const Parts& parts_;
  std::span<const double> weights_;
  std::vector<Mixture> mixtures_;
  std::vector<double> totals_;  // of a mixture's weights
  // All rows of one block are read in turn, so what they are mixed from is decoded once.
  mutable PartsBlock block_;
  mutable std::optional<std::size_t> block_begin_;
};

}  // namespace testudo::training
