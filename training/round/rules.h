// RoundRules: what a run fixes for all its rounds, made once from the manifest. Immutable; any thread.
#pragma once

#include <memory>
#include <span>

#include "swarm/manifest.h"
#include "training/aggregation/rule.h"
#include "training/codec/codec.h"
#include "training/optimizer/optimizer.h"
#include "training/round/state.h"

namespace testudo::training {

struct RoundRules {
  swarm::RunId run{};
  swarm::Manifest manifest;
  CodecKind codec = CodecKind::fp32;
  std::shared_ptr<const AggregationRule> rule;
  std::shared_ptr<const Optimizer> optimizer;

  // invalid_argument: the manifest names a codec, rule or optimizer that this version does not know.
  static Result<std::shared_ptr<const RoundRules>> make(const swarm::Manifest& manifest);

  TrainingState::Sizes state_sizes() const;  // after the first round
};

// Before the first round.
Result<TrainingState> initial_state(const RoundRules& rules, std::span<const float> parameters);

}  // namespace testudo::training
