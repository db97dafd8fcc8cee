// SGD with momentum, Nesterov's form, weight decay (added to the gradient, as in torch) and clipping by
// global norm.
//
// Written order for every element, all in double with one rounding to float per stored value:
//   f = clip_norm / ‖gradient‖ if clip_norm > 0 and ‖gradient‖ > clip_norm, else 1
//   g = gradient · f + weight_decay · parameter
//   m = float(momentum · m + g)                        (only with momentum > 0)
//   u = g + momentum · m for Nesterov, m with momentum, g without
//   parameter = float(parameter − rate · u)
// State: m, one float a parameter, zeros at first; empty without momentum.
#pragma once

#include <memory>
#include <vector>

#include "training/optimizer/optimizer.h"
#include "training/optimizer/schedule.h"

namespace testudo::training {

struct SgdOptions {
  Schedule rate = Schedule::constant(0.1);
  double momentum = 0;    // in [0, 1)
  bool nesterov = false;  // needs momentum > 0
  double weight_decay = 0;
  double clip_norm = 0;  // 0: none
};

// invalid_argument: an option out of its range.
Result<std::unique_ptr<const Optimizer>> make_sgd(const SgdOptions& options);

}  // namespace testudo::training
