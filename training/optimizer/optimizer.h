// Optimizer: the step from parameters and averaged gradient to new parameters. It is part of the protocol,
// not of the model: every member makes the same step and must end with the same bytes, so it is our own code
// in reproducible arithmetic, and its state is part of the swarm state that newcomers download.
//
// Threads: one owner; callable from any thread, one call at a time.
#pragma once

#include <cstdint>
#include <span>

#include "crypto/base/result.h"

namespace testudo::training {

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // `step` counts from 0 and selects the learning rate. REQUIRES: both spans of the size that the optimizer
  // was made for; a finite gradient.
  virtual void step(std::span<float> parameters, std::span<const float> gradient, std::uint64_t step) = 0;

  // What travels to newcomers and is hashed into certificates; its size never changes. Valid until the next
  // call.
  virtual std::span<const float> state() const = 0;
  // corrupt: wrong size or a value that is not finite; the old state then stays.
  virtual Result<void> set_state(std::span<const float> state) = 0;
};

}  // namespace testudo::training
