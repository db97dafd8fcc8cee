// Optimizer: the step from parameters and averaged gradient to new parameters. It is part of the protocol,
// not of the model: every member makes the same step and must end with the same bytes, so it is our own code
// in reproducible arithmetic, and its state is part of the swarm state that newcomers download.
//
// It keeps nothing: its state is a vector like the parameters. Threads: immutable; callable from any thread.
#pragma once

#include <cstdint>
#include <span>

#include "crypto/base/result.h"

namespace testudo::training {

struct OptimizerInput {
  std::span<const float> parameters;
  std::span<const float> state;     // state_size() values; zeros before the first step
  std::span<const float> gradient;  // as many as parameters, finite
  std::uint64_t step = 0;           // counts from 0 and selects the learning rate
};
struct OptimizerOutput {  // of the input's sizes; may lie where the input lies
  std::span<float> parameters;
  std::span<float> state;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // What travels to newcomers and is hashed into certificates.
  virtual std::size_t state_size(std::size_t parameters) const = 0;
  // Whether the step of a value needs nothing but what stands in its place: a range can then be stepped
  // alone.
  virtual bool is_elementwise() const = 0;
  virtual void step(const OptimizerInput& input, const OptimizerOutput& output) const = 0;
};

}  // namespace testudo::training
