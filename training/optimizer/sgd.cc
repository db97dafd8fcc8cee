#include "training/optimizer/sgd.h"

#include <cmath>
#include <string>

#include "crypto/base/check.h"
#include "crypto/base/vector_unit.h"
#include "training/arithmetic/reproducible.h"

namespace testudo::training {

namespace {

struct StepFactors {
  double gradient;
  double momentum;
  double weight_decay;
  double rate;
};

TESTUDO_KERNEL int plain(StepFactors f, const float* __restrict gradient, float* __restrict x,
                         std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) {
    const auto old = static_cast<double>(x[k]);
    const double g = static_cast<double>(gradient[k]) * f.gradient + f.weight_decay * old;
    x[k] = static_cast<float>(old - f.rate * g);
  }
  return 0;
}

template <bool nesterov>
TESTUDO_KERNEL int with_momentum(StepFactors f, const float* __restrict gradient, float* __restrict momentum,
                                 float* __restrict x, std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) {
    const auto old = static_cast<double>(x[k]);
    const double g = static_cast<double>(gradient[k]) * f.gradient + f.weight_decay * old;
    const auto m = static_cast<float>(f.momentum * static_cast<double>(momentum[k]) + g);
    momentum[k] = m;
    const double update = nesterov ? g + f.momentum * static_cast<double>(m) : static_cast<double>(m);
    x[k] = static_cast<float>(old - f.rate * update);
  }
  return 0;
}

class Sgd final : public Optimizer {
 public:
  Sgd(std::size_t parameter_count, SgdOptions options)
      : options_(std::move(options)),
        parameter_count_(parameter_count),
        momentum_(options_.momentum > 0 ? parameter_count : 0) {}

  void step(std::span<float> parameters, std::span<const float> gradient, std::uint64_t step) override {
    TESTUDO_CHECK(parameters.size() == parameter_count_ && gradient.size() == parameter_count_);
    const ScopedFloatEnvironment environment;
    StepFactors factors{1, options_.momentum, options_.weight_decay, options_.rate.rate(step)};
    if (options_.clip_norm > 0) {
      const double length = norm(gradient);
      if (length > options_.clip_norm) factors.gradient = options_.clip_norm / length;
    }
    if (momentum_.empty()) {
      run_widest<plain>(factors, gradient.data(), parameters.data(), parameter_count_);
    } else if (options_.nesterov) {
      run_widest<with_momentum<true>>(factors, gradient.data(), momentum_.data(), parameters.data(),
                                      parameter_count_);
    } else {
      run_widest<with_momentum<false>>(factors, gradient.data(), momentum_.data(), parameters.data(),
                                       parameter_count_);
    }
  }

  std::span<const float> state() const override { return momentum_; }

  Result<void> set_state(std::span<const float> state) override {
    if (state.size() != momentum_.size()) {
      return fail(ErrorCode::corrupt, "sgd state: " + std::to_string(state.size()) + " values where " +
                                          std::to_string(momentum_.size()) + " are expected");
    }
    for (const float value : state) {
      if (!std::isfinite(value)) return fail(ErrorCode::corrupt, "sgd state: a value is not finite");
    }
    momentum_.assign(state.begin(), state.end());
    return {};
  }

 private:
  SgdOptions options_;
  std::size_t parameter_count_;
  std::vector<float> momentum_;
};

bool finite_and_not_negative(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

Result<std::unique_ptr<Optimizer>> make_sgd(std::size_t parameter_count, const SgdOptions& options) {
  const auto refuse = [](const char* why) {
    return fail(ErrorCode::invalid_argument, std::string("sgd: ") + why);
  };
  if (!finite_and_not_negative(options.momentum) || options.momentum >= 1)
    return refuse("momentum must be in [0, 1)");
  if (options.nesterov && options.momentum == 0) return refuse("nesterov needs momentum");
  if (!finite_and_not_negative(options.weight_decay)) return refuse("weight_decay must be finite and >= 0");
  if (!finite_and_not_negative(options.clip_norm)) return refuse("clip_norm must be finite and >= 0");
  return std::make_unique<Sgd>(parameter_count, options);
}

}  // namespace testudo::training
