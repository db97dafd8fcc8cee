// Model: the seam to whatever is trained. The round knows parameters as one flat vector of floats and nothing
// else; the step is the optimizer's (optimizer/optimizer.h), never the model's.
//
// Threads: one owner. Methods run on a thread of the CPU pool, one call at a time per object, possibly each
// on another thread. They may be slow; they touch no protocol state. The same arguments give the same result,
// on one machine bit for bit; between machines only a contribution's low bits may differ (the tolerance ν of
// the manifest). What a model remembers between calls (running statistics) is frozen, or a validator could
// not recompute it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo::training {

// Of a gradient.
struct Contribution {
  std::uint32_t samples = 0;  // what was used, at most what was asked for
  float loss = 0;             // mean over the samples, before the step
};

struct Evaluation {
  double loss = 0;
  double accuracy = 0;  // in [0, 1]
};

// Where a named tensor lies in the flat vector. Tensors follow one another without gaps, in layout() order.
struct NamedTensorInfo {
  std::string name;
  std::vector<std::int64_t> shape;  // empty: a scalar
  std::size_t offset = 0;           // in values
};

class Model {
 public:
  virtual ~Model() = default;

  virtual std::size_t parameter_count() const = 0;

  // The same bytes on every machine (the manifest holds their digest), so drawn by our Rng from the seed,
  // without libm.
  virtual std::vector<float> initial_parameters(const Digest& seed) const = 0;

  // The gradient at `parameters` on the batch of `samples` samples that `seed` names (with everything random
  // about it: augmentation, dropout), a mean over the samples and not a sum, into `gradient`, which holds
  // anything before, and no meaning after an error. REQUIRES: parameter_count() parameters and values of
  // gradient, apart from one another; samples > 0. Errors: data is missing; the model failed or produced
  // values that are not finite.
  virtual Result<Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                            std::uint32_t samples, std::span<float> gradient) = 0;

  // On held-out data, the same at every call.
  virtual Result<Evaluation> evaluate(std::span<const float> parameters) = 0;

  virtual std::vector<NamedTensorInfo> layout() const = 0;
};

}  // namespace testudo::training
