#include "training/torch/builtin_models.h"

#include <utility>

#include "training/torch/fashion_convnet.h"
#include "training/torch/torch_model.h"
#include "training/torch/torchscript.h"

namespace testudo::training {

std::vector<std::string> builtin_model_names() { return {"fashion_convnet"}; }

Result<std::unique_ptr<Model>> make_builtin_model(std::string_view name, const FashionMnist& data) {
  if (name != "fashion_convnet") {
    return fail(ErrorCode::not_found,
                "no built-in model is called '" + std::string(name) + "'; there is fashion_convnet");
  }
  TRY(auto runner, make_fashion_convnet());
  return std::make_unique<TorchModel>(std::move(runner), data.training, data.test);
}

Result<std::unique_ptr<Model>> make_torchscript_model(const std::string& path, const FashionMnist& data) {
  TRY(auto runner, load_torchscript_classifier(path));
  return std::make_unique<TorchModel>(std::move(runner), data.training, data.test);
}

}  // namespace testudo::training
