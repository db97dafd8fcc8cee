// ModuleRunner: a network that computes gradients, seen through plain numbers. It is the border to libtorch:
// the one side (module_adapter.cc) is C++17 and includes torch, the other (torch_model.cc) is C++20 and does
// not, because libtorch 1.13 is no C++20 for clang. So this header is C++17, and exceptions of torch end here
// as errors.
//
// Threads: one owner, one call at a time, possibly each on another thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/result.h"

namespace testudo::training {

// `count` samples one after another. The runner reads them within the call only.
struct BatchView {
  const float* inputs = nullptr;           // count × the product of sample_shape
  const std::int64_t* labels = nullptr;    // count
  std::int64_t count = 0;                  // > 0
  std::vector<std::int64_t> sample_shape;  // of one input, without the batch dimension
};

struct RunnerTensor {
  std::string name;
  std::vector<std::int64_t> shape;
};

struct RunnerScore {
  double loss_sum = 0;       // over the samples
  std::int64_t correct = 0;  // samples whose largest output is at the label
};

class ModuleRunner {
 public:
  virtual ~ModuleRunner() = default;

  // The parameters in the order of the flat vector: the order in which the module registered them.
  virtual std::vector<RunnerTensor> tensors() const = 0;
  virtual std::size_t parameter_count() const = 0;

  // Mean loss over the batch; writes the gradient at `parameters`. Both arrays hold parameter_count() values.
  // `seed` is where the module's own randomness (dropout) starts. Errors: internal, when the module throws.
  virtual Result<float> gradient(const float* parameters, const BatchView& batch, std::uint64_t seed,
                                 float* gradient_out) = 0;
  // In evaluation mode: no dropout, no gradient.
  virtual Result<RunnerScore> score(const float* parameters, const BatchView& batch) = 0;
};

}  // namespace testudo::training
