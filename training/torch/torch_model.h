// TorchModel: a Model (training/model.h) made of a network (module_runner.h) and the data it learns from.
// Includes no torch. Threads and determinism: as Model says.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "training/data/dataset.h"
#include "training/model.h"
#include "training/torch/module_runner.h"

namespace testudo::training {

class TorchModel final : public Model {
 public:
  // `training` is what contributions draw from, `held_out` what evaluate() measures on; both not empty.
  TorchModel(std::unique_ptr<ModuleRunner> runner, std::shared_ptr<const Dataset> training,
             std::shared_ptr<const Dataset> held_out);

  std::size_t parameter_count() const override { return runner_->parameter_count(); }
  std::vector<float> initial_parameters(const Digest& seed) const override;
  Result<Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                    std::uint32_t samples, std::span<float> gradient) override;
  Result<Evaluation> evaluate(std::span<const float> parameters) override;
  std::vector<NamedTensorInfo> layout() const override { return layout_; }

 private:
  // Loads these samples into the buffers below; the view is good until the next call.
  BatchView load(const Dataset& data, std::span<const std::uint32_t> indices);

  std::unique_ptr<ModuleRunner> runner_;
  std::shared_ptr<const Dataset> training_;
  std::shared_ptr<const Dataset> held_out_;
  std::vector<NamedTensorInfo> layout_;
  std::vector<float> inputs_;
  std::vector<std::int64_t> labels_;
};

}  // namespace testudo::training
