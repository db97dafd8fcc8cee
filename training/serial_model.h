// SerialModel: another model, one contribution at a time. An attempt that ends early, because the others have
// ended it, leaves its computation running on the pool; the next attempt begins with one of its own. A model
// that mixed the two would make an honest member contribute what nobody can recompute. Threads: as Model
// says, but contribution() may be called from several; the later call waits for the earlier.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "training/model.h"

namespace testudo::training {

class SerialModel final : public Model {
 public:
  explicit SerialModel(std::shared_ptr<Model> model) : model_(std::move(model)) {}

  std::size_t parameter_count() const override { return model_->parameter_count(); }
  std::vector<float> initial_parameters(const Digest& seed) const override {
    return model_->initial_parameters(seed);
  }
  Result<Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                    std::uint32_t samples, std::span<float> gradient) override {
    const std::lock_guard lock(turn_);
    return model_->contribution(parameters, seed, samples, gradient);
  }
  Result<Evaluation> evaluate(std::span<const float> parameters) override {
    const std::lock_guard lock(turn_);
    return model_->evaluate(parameters);
  }
  std::vector<NamedTensorInfo> layout() const override { return model_->layout(); }

 private:
  std::shared_ptr<Model> model_;
  std::mutex turn_;
};

}  // namespace testudo::training
