// A network in a TorchScript file, without including torch (module_adapter.h has the general form).
#pragma once

#include <memory>
#include <string>

#include "training/torch/module_runner.h"

namespace testudo::training {

// forward() takes inputs [batch, ...] and gives logits [batch, classes]; the loss is mean cross-entropy.
Result<std::unique_ptr<ModuleRunner>> load_torchscript_classifier(const std::string& path);

}  // namespace testudo::training
