// SyntheticModel: a noisy convex quadratic of any dimension, for the simulator and for tests that need no
// tensor library.
//
//   f(x) = 1/(2d) Σ h_k (x_k − x*_k)²,  h_k in [0.5, 1.5), x*_k in [−1, 1), drawn from the problem seed.
// A contribution's gradient is d · ∇f (h_k (x_k − x*_k): of order one a coordinate, whatever d) plus noise of
// standard deviation noise / √samples a coordinate, uniform, drawn from the batch seed: unbiased, and smaller
// for larger batches, as a minibatch gradient is. SGD with a rate below 1 converges. evaluate(): loss = f,
// accuracy = the share of coordinates within 0.1 of the optimum. Bitwise deterministic on every machine.
#pragma once

#include "training/model.h"

namespace testudo::training {

struct SyntheticOptions {
  std::size_t dimension = 1000;  // > 0
  double noise = 0.5;            // ≥ 0, for one sample
  std::uint64_t problem = 1;     // which quadratic
};

class SyntheticModel final : public Model {
 public:
  explicit SyntheticModel(const SyntheticOptions& options);

  std::size_t parameter_count() const override { return optimum_.size(); }
  std::vector<float> initial_parameters(const Digest& seed) const override;  // in [−1, 1)
  Result<Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                    std::uint32_t samples, std::span<float> gradient) override;
  Result<Evaluation> evaluate(std::span<const float> parameters) override;
  std::vector<NamedTensorInfo> layout() const override;

  std::span<const float> optimum() const { return optimum_; }

 private:
  double noise_;
  std::vector<float> optimum_;
  std::vector<float> curvature_;
};

}  // namespace testudo::training
