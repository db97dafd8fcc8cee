#include "training/aggregation/rule.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "crypto/base/check.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/reproducible.h"

namespace testudo::training {

Result<std::unique_ptr<const AggregationRule>> make_rule(std::string_view name, const RuleOptions& options) {
  const bool sound = options.relative_stop >= 0 && options.absolute_stop >= 0 &&
                     options.relative_stop + options.absolute_stop > 0 &&
                     std::isfinite(options.relative_stop) && std::isfinite(options.absolute_stop) &&
                     options.iteration_cap > 0;
  if (!sound)
    return fail(ErrorCode::invalid_argument,
                "aggregation: stops must be finite, >= 0 and not all 0; cap > 0");
  if (name == "mean") return make_mean();
  if (name == "coordinate_median") return make_coordinate_median();
  if (name == "centered_clip") return make_centered_clip(options);
  return fail(
      ErrorCode::invalid_argument,
      "aggregation rule: mean, coordinate_median or centered_clip, not \"" + std::string(name) + "\"");
}

void check_input(const AggregationInput& input) {
  TESTUDO_CHECK(input.parts.members() == input.weights.size());
  TESTUDO_CHECK(input.tau >= 0 && std::isfinite(input.tau));
  for (const double weight : input.weights) TESTUDO_CHECK(weight > 0 && std::isfinite(weight));
  TESTUDO_CHECK(input.start.empty() || input.parts.members() == 0 ||
                input.start.size() == input.parts.size());
}

double part_tau(double tau, std::size_t part_size, std::size_t total) {
  TESTUDO_CHECK(total > 0 && part_size <= total);
  const ScopedFloatEnvironment environment;
  return tau * std::sqrt(static_cast<double>(part_size) / static_cast<double>(total));
}

double automatic_tau(std::span<const double> deviations, std::span<const double> weights) {
  TESTUDO_CHECK(deviations.size() == weights.size());
  const ScopedFloatEnvironment environment;
  std::vector<std::size_t> order(deviations.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(deviations[i], i); });
  double total = 0;
  for (const double weight : weights) total += weight;
  double below = 0;
  for (const std::size_t i : order) {
    below += weights[i];
    // From the median on, the first one that is not zero.
    if (below >= total / 2 && deviations[i] > 0) return deviations[i];
  }
  return 0;
}

double float_rounding_norm(std::span<const float> value) {
  const ScopedFloatEnvironment environment;
  return 0x1p-24 * norm(value) + std::sqrt(static_cast<double>(value.size())) * 0x1p-150;
}

}  // namespace testudo::training
