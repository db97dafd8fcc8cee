// Any torch module as a ModuleRunner. This header includes torch: C++17, for files that define models, and
// slow to compile.
//
// All parameters become views of one flat tensor, so loading a parameter vector is one copy, and so is
// reading a gradient. Running statistics are refused: what a module remembers between calls a validator could
// not recompute (for batch normalisation, switch track_running_stats off, or use group or layer
// normalisation). Deterministic: same parameters, batch and seed, same bytes, on the same machine; hence one
// compute thread unless told.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <string>

#include "training/torch/module_runner.h"

namespace testudo::training {

struct ModuleOptions {
  // torch's number of threads for one operation. It is one setting for the whole process, so give every model
  // the same.
  int threads = 1;
  // The module draws random numbers in training (dropout). torch has one generator a process, so such passes
  // take turns.
  bool draws_random_numbers = false;
};

// Outputs (logits) [batch, classes] of a module for inputs [batch, sample shape...].
template <typename Module>
using ForwardOf = std::function<torch::Tensor(Module&, const torch::Tensor& inputs)>;
// The mean loss, a scalar, of these outputs for labels [batch] (int64).
using LossOf = std::function<torch::Tensor(const torch::Tensor& outputs, const torch::Tensor& labels)>;

// Mean cross-entropy, the usual loss of a classifier.
torch::Tensor cross_entropy(const torch::Tensor& outputs, const torch::Tensor& labels);

// What the runner needs of a module, whatever kind it is.
struct ModuleParts {
  std::vector<std::pair<std::string, torch::Tensor>> parameters;
  std::vector<std::string> buffers;
  std::function<void(bool training)> set_training;
  std::function<torch::Tensor(const torch::Tensor& inputs)> forward;
  LossOf loss;
  std::shared_ptr<void> owner;  // keeps alive what the closures use
};

// Errors: invalid_argument for buffers, for parameters that are not float32 on the CPU, and for a module
// without any.
Result<std::unique_ptr<ModuleRunner>> adapt_parts(ModuleParts parts, const ModuleOptions& options);

// For a module: make_runner<Net>([] { return std::make_shared<NetImpl>(); }, [](auto& net, auto& x) { return
// net.forward(x); }).
template <typename Module>
Result<std::unique_ptr<ModuleRunner>> make_runner(const std::function<std::shared_ptr<Module>()>& make,
                                                  const ForwardOf<Module>& forward,
                                                  const LossOf& loss = cross_entropy,
                                                  const ModuleOptions& options = {}) {
  ModuleParts parts;
  try {
    const std::shared_ptr<Module> module = make();
    for (const auto& parameter : module->named_parameters()) {
      parts.parameters.emplace_back(parameter.key(), parameter.value());
    }
    for (const auto& buffer : module->named_buffers()) {
      if (buffer.value().defined()) parts.buffers.push_back(buffer.key());
    }
    parts.set_training = [module](bool training) { module->train(training); };
    parts.forward = [module, forward](const torch::Tensor& inputs) { return forward(*module, inputs); };
    parts.loss = loss;
    parts.owner = module;
  } catch (const std::exception& e) {
    return fail(ErrorCode::invalid_argument, std::string("model: its constructor failed: ") + e.what());
  }
  return adapt_parts(std::move(parts), options);
}

// A TorchScript file: its forward() takes the inputs and gives the outputs.
Result<std::unique_ptr<ModuleRunner>> load_torchscript(const std::string& path,
                                                       const LossOf& loss = cross_entropy,
                                                       const ModuleOptions& options = {});

}  // namespace testudo::training
