#include "training/simulation/hostile_model.h"

#include <utility>

namespace testudo::training {

HostileModel::HostileModel(std::shared_ptr<Model> honest, Attack attack)
    : honest_(std::move(honest)), attack_(attack) {}

Result<Contribution> HostileModel::contribution(std::span<const float> parameters, const Digest& seed,
                                                std::uint32_t samples, std::span<float> gradient) {
  auto result = honest_->contribution(parameters, seed, samples, gradient);
  if (!result || round_ < attack_.from_round) return result;
  for (float& value : gradient) value *= -attack_.scale;
  return result;
}

}  // namespace testudo::training
