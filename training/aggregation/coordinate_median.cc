// coordinate_median: per coordinate the lower weighted median, the smallest value x such that the weights of
// values ≤ x make at least half of all. With equal weights that is element (n − 1) / 2 of the sorted values.
// A result of −0 becomes +0, so that no sorting order shows in the bits.
#include <algorithm>

#include "training/aggregation/column_sort.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

// One block, its values to `out`.
void equal_median(const PartsBlock& block, std::size_t members, ColumnSort& columns, std::span<float> out) {
  for (std::size_t begin = 0; begin < out.size(); begin += ColumnSort::tile) {
    const std::size_t count = std::min(ColumnSort::tile, out.size() - begin);
    columns.sort(block, begin, count);
    const float* const middle = columns.rank((members - 1) / 2);
    for (std::size_t k = 0; k < count; ++k) out[begin + k] = middle[k] + 0.0F;
  }
}

void weighted_median(const PartsBlock& block, std::span<const double> weights, std::span<float> out) {
  double total = 0;
  for (const double weight : weights) total += weight;
  const double half = total / 2;
  std::vector<std::pair<float, std::size_t>> column(weights.size());
  for (std::size_t k = 0; k < out.size(); ++k) {
    sorted_column(block, k, column);
    double below = 0;
    for (const auto& [value, member] : column) {
      out[k] = value;  // stays at the greatest, should rounding keep `below` under half
      below += weights[member];
      if (below >= half) break;
    }
  }
}

class CoordinateMedian final : public AggregationRule {
 public:
  std::string_view name() const override { return "coordinate_median"; }
  bool solves_clipped_sum() const override { return false; }
  bool uses_start() const override { return false; }
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override {
    const ScopedFloatEnvironment environment;
    check_input(input);
    const std::size_t members = input.parts.members();
    if (members == 0) return {};
    const bool equal = equal_weights(input.weights);
    ColumnSort columns(members);
    std::vector<float> out(Parts::block);
    PartsBlock block(input.parts);
    for (std::size_t begin = 0; begin < input.parts.size(); begin += Parts::block) {
      const auto values = std::span(out).first(block.read(begin));
      if (equal) {
        equal_median(block, members, columns, values);
      } else {
        weighted_median(block, input.weights, values);
      }
      sink(begin, values);
    }
    return {.converged = true};
  }
};

}  // namespace

std::unique_ptr<const AggregationRule> make_coordinate_median() {
  return std::make_unique<CoordinateMedian>();
}

}  // namespace testudo::training
