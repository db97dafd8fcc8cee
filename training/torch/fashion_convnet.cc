#include "training/torch/fashion_convnet.h"

#include "training/torch/module_adapter.h"

namespace testudo::training {
namespace {

struct FashionConvnet : torch::nn::Module {
  torch::nn::Conv2d conv1 = register_module("conv1", torch::nn::Conv2d(1, 8, 5));
  torch::nn::GroupNorm norm1 = register_module("norm1", normalisation(8));
  torch::nn::Conv2d conv2 = register_module("conv2", torch::nn::Conv2d(8, 16, 3));
  torch::nn::GroupNorm norm2 = register_module("norm2", normalisation(16));
  torch::nn::Linear hidden = register_module("hidden", torch::nn::Linear(16 * 5 * 5, 24));
  torch::nn::Linear output = register_module("output", torch::nn::Linear(24, 10));

  static torch::nn::GroupNorm normalisation(std::int64_t channels) {
    constexpr std::int64_t groups = 4;
    return torch::nn::GroupNorm(torch::nn::GroupNormOptions(groups, channels));
  }

  torch::Tensor forward(const torch::Tensor& images) {
    auto x = torch::relu(norm1(torch::max_pool2d(conv1(images), 2)));
    x = torch::relu(norm2(torch::max_pool2d(conv2(x), 2)));
    return output(torch::relu(hidden(x.flatten(1))));
  }
};

}  // namespace

Result<std::unique_ptr<ModuleRunner>> make_fashion_convnet() {
  return make_runner<FashionConvnet>(
      [] { return std::make_shared<FashionConvnet>(); },
      [](FashionConvnet& net, const torch::Tensor& images) { return net.forward(images); });
}

}  // namespace testudo::training
