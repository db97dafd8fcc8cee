// mean: v = (Σ w_i g_i) / W in double, members in roster order, rounded once. No defence; the baseline.
#include "training/aggregation/combine.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

class Mean final : public AggregationRule {
 public:
  std::string_view name() const override { return "mean"; }
  bool solves_clipped_sum() const override { return false; }
  Aggregate aggregate(const AggregationInput& input) const override {
    const ScopedFloatEnvironment environment;
    checked_size(input);
    if (input.parts.empty()) return {};
    double total = 0;
    for (const double weight : input.weights) total += weight;
    return {.converged = true, .value = combine(input.parts, input.weights, {}, total)};
  }
};

}  // namespace

std::unique_ptr<const AggregationRule> make_mean() { return std::make_unique<Mean>(); }

}  // namespace testudo::training
