// Model: what is trained or averaged. The network knows it as one flat vector of floats, and makes the step
// itself (plain SGD with momentum, as the run says); a model computes gradients and nothing else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#pragma GCC visibility push(default)

namespace testudo {

// What everything random starts from.
using Seed = std::array<std::uint8_t, 32>;

// Floats that the caller owns: good until the call returns.
struct FloatView {
  const float* data = nullptr;
  std::size_t size = 0;

  const float* begin() const { return data; }
  const float* end() const { return data + size; }
  float operator[](std::size_t index) const { return data[index]; }
};

struct Contribution {
  std::vector<float> gradient;  // parameter_count() finite values: a mean over `samples`, not a sum
  std::uint32_t samples = 0;    // what was used: at least one, at most what was asked for
  float loss = 0;               // mean over the samples, at the parameters given
};

struct Evaluation {
  double loss = 0;
  double accuracy = 0;  // in [0, 1]
};

// To be implemented by the user; testudo/torch.h has one for libtorch modules.
//
// Threads: initial_parameters(), contribution() and evaluate() are called on a thread of the node's CPU pool
// ("testudo-cpu"), one call at a time per object, possibly each on another thread; parameter_count() on any
// thread, and it never changes. They may be slow, within the run's compute_deadline. A call cannot be
// interrupted: leaving a run waits for the one under way. They must not call a Node or a Run.
//
// An exception that they throw ends the call, not the program: a contribution is then missing in its round
// (RunObserver::on_problem says why), and a run whose initial parameters could not be drawn is not joined.
class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  virtual std::size_t parameter_count() const = 0;

  // Where a run starts: the same bytes on every machine, because all members must agree on them. So no
  // randomness but what is derived from the seed in whole numbers, and no mathematics but + − × ÷ √.
  virtual std::vector<float> initial_parameters(const Seed& seed) = 0;

  // The gradient at `parameters` on a batch of `samples` samples that `seed` chooses. The same arguments give
  // the same result.
  virtual Contribution contribution(FloatView parameters, const Seed& seed, std::uint32_t samples) = 0;

  // On held-out data, the same at every call; nothing when there is none.
  virtual std::optional<Evaluation> evaluate(FloatView parameters) {
    static_cast<void>(parameters);
    return std::nullopt;
  }
};

}  // namespace testudo

#pragma GCC visibility pop
