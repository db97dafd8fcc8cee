#include "node/run_options.h"

#include <algorithm>
#include <limits>

#include "node/addresses.h"
#include "node/session.h"

namespace testudo::node {
namespace {

Result<std::uint32_t> milliseconds(const char* field, std::chrono::milliseconds value) {
  if (value.count() < 0 || value.count() > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::invalid_argument,
                std::string(field) + " is " + std::to_string(value.count()) + " ms, out of bounds");
  }
  return static_cast<std::uint32_t>(value.count());
}

}  // namespace

Result<swarm::Manifest> manifest_of(const RunOptions& options, const swarm::PeerId& author,
                                    crypto::Rng& rng) {
  swarm::Manifest manifest;
  manifest.name = options.name;
  manifest.author = author;
  for (const std::string& text : options.founders) {
    TRY(const auto founder, parse_peer_id(text));
    manifest.founders.push_back(founder);
  }
  if (manifest.founders.empty()) manifest.founders.push_back(author);
  std::ranges::sort(manifest.founders);
  const auto repeated = std::ranges::unique(manifest.founders);
  manifest.founders.erase(repeated.begin(), repeated.end());
  manifest.model = std::string(custom_model_prefix) + options.model;
  if (options.seed) {
    manifest.seed = *options.seed;
  } else {
    rng.fill(manifest.seed);
  }
  manifest.samples = options.samples;
  manifest.last_round = options.rounds;
  manifest.momentum = options.momentum;
  manifest.weight_decay = options.weight_decay;
  manifest.nesterov = options.nesterov;
  manifest.gradient_norm_limit = options.gradient_norm_limit;
  for (const auto& [round, rate] : options.learning_rate) manifest.learning_rate.push_back({round, rate});
  if (manifest.learning_rate.empty()) manifest.learning_rate = {{0, 0.1F}, {options.rounds, 0}};
  manifest.codec = options.codec;
  manifest.rule = options.rule;
  manifest.tau = options.tau;
  manifest.g_max = options.g_max;
  manifest.hostile_share = options.hostile_share;
  manifest.group_max = options.group_max;
  manifest.start_members = options.start_members;
  manifest.growth_cap = options.growth_cap;
  manifest.challenge_limit = options.challenge_limit;
  manifest.validators = options.validators;
  manifest.recompute_tolerance = options.recompute_tolerance;
  TRY(manifest.delta_ms, milliseconds("delta", options.delta));
  TRY(manifest.compute_deadline_ms, milliseconds("compute_deadline", options.compute_deadline));
  TRY(manifest.exchange_deadline_ms, milliseconds("exchange_deadline", options.exchange_deadline));
  return manifest;
}

}  // namespace testudo::node
