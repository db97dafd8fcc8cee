#include "tools/hostile/flipped_model.h"

#include "tools/cli/models.h"
#include "training/simulation/label_flip.h"
#ifdef TESTUDO_WITH_TORCH
#include "training/torch/builtin_models.h"
#endif

namespace testudo::tools {
namespace {

Error too_early() { return {ErrorCode::invalid_argument, "label_flip: the run's model is not known yet"}; }

}  // namespace

Result<void> FlippedModel::use(const swarm::Manifest& manifest) {
#ifdef TESTUDO_WITH_TORCH
  if (!manifest.dataset.empty()) {
    TRY(const auto data, training::load_fashion_mnist());
    const auto wrong =
        std::make_shared<training::FlippedLabels>(data.training, training::ImageDataset::classes);
    TRY(model_, training::make_builtin_model(manifest.model, wrong, data.test));
    return {};
  }
#endif
  TRY(auto honest, make_models(manifest));
  model_ = std::make_shared<training::MirroredModel>(std::move(honest.model));
  return {};
}

std::vector<float> FlippedModel::initial_parameters(const Digest& seed) const {
  return model_ ? model_->initial_parameters(seed) : std::vector<float>();
}

Result<training::Contribution> FlippedModel::contribution(std::span<const float> parameters,
                                                          const Digest& seed, std::uint32_t samples,
                                                          std::span<float> gradient) {
  if (!model_) return fail(too_early());
  return model_->contribution(parameters, seed, samples, gradient);
}

Result<training::Evaluation> FlippedModel::evaluate(std::span<const float> parameters) {
  if (!model_) return fail(too_early());
  return model_->evaluate(parameters);
}

std::vector<training::NamedTensorInfo> FlippedModel::layout() const {
  return model_ ? model_->layout() : std::vector<training::NamedTensorInfo>();
}

}  // namespace testudo::tools
