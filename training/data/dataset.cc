#include "training/data/dataset.h"

#include <limits>
#include <numeric>
#include <unordered_set>

#include "crypto/base/check.h"
#include "crypto/hash.h"
#include "crypto/rng.h"

namespace testudo::training {

std::size_t sample_values(const Dataset& dataset) {
  std::size_t values = 1;
  for (const std::int64_t dimension : dataset.sample_shape()) values *= static_cast<std::size_t>(dimension);
  return values;
}

std::vector<std::uint32_t> select_batch(const Digest& seed, std::size_t dataset_size, std::uint32_t samples) {
  TESTUDO_CHECK(dataset_size <= std::numeric_limits<std::uint32_t>::max());
  std::vector<std::uint32_t> batch;
  if (samples >= dataset_size) {
    batch.resize(dataset_size);
    std::iota(batch.begin(), batch.end(), 0U);
    return batch;
  }
  batch.reserve(samples);
  std::unordered_set<std::uint32_t> drawn;
  drawn.reserve(samples);
  crypto::SeededRng rng(crypto::Hasher("testudo/batch").bytes(seed).finish());
  while (batch.size() < samples) {
    const auto index = static_cast<std::uint32_t>(rng.below(dataset_size));
    if (drawn.insert(index).second) batch.push_back(index);
  }
  return batch;
}

}  // namespace testudo::training
