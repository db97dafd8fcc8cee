// The half of testudo/torch.h that needs C++20 and no torch; this header is C++17, for the other half.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "testudo/model.h"
#include "training/torch/module_runner.h"

namespace testudo::training {

struct PlainData {
  std::vector<float> inputs;               // samples one after another
  std::vector<std::int64_t> labels;        // one a sample; at least one
  std::vector<std::int64_t> sample_shape;  // of one input
};

// Without held-out data nothing is evaluated. `classifies`: whether accuracy means something.
std::shared_ptr<testudo::Model> make_plain_model(std::unique_ptr<ModuleRunner> runner, PlainData training,
                                                 std::optional<PlainData> held_out, bool classifies);

}  // namespace testudo::training
