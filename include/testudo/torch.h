// Models of libtorch: any torch::nn module with the data that it learns from. Needs the package's component
// `torch`, and nothing that the other headers do not.
#pragma once

#include <testudo/model.h>
#include <torch/torch.h>

#include <functional>
#include <memory>
#include <utility>

#pragma GCC visibility push(default)

namespace testudo {

// Samples along the first dimension, as many inputs as targets, held in memory; copied by whoever takes it.
struct TorchData {
  torch::Tensor inputs;   // handed to the module as float32
  torch::Tensor targets;  // for a classifier int64 labels, one a sample; else whatever the loss takes
};

// The mean loss of a batch, a scalar.
using TorchLoss = std::function<torch::Tensor(const torch::Tensor& outputs, const torch::Tensor& targets)>;

struct TorchOptions {
  TorchLoss loss;  // empty: cross-entropy of a classifier's logits
  // torch's number of threads for one operation. It is one setting for the whole process.
  int threads = 1;
  // The module draws random numbers in training (dropout). torch has one generator a process, so such passes
  // take turns.
  bool draws_random_numbers = false;
};

// The parameters in one flat vector, in the order in which the module registered them; the module's own are
// moved there, and it must not be used by anybody else any more. Initial parameters are drawn anew from the
// run's seed, the same on every machine: uniform in ±√(1 / fan in) for tensors of two and more dimensions;
// vectors are 1 where their name ends in "weight", else 0. Without `held_out` nothing is evaluated; accuracy
// is meaningful for a classifier, and NaN otherwise.
//
// Threads: as testudo/model.h says; `forward` and the loss run there, too. Throws Exception:
// `invalid_argument` for a module without parameters, with buffers (running statistics: nobody could
// recompute them), with parameters other than dense float32 on the CPU, and for data that does not fit
// together.
std::shared_ptr<Model> torch_model(std::shared_ptr<torch::nn::Module> module,
                                   std::function<torch::Tensor(const torch::Tensor&)> forward,
                                   const TorchData& training, const TorchData& held_out = {},
                                   const TorchOptions& options = {});

// For a module holder (torch::nn::Sequential, or what TORCH_MODULE makes) with a forward(Tensor).
template <typename Holder>
std::shared_ptr<Model> torch_model(Holder net, const TorchData& training, const TorchData& held_out = {},
                                   const TorchOptions& options = {}) {
  std::shared_ptr<torch::nn::Module> module = net.ptr();
  return torch_model(
      std::move(module), [net](const torch::Tensor& inputs) mutable { return net->forward(inputs); },
      training, held_out, options);
}

}  // namespace testudo

#pragma GCC visibility pop
