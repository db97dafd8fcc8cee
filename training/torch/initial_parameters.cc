#include "training/torch/initial_parameters.h"

#include <cmath>

#include "crypto/hash.h"
#include "crypto/rng.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

std::vector<float> draw_initial_parameters(std::span<const NamedTensorInfo> layout, const Digest& seed) {
  const ScopedFloatEnvironment environment;
  crypto::SeededRng rng(crypto::Hasher("testudo/initial-parameters").bytes(seed).finish());
  std::vector<float> values;
  for (const NamedTensorInfo& tensor : layout) {
    std::size_t count = 1;
    for (const std::int64_t dimension : tensor.shape) count *= static_cast<std::size_t>(dimension);
    if (tensor.shape.size() < 2) {
      values.insert(values.end(), count, tensor.name.ends_with("weight") ? 1.0F : 0.0F);
      continue;
    }
    const std::size_t fan_in = count / static_cast<std::size_t>(tensor.shape[0]);
    const double bound = std::sqrt(1.0 / static_cast<double>(fan_in));
    for (std::size_t i = 0; i < count; ++i) {
      values.push_back(static_cast<float>((2.0 * rng.unit() - 1.0) * bound));
    }
  }
  return values;
}

}  // namespace testudo::training
