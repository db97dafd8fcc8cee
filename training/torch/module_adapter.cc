#include "training/torch/module_adapter.h"

#include <torch/script.h>

#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>

#include "crypto/base/check.h"
#include "training/torch/torchscript.h"

namespace testudo::training {
namespace {

// The first line of what torch says: the rest is a stack of its own functions.
std::string reason(const std::exception& e) {
  const std::string text = e.what();
  return text.substr(0, text.find('\n'));
}

// torch keeps one random generator a process: a pass that draws from it holds this from its seeding to its
// end.
std::mutex& generator_turn() {
  static std::mutex turn;
  return turn;
}

class AdaptedModule final : public ModuleRunner {
 public:
  // The parameters were checked: float32, dense, on the CPU, each once.
  AdaptedModule(ModuleParts parts, const ModuleOptions& options)
      : parts_(std::move(parts)), options_(options) {
    std::int64_t count = 0;
    for (const auto& [name, tensor] : parts_.parameters) count += tensor.numel();
    flat_ = torch::zeros({count}, torch::kFloat32);
    gradient_ = torch::zeros({count}, torch::kFloat32);
    std::int64_t offset = 0;
    for (auto& [name, tensor] : parts_.parameters) {
      const auto shape = tensor.sizes().vec();
      tensor.set_requires_grad(false);
      tensor.set_data(flat_.narrow(0, offset, tensor.numel()).view(shape));
      tensor.set_requires_grad(true);
      // A defined gradient is added to in place, so it stays a view of the flat one.
      tensor.mutable_grad() = gradient_.narrow(0, offset, tensor.numel()).view(shape);
      offset += tensor.numel();
    }
  }

  std::vector<RunnerTensor> tensors() const override {
    std::vector<RunnerTensor> out;
    for (const auto& [name, tensor] : parts_.parameters) out.push_back({name, tensor.sizes().vec()});
    return out;
  }

  std::size_t parameter_count() const override { return static_cast<std::size_t>(flat_.numel()); }

  Result<float> gradient(const float* parameters, const BatchView& batch, std::uint64_t seed,
                         float* gradient_out) override {
    try {
      prepare(parameters, true);
      std::unique_lock<std::mutex> turn;
      if (options_.draws_random_numbers) {
        turn = std::unique_lock<std::mutex>(generator_turn());
        torch::manual_seed(seed);
      }
      gradient_.zero_();
      const auto outputs = parts_.forward(inputs_of(batch));
      const auto loss = parts_.loss(outputs, labels_of(batch));
      if (loss.dim() != 0) return fail(ErrorCode::internal, "model: its loss is not one number");
      loss.backward();
      if (!still_flat()) {
        return fail(ErrorCode::internal,
                    "model: it replaced its parameters or their gradients during a pass");
      }
      std::memcpy(gradient_out, gradient_.data_ptr<float>(), bytes());
      return loss.item<float>();
    } catch (const std::exception& e) {
      return fail(ErrorCode::internal, "model: computing a gradient failed: " + reason(e));
    }
  }

  Result<RunnerScore> score(const float* parameters, const BatchView& batch) override {
    try {
      prepare(parameters, false);
      const torch::NoGradGuard no_gradients;
      const auto labels = labels_of(batch);
      const auto outputs = parts_.forward(inputs_of(batch));
      const auto loss = parts_.loss(outputs, labels);
      RunnerScore score;
      score.loss_sum = static_cast<double>(loss.item<float>()) * static_cast<double>(batch.count);
      if (outputs.dim() == 2 && outputs.size(0) == batch.count) {
        score.correct = outputs.argmax(1).eq(labels).sum().item<std::int64_t>();
      }
      return score;
    } catch (const std::exception& e) {
      return fail(ErrorCode::internal, "model: the evaluation failed: " + reason(e));
    }
  }

 private:
  std::size_t bytes() const { return parameter_count() * sizeof(float); }

  void prepare(const float* parameters, bool training) {
    // The setting belongs to the process, but takes effect thread by thread.
    if (at::get_num_threads() != options_.threads) at::set_num_threads(options_.threads);
    std::memcpy(flat_.data_ptr<float>(), parameters, bytes());
    if (training_ != static_cast<int>(training)) parts_.set_training(training);
    training_ = training;
  }

  static torch::Tensor inputs_of(const BatchView& batch) {
    std::vector<std::int64_t> shape{batch.count};
    shape.insert(shape.end(), batch.sample_shape.begin(), batch.sample_shape.end());
    return torch::from_blob(const_cast<float*>(batch.inputs), shape, torch::kFloat32);
  }
  static torch::Tensor labels_of(const BatchView& batch) {
    return torch::from_blob(const_cast<std::int64_t*>(batch.labels), {batch.count}, torch::kInt64);
  }

  bool still_flat() const {
    const float* values = flat_.data_ptr<float>();
    const float* gradients = gradient_.data_ptr<float>();
    for (const auto& [name, tensor] : parts_.parameters) {
      if (tensor.data_ptr<float>() != values || !tensor.grad().defined() ||
          tensor.grad().data_ptr<float>() != gradients) {
        return false;
      }
      values += tensor.numel();
      gradients += tensor.numel();
    }
    return true;
  }

  ModuleParts parts_;
  ModuleOptions options_;
  torch::Tensor flat_;
  torch::Tensor gradient_;
  int training_ = -1;  // the mode last set: none yet
};

Result<void> check_parts(ModuleParts& parts) {
  if (!parts.buffers.empty()) {
    return fail(ErrorCode::invalid_argument,
                "model: it keeps the buffer '" + parts.buffers.front() +
                    "' beside its parameters; running statistics cannot be recomputed by a validator: switch "
                    "track_running_stats off or use another normalisation");
  }
  // A tensor that several layers share stands once in the flat vector, under its first name.
  std::vector<std::pair<std::string, torch::Tensor>> unique;
  for (const auto& [name, tensor] : parts.parameters) {
    if (!tensor.defined()) continue;
    if (tensor.scalar_type() != torch::kFloat32 || !tensor.device().is_cpu() ||
        tensor.layout() != torch::kStrided) {
      return fail(ErrorCode::invalid_argument,
                  "model: the parameter '" + name + "' is not dense float32 on the CPU");
    }
    bool known = false;
    for (const auto& other : unique) known = known || other.second.is_same(tensor);
    if (!known && tensor.numel() > 0) unique.emplace_back(name, tensor);
  }
  if (unique.empty()) return fail(ErrorCode::invalid_argument, "model: it has no parameters");
  parts.parameters = std::move(unique);
  return {};
}

}  // namespace

torch::Tensor cross_entropy(const torch::Tensor& outputs, const torch::Tensor& labels) {
  return torch::nn::functional::cross_entropy(outputs, labels);
}

Result<std::unique_ptr<ModuleRunner>> adapt_parts(ModuleParts parts, const ModuleOptions& options) {
  TESTUDO_CHECK(options.threads > 0 && parts.set_training && parts.forward && parts.loss);
  TRY_VOID(check_parts(parts));
  try {
    return std::make_unique<AdaptedModule>(std::move(parts), options);
  } catch (const std::exception& e) {
    return fail(ErrorCode::internal, "model: " + reason(e));
  }
}

Result<std::unique_ptr<ModuleRunner>> load_torchscript(const std::string& path, const LossOf& loss,
                                                       const ModuleOptions& options) {
  ModuleParts parts;
  try {
    const auto module = std::make_shared<torch::jit::Module>(torch::jit::load(path));
    for (const auto& parameter : module->named_parameters()) {
      parts.parameters.emplace_back(parameter.name, parameter.value);
    }
    for (const auto& buffer : module->named_buffers()) parts.buffers.push_back(buffer.name);
    parts.set_training = [module](bool training) { module->train(training); };
    parts.forward = [module](const torch::Tensor& inputs) { return module->forward({inputs}).toTensor(); };
    parts.loss = loss;
    parts.owner = module;
  } catch (const std::exception& e) {
    return fail(ErrorCode::invalid_argument, "model: " + path + " is no TorchScript file: " + reason(e));
  }
  return adapt_parts(std::move(parts), options);
}

Result<std::unique_ptr<ModuleRunner>> load_torchscript_classifier(const std::string& path) {
  return load_torchscript(path);
}

}  // namespace testudo::training
