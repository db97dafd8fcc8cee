// HostileModel: another model, but from a given round on its gradients are turned around and blown up before
// they are sent. For the simulator, and for testudo-hostile in tests and the demo. Threads: as Model says;
// set_round from any thread.
#pragma once

#include <atomic>
#include <memory>

#include "training/model.h"

namespace testudo::training {

struct Attack {
  float scale = 1000;  // every gradient becomes −scale · gradient
  std::uint64_t from_round = 1;
};

class HostileModel final : public Model {
 public:
  HostileModel(std::shared_ptr<Model> honest, Attack attack);

  void set_round(std::uint64_t round) { round_ = round; }

  std::size_t parameter_count() const override { return honest_->parameter_count(); }
  std::vector<float> initial_parameters(const Digest& seed) const override {
    return honest_->initial_parameters(seed);
  }
  Result<Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                    std::uint32_t samples, std::span<float> gradient) override;
  Result<Evaluation> evaluate(std::span<const float> parameters) override {
    return honest_->evaluate(parameters);
  }
  std::vector<NamedTensorInfo> layout() const override { return honest_->layout(); }

 private:
  std::shared_ptr<Model> honest_;
  Attack attack_;
  std::atomic<std::uint64_t> round_ = 0;
};

}  // namespace testudo::training
