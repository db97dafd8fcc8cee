#include "training/aggregation/rule.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "crypto/base/check.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/reproducible.h"

namespace testudo::training {

namespace {

using Rule = std::unique_ptr<const AggregationRule>;

constexpr std::size_t least_bucket = 2;  // of one member, a bucket would only change the order
constexpr std::size_t greatest_bucket = 256;
constexpr std::string_view bucketing = "bucketing:";

// All rules by name: what is parsed, and what people are told.
struct PlainRule {
  std::string_view name;
  Rule (*make)(const RuleOptions& options);
};
constexpr PlainRule plain_rules[] = {
    {"mean", [](const RuleOptions&) { return make_mean(); }},
    {"coordinate_median", [](const RuleOptions&) { return make_coordinate_median(); }},
    {"trimmed_mean", [](const RuleOptions&) { return make_trimmed_mean(); }},
    {"geometric_median", [](const RuleOptions& options) { return make_geometric_median(options); }},
    {"krum", [](const RuleOptions&) { return make_krum(); }},
    {"multi_krum", [](const RuleOptions&) { return make_multi_krum(); }},
    {"centered_clip", [](const RuleOptions& options) { return make_centered_clip(options); }},
};

Error unknown_rule(std::string_view name, const std::string& why) {
  return {ErrorCode::invalid_argument,
          "aggregation rule \"" + std::string(name) + "\": " + why + "; write " + rule_grammar()};
}

// The number after "bucketing:", only as to_string writes it, so that a rule has one name.
std::optional<std::size_t> bucket_size(std::string_view text) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || std::to_string(size) != text) return std::nullopt;
  if (size < least_bucket || size > greatest_bucket) return std::nullopt;
  return size;
}

// `rest` is what of `name` is left to read.
Result<Rule> parse_rule(std::string_view name, std::string_view rest, bool may_nnm, bool may_bucket,
                        const RuleOptions& options) {
  const std::size_t plus = rest.find('+');
  const std::string first(rest.substr(0, plus));
  if (plus == std::string_view::npos) {
    for (const PlainRule& rule : plain_rules) {
      if (rule.name == first) return rule.make(options);
    }
    if (first == "nnm" || first.starts_with("bucketing"))
      return fail(unknown_rule(name, first + " needs a rule behind it"));
    return fail(unknown_rule(name, "there is no rule \"" + first + "\""));
  }
  const std::string_view inner_name = rest.substr(plus + 1);
  if (first == "nnm") {
    if (!may_nnm) return fail(unknown_rule(name, "nnm stands there twice"));
    TRY(auto inner, parse_rule(name, inner_name, false, may_bucket, options));
    return make_nnm(std::move(inner));
  }
  if (first.starts_with(bucketing)) {
    if (!may_bucket) return fail(unknown_rule(name, "bucketing stands there twice"));
    const auto size = bucket_size(std::string_view(first).substr(bucketing.size()));
    if (!size) {
      return fail(unknown_rule(name, "a bucket has " + std::to_string(least_bucket) + " to " +
                                         std::to_string(greatest_bucket) + " members, like \"bucketing:2\""));
    }
    TRY(auto inner, parse_rule(name, inner_name, may_nnm, false, options));
    return make_bucketing(*size, std::move(inner));
  }
  if (first == "bucketing") return fail(unknown_rule(name, "bucketing needs a size, like \"bucketing:2\""));
  return fail(unknown_rule(name, "\"" + first + "\" is no wrapper"));
}

}  // namespace

Result<std::unique_ptr<const AggregationRule>> make_rule(std::string_view name, const RuleOptions& options) {
  const bool sound = options.relative_stop >= 0 && options.absolute_stop >= 0 &&
                     options.relative_stop + options.absolute_stop > 0 &&
                     std::isfinite(options.relative_stop) && std::isfinite(options.absolute_stop) &&
                     options.iteration_cap > 0;
  if (!sound)
    return fail(ErrorCode::invalid_argument,
                "aggregation: stops must be finite, >= 0 and not all 0; cap > 0");
  return parse_rule(name, name, true, true, options);
}

std::string rule_grammar() {
  std::string names;
  for (std::size_t i = 0; i < std::size(plain_rules); ++i) {
    if (i > 0) names += i + 1 < std::size(plain_rules) ? ", " : " or ";
    names += plain_rules[i].name;
  }
  return names + ", alone or behind \"nnm+\", \"bucketing:2+\" or both";
}

void check_input(const AggregationInput& input) {
  TESTUDO_CHECK(input.parts.members() == input.weights.size());
  TESTUDO_CHECK(input.tau >= 0 && std::isfinite(input.tau));
  for (const double weight : input.weights) TESTUDO_CHECK(weight > 0 && std::isfinite(weight));
  TESTUDO_CHECK(input.start.empty() || input.parts.members() == 0 ||
                input.start.size() == input.parts.size());
}

std::size_t tolerated(const AggregationInput& input) {
  return std::min(input.hostile_count, (input.parts.members() - 1) / 2);
}

bool equal_weights(std::span<const double> weights) {
  return std::ranges::all_of(weights, [&](double weight) { return weight == weights.front(); });
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
