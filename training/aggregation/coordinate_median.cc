// coordinate_median: per coordinate the lower weighted median, the smallest value x such that the weights of
// values ≤ x make at least half of all. With equal weights that is element (n − 1) / 2 of the sorted values.
// A result of −0 becomes +0, so that no sorting order shows in the bits.
//
// Equal weights: Batcher's odd–even merge sort over the members, a fixed network whose every comparator runs
// over a tile of coordinates at once. Unequal weights: a small sort for every coordinate, some ten times
// slower.
#include <algorithm>
#include <utility>
#include <vector>

#include "crypto/base/vector_unit.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr std::size_t tile = 64;  // coordinates: 64 members of a tile take 16 KiB

using Comparator = std::pair<std::size_t, std::size_t>;

std::vector<Comparator> sorting_network(std::size_t count) {
  std::vector<Comparator> network;
  for (std::size_t p = 1; p < count; p *= 2) {
    for (std::size_t k = p; k >= 1; k /= 2) {
      for (std::size_t j = k % p; j + k < count; j += 2 * k) {
        for (std::size_t i = 0; i < k && i + j + k < count; ++i) {
          if ((i + j) / (2 * p) == (i + j + k) / (2 * p)) network.emplace_back(i + j, i + j + k);
        }
      }
    }
  }
  return network;
}

TESTUDO_KERNEL int sort_tile(const Comparator* network, std::size_t comparators, float* rows) {
  for (std::size_t c = 0; c < comparators; ++c) {
    float* __restrict low = rows + network[c].first * tile;
    float* __restrict high = rows + network[c].second * tile;
    for (std::size_t k = 0; k < tile; ++k) {
      const float a = low[k];
      const float b = high[k];
      low[k] = b < a ? b : a;
      high[k] = b < a ? a : b;
    }
  }
  return 0;
}

// One block, its values to `out`.
void equal_median(const PartsBlock& block, std::size_t members, const std::vector<Comparator>& network,
                  std::span<float> rows, std::span<float> out) {
  for (std::size_t begin = 0; begin < out.size(); begin += tile) {
    const std::size_t count = std::min(tile, out.size() - begin);
    for (std::size_t i = 0; i < members; ++i) {
      std::copy_n(block.row(i) + begin, count, rows.data() + i * tile);
    }
    run_widest<sort_tile>(network.data(), network.size(), rows.data());
    const float* const middle = rows.data() + (members - 1) / 2 * tile;
    for (std::size_t k = 0; k < count; ++k) out[begin + k] = middle[k] + 0.0F;
  }
}

void weighted_median(const PartsBlock& block, std::span<const double> weights, std::span<float> out) {
  double total = 0;
  for (const double weight : weights) total += weight;
  const double half = total / 2;
  std::vector<std::pair<float, std::size_t>> column(weights.size());
  for (std::size_t k = 0; k < out.size(); ++k) {
    for (std::size_t i = 0; i < column.size(); ++i) column[i] = {block.row(i)[k] + 0.0F, i};
    std::ranges::sort(column);  // equal values in roster order
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
    const bool equal =
        std::ranges::all_of(input.weights, [&](double weight) { return weight == input.weights.front(); });
    const std::vector<Comparator> network = sorting_network(members);
    std::vector<float> rows(members * tile);
    std::vector<float> out(Parts::block);
    PartsBlock block(input.parts);
    for (std::size_t begin = 0; begin < input.parts.size(); begin += Parts::block) {
      const auto values = std::span(out).first(block.read(begin));
      if (equal) {
        equal_median(block, members, network, rows, values);
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
