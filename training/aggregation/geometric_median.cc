// geometric_median (Pillutla et al., Robust Aggregation for Federated Learning, IEEE TSP 2022): the smoothed
// Weiszfeld iteration for the minimum of Σ w_i ‖g_i − v‖. Its reweighting 1 / max(ν, ‖g_i − v‖) is λ_i / ν of
// the clipped sum with τ = ν, so centered_clip.h solves it in Gram space, stop and cap included; it starts at
// the weighted mean.
//
// Where more than half of the weight sent the same part, that part is the geometric median, and the result as
// it is. Behind nnm that is common: the honest rows are one and the same when all tolerated hostile members
// are there and far away.
//
// Otherwise ν is 2^-10 of the scale of the contributions: of the distances from one member to all (itself
// included) the lower weighted median; of these medians the lower weighted median again, zeros skipped as
// automatic_tau does. No point has more than half of the weight, so some honest member is apart from any
// honest one: hostile members below half of the weight can neither raise the scale above the greatest
// distance between two honest members nor, with honest members apart, push it near 0; so they can neither
// turn the result into a mean nor make ν so small that the iteration crawls. The result is within about ν of
// the exact geometric median where that lies on a contribution, and nearer elsewhere: less than what rounding
// to int8 does.
#include <cmath>
#include <optional>

#include "training/aggregation/centered_clip.h"
#include "training/aggregation/combine.h"
#include "training/aggregation/gram.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr double smoothing = 0x1p-10;
// Of relative_stop, and enough at the cap. At a contribution that is only just the median, or only just not,
// the residual falls like ν / k after k steps: a few parts in 10^4 of W ν are left at the cap, and a part
// should not be absent for an error of 10^-3 of the distances, which is what the smoothing does, too.
constexpr double enough_at_cap = 1000;

double sum_of(std::span<const double> weights) {
  double total = 0;
  for (const double weight : weights) total += weight;
  return total;
}

// The first member of the roster whose part more than half of the weight sent.
std::optional<std::size_t> majority_of(std::span<const double> gram, std::span<const double> weights) {
  const std::size_t n = weights.size();
  const double half = sum_of(weights) / 2;
  for (std::size_t i = 0; i < n; ++i) {
    double same = 0;
    for (std::size_t j = 0; j < n; ++j) {
      if (square_distance(gram, n, i, j) == 0) same += weights[j];
    }
    if (same > half) return i;
  }
  return std::nullopt;
}

// Above 0. REQUIRES: no majority.
double scale_of(std::span<const double> gram, std::span<const double> weights) {
  const std::size_t n = weights.size();
  std::vector<double> distances(n);
  std::vector<double> medians(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) distances[j] = std::sqrt(square_distance(gram, n, i, j));
    medians[i] = automatic_tau(distances, weights);
  }
  return automatic_tau(medians, weights);
}

class GeometricMedian final : public AggregationRule {
 public:
  explicit GeometricMedian(const RuleOptions& options) : options_(options) {}
  std::string_view name() const override { return "geometric_median"; }
  // It does for τ = ν, but only who has seen all parts knows ν.
  bool solves_clipped_sum() const override { return false; }
  bool uses_start() const override { return false; }
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override {
    const ScopedFloatEnvironment environment;
    check_input(input);
    if (input.parts.members() == 0) return {};
    std::vector<double> gram = gram_matrix(input.parts, {});
    if (const auto majority = majority_of(gram, input.weights)) {
      constexpr double as_it_is = 1;
      combine(SelectedParts(input.parts, std::span(&*majority, 1)), std::span(&as_it_is, 1), {}, 1, sink);
      return {.converged = true};
    }
    const double radius = smoothing * scale_of(gram, input.weights);
    const double total = sum_of(input.weights);
    const double stop = options_.relative_stop * total * radius;
    std::vector<double> mean;
    for (const double weight : input.weights) mean.push_back(weight / total);
    return solve_clipped_sum(input.parts, input.weights,
                             {.gram = std::move(gram),
                              .first = std::move(mean),
                              .tau = radius,
                              .stop = stop + options_.absolute_stop,
                              .stop_at_cap = enough_at_cap * stop + options_.absolute_stop,
                              .iteration_cap = options_.iteration_cap},
                             sink);
  }

 private:
  RuleOptions options_;
};

}  // namespace

std::unique_ptr<const AggregationRule> make_geometric_median(const RuleOptions& options) {
  return std::make_unique<GeometricMedian>(options);
}

}  // namespace testudo::training
