// The constructors of the single rules, for make_rule(). Owner: rule.cc.
#pragma once

#include <memory>

#include "training/aggregation/rule.h"

namespace testudo::training {

std::unique_ptr<const AggregationRule> make_mean();
std::unique_ptr<const AggregationRule> make_coordinate_median();
std::unique_ptr<const AggregationRule> make_centered_clip(const RuleOptions& options);

// Asserts what AggregationInput requires.
void check_input(const AggregationInput& input);

}  // namespace testudo::training
