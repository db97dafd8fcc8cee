#include <limits>
#include <numeric>

#include "testudo/torch.h"
#include "training/torch/face/plain_model.h"
#include "training/torch/module_adapter.h"

namespace testudo {
namespace {

using training::PlainData;

void check(const TorchData& data, const char* name) {
  const auto refuse = [name](const std::string& why) {
    throw Exception(ErrorCode::invalid_argument, std::string("the ") + name + " data " + why);
  };
  if (!data.inputs.defined() || !data.targets.defined() || data.inputs.dim() == 0 ||
      data.targets.dim() == 0) {
    refuse("lacks inputs or targets");
  }
  if (data.inputs.size(0) == 0 || data.inputs.size(0) > std::numeric_limits<std::uint32_t>::max() ||
      data.inputs.size(0) != data.targets.size(0)) {
    refuse("has " + std::to_string(data.inputs.size(0)) + " inputs and " +
           std::to_string(data.targets.size(0)) + " targets: it takes as many of both, and at least one");
  }
}

bool is_labels(const torch::Tensor& targets) {
  return targets.dim() == 1 && targets.scalar_type() == torch::kInt64;
}

// `first_label`: of targets that are no labels, their numbers from there on stand in for them.
PlainData plain(const TorchData& data, bool labels, std::int64_t first_label) {
  const auto inputs = data.inputs.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  PlainData out;
  out.sample_shape = inputs.sizes().slice(1).vec();
  out.inputs.assign(inputs.data_ptr<float>(), inputs.data_ptr<float>() + inputs.numel());
  if (labels) {
    const auto targets = data.targets.to(torch::kCPU).contiguous();
    out.labels.assign(targets.data_ptr<std::int64_t>(), targets.data_ptr<std::int64_t>() + targets.numel());
  } else {
    out.labels.resize(static_cast<std::size_t>(inputs.size(0)));
    std::iota(out.labels.begin(), out.labels.end(), first_label);
  }
  return out;
}

}  // namespace

std::shared_ptr<Model> torch_model(std::shared_ptr<torch::nn::Module> module,
                                   std::function<torch::Tensor(const torch::Tensor&)> forward,
                                   const TorchData& training, const TorchData& held_out,
                                   const TorchOptions& options) {
  if (!module || !forward) throw Exception(ErrorCode::invalid_argument, "a torch model needs a module");
  if (options.threads < 1) {
    throw Exception(ErrorCode::invalid_argument,
                    "a torch model computes on at least one thread, not " + std::to_string(options.threads));
  }
  check(training, "training");
  const bool evaluates = held_out.inputs.defined();
  if (evaluates) check(held_out, "held-out");
  const bool labels = is_labels(training.targets) && (!evaluates || is_labels(held_out.targets));
  training::LossOf loss = options.loss ? options.loss : TorchLoss(training::cross_entropy);
  if (!labels) {
    auto targets = training.targets.detach().to(torch::kCPU);
    if (evaluates) targets = torch::cat({targets, held_out.targets.detach().to(torch::kCPU)});
    loss = [targets, loss](const torch::Tensor& outputs, const torch::Tensor& numbers) {
      return loss(outputs, targets.index_select(0, numbers));
    };
  }
  auto runner = training::make_runner<torch::nn::Module>(
      [module] { return module; },
      [forward](torch::nn::Module&, const torch::Tensor& inputs) { return forward(inputs); }, loss,
      {options.threads, options.draws_random_numbers});
  if (!runner) throw Exception(runner.error().code, runner.error().message);
  std::optional<PlainData> evaluation;
  if (evaluates) evaluation = plain(held_out, labels, training.targets.size(0));
  return training::make_plain_model(std::move(*runner), plain(training, labels, 0), std::move(evaluation),
                                    labels);
}

}  // namespace testudo
