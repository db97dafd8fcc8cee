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
  bool uses_start() const override { return false; }
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override {
    const ScopedFloatEnvironment environment;
    check_input(input);
    if (input.parts.members() == 0) return {};
    double total = 0;
    for (const double weight : input.weights) total += weight;
    combine(input.parts, input.weights, {}, total, sink);
    return {.converged = true};
  }
};

}  // namespace

std::unique_ptr<const AggregationRule> make_mean() { return std::make_unique<Mean>(); }

}  // namespace testudo::training
