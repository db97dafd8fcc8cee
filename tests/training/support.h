// What the tests of the pure functions share: seeded data and fingerprints of float vectors.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "crypto/base/encoding.h"
#include "crypto/base/vector_unit.h"
#include "crypto/hash.h"
#include "crypto/rng.h"
#include "training/model.h"
#include "training/optimizer/sgd.h"

namespace testudo::training {

// Uniform in [−amplitude, amplitude).
inline std::vector<float> random_floats(std::uint64_t seed, std::size_t size, double amplitude = 1) {
  crypto::SeededRng rng(seed);
  std::vector<float> out(size);
  for (float& value : out) value = static_cast<float>(amplitude * (2 * rng.unit() - 1));
  return out;
}

// The first 16 hex digits of BLAKE2b-256 over the bytes: enough to notice a flipped bit.
inline std::string fingerprint(ByteView bytes) { return to_hex(crypto::blake2b(bytes)).substr(0, 16); }
inline std::string fingerprint(std::span<const float> values) {
  return fingerprint(ByteView(reinterpret_cast<const std::uint8_t*>(values.data()), 4 * values.size()));
}

inline std::vector<std::span<const float>> views(const std::vector<std::vector<float>>& parts) {
  return {parts.begin(), parts.end()};
}

struct Computed {
  std::vector<float> gradient;
  Contribution of;
};
inline Result<Computed> contribution_of(Model& model, std::span<const float> parameters, const Digest& seed,
                                        std::uint32_t samples) {
  Computed out{std::vector<float>(model.parameter_count()), {}};
  TRY(out.of, model.contribution(parameters, seed, samples, out.gradient));
  return out;
}

// SGD that steps in place and carries its state along, as a member's rounds do.
struct SteppingSgd {
  explicit SteppingSgd(const SgdOptions& options) : optimizer(*make_sgd(options)) {}
  void step(std::vector<float>& parameters, std::span<const float> gradient, std::uint64_t t) {
    state.resize(optimizer->state_size(parameters.size()));
    optimizer->step({.parameters = parameters, .state = state, .gradient = gradient, .step = t},
                    {.parameters = parameters, .state = state});
  }
  std::unique_ptr<const Optimizer> optimizer;
  std::vector<float> state;
};

inline constexpr VectorUnit all_units[] = {VectorUnit::baseline, VectorUnit::avx2, VectorUnit::avx512};

}  // namespace testudo::training
