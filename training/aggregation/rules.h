// The constructors of the single rules and of the wrappers around them, for make_rule(), and what their
// implementations share. Owner: rule.cc.
#pragma once

#include <cstddef>
#include <memory>

#include "training/aggregation/rule.h"

namespace testudo::training {

std::unique_ptr<const AggregationRule> make_mean();
std::unique_ptr<const AggregationRule> make_coordinate_median();
std::unique_ptr<const AggregationRule> make_trimmed_mean();
std::unique_ptr<const AggregationRule> make_geometric_median(const RuleOptions& options);
std::unique_ptr<const AggregationRule> make_krum();
std::unique_ptr<const AggregationRule> make_multi_krum();
std::unique_ptr<const AggregationRule> make_centered_clip(const RuleOptions& options);

std::unique_ptr<const AggregationRule> make_nnm(std::unique_ptr<const AggregationRule> inner);
std::unique_ptr<const AggregationRule> make_bucketing(std::size_t bucket_size,
                                                      std::unique_ptr<const AggregationRule> inner);

// Asserts what AggregationInput requires.
void check_input(const AggregationInput& input);

// hostile_count, at most (members − 1) / 2. REQUIRES: at least one member.
std::size_t tolerated(const AggregationInput& input);

bool equal_weights(std::span<const double> weights);

}  // namespace testudo::training
