// FlippedModel: of label_flip: the run's model as it learns from wrong labels. Which model that is, is known
// only when the manifest is; until then it refuses to compute. Threads: as Model says; use() before the first
// contribution.
#pragma once

#include <memory>

#include "swarm/manifest.h"
#include "training/model.h"

namespace testudo::tools {

class FlippedModel final : public training::Model {
 public:
  // A model with labels gets l exchanged for the last class − l; one without is mirrored
  // (training/simulation/label_flip.h). Errors: as make_models().
  Result<void> use(const swarm::Manifest& manifest);

  std::size_t parameter_count() const override { return model_ ? model_->parameter_count() : 0; }
  std::vector<float> initial_parameters(const Digest& seed) const override;
  Result<training::Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                              std::uint32_t samples, std::span<float> gradient) override;
  Result<training::Evaluation> evaluate(std::span<const float> parameters) override;
  std::vector<training::NamedTensorInfo> layout() const override;

 private:
  std::shared_ptr<training::Model> model_;
};

}  // namespace testudo::tools
