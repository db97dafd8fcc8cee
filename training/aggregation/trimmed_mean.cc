// trimmed_mean (Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML
// 2018): per coordinate the b smallest and the b greatest values are left out, b the tolerated hostile
// members, and the rest is averaged.
//
// Weights: b counts heads, because hostile members are counted so, and the rest is averaged by weight.
// Written order: the values that are kept in ascending order, equal ones in roster order, into one double,
// each times its weight unless all weights are equal; then the quotient by the sum of their weights in the
// same order (by their number if all are equal), then one rounding to float. A result of −0 becomes +0. With
// equal weights the order of members does not show in the bits.
#include <algorithm>

#include "crypto/base/vector_unit.h"
#include "training/aggregation/column_sort.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

// Ranks lie ColumnSort::tile values apart.
TESTUDO_KERNEL int average_ranks(const float* __restrict ranks, std::size_t kept, float* __restrict out) {
  double sums[ColumnSort::tile] = {};
  for (std::size_t rank = 0; rank < kept; ++rank) {
    const float* const values = ranks + rank * ColumnSort::tile;
    for (std::size_t k = 0; k < ColumnSort::tile; ++k) sums[k] += static_cast<double>(values[k]);
  }
  const auto divisor = static_cast<double>(kept);
  for (std::size_t k = 0; k < ColumnSort::tile; ++k) out[k] = static_cast<float>(sums[k] / divisor) + 0.0F;
  return 0;
}

// One block, its values to `out`.
void equal_mean(const PartsBlock& block, std::size_t members, std::size_t trimmed, ColumnSort& columns,
                std::span<float> out) {
  float means[ColumnSort::tile];
  for (std::size_t begin = 0; begin < out.size(); begin += ColumnSort::tile) {
    const std::size_t count = std::min(ColumnSort::tile, out.size() - begin);
    columns.sort(block, begin, count);
    run_widest<average_ranks>(columns.rank(trimmed), members - 2 * trimmed, static_cast<float*>(means));
    std::copy_n(means, count, out.data() + begin);
  }
}

void weighted_mean(const PartsBlock& block, std::span<const double> weights, std::size_t trimmed,
                   std::span<float> out) {
  std::vector<std::pair<float, std::size_t>> column(weights.size());
  for (std::size_t k = 0; k < out.size(); ++k) {
    sorted_column(block, k, column);
    double sum = 0;
    double total = 0;
    for (std::size_t rank = trimmed; rank < column.size() - trimmed; ++rank) {
      const auto& [value, member] = column[rank];
      sum += weights[member] * static_cast<double>(value);
      total += weights[member];
    }
    out[k] = static_cast<float>(sum / total) + 0.0F;
  }
}

class TrimmedMean final : public AggregationRule {
 public:
  std::string_view name() const override { return "trimmed_mean"; }
  bool solves_clipped_sum() const override { return false; }
  bool uses_start() const override { return false; }
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override {
    const ScopedFloatEnvironment environment;
    check_input(input);
    const std::size_t members = input.parts.members();
    if (members == 0) return {};
    const std::size_t trimmed = tolerated(input);
    const bool equal = equal_weights(input.weights);
    ColumnSort columns(members);
    std::vector<float> out(Parts::block);
    PartsBlock block(input.parts);
    for (std::size_t begin = 0; begin < input.parts.size(); begin += Parts::block) {
      const auto values = std::span(out).first(block.read(begin));
      if (equal) {
        equal_mean(block, members, trimmed, columns, values);
      } else {
        weighted_mean(block, input.weights, trimmed, values);
      }
      sink(begin, values);
    }
    return {.converged = true};
  }
};

}  // namespace

std::unique_ptr<const AggregationRule> make_trimmed_mean() { return std::make_unique<TrimmedMean>(); }

}  // namespace testudo::training
