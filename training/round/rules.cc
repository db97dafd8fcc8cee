#include "training/round/rules.h"

#include <algorithm>

#include "training/optimizer/sgd.h"

namespace testudo::training {

Result<std::shared_ptr<const RoundRules>> RoundRules::make(const swarm::Manifest& manifest) {
  auto rules = std::make_shared<RoundRules>();
  rules->run = manifest.run_id();
  rules->manifest = manifest;
  TRY(rules->codec, codec_from_name(manifest.codec));
  TRY(auto rule, make_rule(manifest.rule));
  rules->rule = std::move(rule);
  if (manifest.optimizer != "sgd") {
    return fail(ErrorCode::invalid_argument,
                "unknown optimizer " + manifest.optimizer + ": this version knows sgd");
  }
  std::vector<Schedule::Point> points;
  for (const auto& point : manifest.learning_rate)
    points.push_back({point.step, static_cast<double>(point.value)});
  TRY(auto schedule, Schedule::from_points(std::move(points)));
  TRY(rules->optimizer, make_sgd({.rate = std::move(schedule),
                                  .momentum = static_cast<double>(manifest.momentum),
                                  .nesterov = manifest.nesterov,
                                  .weight_decay = static_cast<double>(manifest.weight_decay),
                                  .clip_norm = static_cast<double>(manifest.gradient_norm_limit)}));
  return std::shared_ptr<const RoundRules>(std::move(rules));
}

TrainingState::Sizes RoundRules::state_sizes() const {
  const auto parameters = static_cast<std::size_t>(manifest.parameter_count);
  return {parameters, optimizer->state_size(parameters), rule->uses_start() ? parameters : 0};
}

Result<TrainingState> initial_state(const RoundRules& rules, std::span<const float> parameters) {
  if (parameters.size() != rules.manifest.parameter_count) {
    return fail(ErrorCode::invalid_argument, "the model has " + std::to_string(parameters.size()) +
                                                 " parameters, the manifest says " +
                                                 std::to_string(rules.manifest.parameter_count));
  }
  if (parameters_digest(parameters) != rules.manifest.initial_parameters) {
    return fail(
        ErrorCode::invalid_argument,
        "the model's initial parameters differ from the manifest's: it is another model, or another version");
  }
  TrainingState::Sizes sizes = rules.state_sizes();
  sizes.aggregate = 0;
  TrainingState state(swarm::RoundNumber(0), sizes);
  std::ranges::copy(parameters, state.parameters().begin());
  std::ranges::fill(state.optimizer(), 0.0F);
  return state;
}

}  // namespace testudo::training
