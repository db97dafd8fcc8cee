#include "training/synthetic_model.h"

#include <cmath>

#include "crypto/base/check.h"
#include "crypto/hash.h"
#include "crypto/rng.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr float close_enough = 0.1F;

// Uniform in [−1, 1): multiples of 2^-15, two random bytes each, drawn in bulk.
void draw_symmetric(crypto::Rng& rng, std::span<float> out) {
  Bytes bytes(2 * out.size());
  rng.fill(bytes);
  for (std::size_t k = 0; k < out.size(); ++k) {
    const auto word = static_cast<std::int32_t>(bytes[2 * k]) | static_cast<std::int32_t>(bytes[2 * k + 1])
                                                                    << 8;
    out[k] = static_cast<float>(word - 0x8000) * 0x1p-15F;
  }
}

}  // namespace

SyntheticModel::SyntheticModel(const SyntheticOptions& options)
    : noise_(options.noise), optimum_(options.dimension), curvature_(options.dimension) {
  TESTUDO_CHECK(options.dimension > 0 && std::isfinite(options.noise) && options.noise >= 0);
  crypto::SeededRng rng(crypto::Hasher("testudo/synthetic-model").integer(options.problem).finish());
  draw_symmetric(rng, optimum_);
  draw_symmetric(rng, curvature_);
  for (float& h : curvature_) h = 1.0F + 0.5F * h;
}

std::vector<float> SyntheticModel::initial_parameters(const Digest& seed) const {
  std::vector<float> parameters(parameter_count());
  crypto::SeededRng rng(seed);
  draw_symmetric(rng, parameters);
  return parameters;
}

Result<Contribution> SyntheticModel::contribution(std::span<const float> parameters, const Digest& seed,
                                                  std::uint32_t samples, std::span<float> gradient) {
  TESTUDO_CHECK(parameters.size() == parameter_count() && samples > 0);
  TESTUDO_CHECK(gradient.size() == parameter_count());
  const ScopedFloatEnvironment environment;
  crypto::SeededRng rng(seed);
  draw_symmetric(rng, gradient);
  // A uniform value in [−1, 1) has the standard deviation 1/√3.
  const double amplitude = noise_ * std::sqrt(3.0 / static_cast<double>(samples));
  double loss = 0;
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const double distance = static_cast<double>(parameters[k]) - static_cast<double>(optimum_[k]);
    const double slope = static_cast<double>(curvature_[k]) * distance;
    loss += slope * distance;
    gradient[k] = static_cast<float>(slope + amplitude * static_cast<double>(gradient[k]));
    if (!std::isfinite(gradient[k])) return fail(ErrorCode::invalid_argument, "synthetic model: it diverged");
  }
  return Contribution{.samples = samples,
                      .loss = static_cast<float>(loss / (2 * static_cast<double>(parameters.size())))};
}

Result<Evaluation> SyntheticModel::evaluate(std::span<const float> parameters) {
  TESTUDO_CHECK(parameters.size() == parameter_count());
  const ScopedFloatEnvironment environment;
  double loss = 0;
  std::size_t close = 0;
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const double distance = static_cast<double>(parameters[k]) - static_cast<double>(optimum_[k]);
    loss += static_cast<double>(curvature_[k]) * distance * distance;
    if (std::abs(distance) < static_cast<double>(close_enough)) ++close;
  }
  const auto count = static_cast<double>(parameters.size());
  return Evaluation{.loss = loss / (2 * count), .accuracy = static_cast<double>(close) / count};
}

std::vector<NamedTensorInfo> SyntheticModel::layout() const {
  return {{.name = "x", .shape = {static_cast<std::int64_t>(parameter_count())}, .offset = 0}};
}

}  // namespace testudo::training
