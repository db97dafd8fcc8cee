// Aggregation rules: how the contributions to one part become one vector. The reducer of the part runs one,
// and anybody can run it again on the committed bytes and get the same bits (arithmetic/reproducible.h).
//
// Threads: rules are immutable; aggregate() is pure, single-threaded and callable from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "training/aggregation/parts.h"

namespace testudo::training {

// τ = automatic: the rule takes the lower weighted median of ‖g_i − start‖ (automatic_tau below), and 1 where
// that is 0 because everybody sent the start. Only the reducer has seen the parts, so others take
// `Aggregate::tau` on trust until they rerun; a run with sketch checks agrees on τ beforehand.
inline constexpr double automatic = 0;

// REQUIRES (the caller checked all of it at the door): one weight a member, finite and > 0; start empty
// (zeros) or of the parts' size; decoded values, so |value| ≤ g_max; tau > 0 or automatic.
struct AggregationInput {
  const Parts& parts;  // in roster order: the order is part of the result
  std::span<const double> weights;
  std::span<const float> start;  // the previous round's result for this part, as decoded
  double tau = automatic;        // for this part: part_tau()
  // How many members may be hostile: what trimmed_mean, krum, multi_krum and nnm leave out. Rules count it as
  // (members − 1) / 2 where it is more.
  std::size_t hostile_count = 0;
  Digest seed{};  // what bucketing permutes by; derived, so that everybody draws the same
};

// Takes the result, block by block in ascending order.
using BlockSink = std::function<void(std::size_t begin, std::span<const float> values)>;

struct Aggregate {
  // False: no result, the part is absent this round and nobody is guilty. Also for no contributors at all.
  bool converged = false;
  std::uint32_t iterations = 0;  // reweightings; 0 for rules without iteration
  double tau =
      0;  // the τ used, of geometric_median the ν; 0 for rules without one, and where none was needed
  double residual = 0;  // ‖Σ w_i ψ_i‖ at the result, before the result is rounded to float
  double stop = 0;      // ε_stop: what `residual` had to reach
};

struct RuleOptions {
  // ε_stop = relative_stop · W · min(τ, D) + absolute_stop, W the sum of weights, D the greatest ‖g_i −
  // start‖. Relative, because τ carries the gradient's unit; min with D, because a τ that clips nothing must
  // not make the stop meaningless. geometric_median: relative_stop · W · ν + absolute_stop; a thousand times
  // that relative part is enough when the cap is reached.
  double relative_stop = 1e-6;
  double absolute_stop = 0;
  // 64 members: about 4 µs each, a tenth of a second at most for each of three starts.
  std::uint32_t iteration_cap = 10'000;
};

class AggregationRule {
 public:
  virtual ~AggregationRule() = default;
  virtual std::string_view name() const = 0;  // what make_rule() takes
  // Whether the result solves Σ w_i ψ_i = 0 of the parts as they were sent, with the τ of the input, so that
  // the sketch check applies; the others have only audits.
  virtual bool solves_clipped_sum() const = 0;
  // Whether it looks at `start`: others need not keep the previous result.
  virtual bool uses_start() const = 0;
  // The sink hears nothing unless it converged.
  virtual Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const = 0;
};

// A rule's name, with wrappers before it, each at most once: "krum", "nnm+krum", "bucketing:2+nnm+krum".
// invalid_argument says what to write instead.
Result<std::unique_ptr<const AggregationRule>> make_rule(std::string_view name,
                                                         const RuleOptions& options = {});

// What make_rule() takes, in one line for people.
std::string rule_grammar();

// τ for a part of part_size out of total values: τ·√(part_size / total). REQUIRES part_size ≤ total, total >
// 0.
double part_tau(double tau, std::size_t part_size, std::size_t total);

// The lower weighted median of deviations: the smallest d such that the weights of deviations ≤ d make at
// least half of all. Hostile weight below half cannot push it beyond the honest deviations. Where that is 0
// (most members sent exactly the start), the smallest positive deviation; 0 if there is none. Pure: the round
// may feed it agreed norms instead, when everybody has to know τ before the parts are seen.
double automatic_tau(std::span<const double> deviations, std::span<const double> weights);

// A bound of what rounding the result to float does to it: ‖float(v) − v‖ ≤ 2^-24 ‖v‖ + √n · 2^-150.
double float_rounding_norm(std::span<const float> value);

}  // namespace testudo::training
