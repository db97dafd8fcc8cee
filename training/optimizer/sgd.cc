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

TESTUDO_KERNEL int plain(StepFactors f, const float* gradient, const float* x, float* next_x,
                         std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) {
    const auto old = static_cast<double>(x[k]);
    const double g = static_cast<double>(gradient[k]) * f.gradient + f.weight_decay * old;
    next_x[k] = static_cast<float>(old - f.rate * g);
  }
  return 0;
}

template <bool nesterov>
TESTUDO_KERNEL int with_momentum(StepFactors f, const float* gradient, const float* momentum, const float* x,
                                 float* next_momentum, float* next_x, std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) {
    const auto old = static_cast<double>(x[k]);
    const double g = static_cast<double>(gradient[k]) * f.gradient + f.weight_decay * old;
    const auto m = static_cast<float>(f.momentum * static_cast<double>(momentum[k]) + g);
    next_momentum[k] = m;
    const double update = nesterov ? g + f.momentum * static_cast<double>(m) : static_cast<double>(m);
    next_x[k] = static_cast<float>(old - f.rate * update);
  }
  return 0;
}

class Sgd final : public Optimizer {
 public:
  explicit Sgd(SgdOptions options) : options_(std::move(options)) {}

  std::size_t state_size(std::size_t parameters) const override {
    return options_.momentum > 0 ? parameters : 0;
  }

  bool is_elementwise() const override { return options_.clip_norm == 0; }

  void step(const OptimizerInput& in, const OptimizerOutput& out) const override {
    const std::size_t size = in.parameters.size();
    TESTUDO_CHECK(in.gradient.size() == size && out.parameters.size() == size);
    TESTUDO_CHECK(in.state.size() == state_size(size) && out.state.size() == in.state.size());
    const ScopedFloatEnvironment environment;
    StepFactors factors{1, options_.momentum, options_.weight_decay, options_.rate.rate(in.step)};
    if (options_.clip_norm > 0) {
      const double length = norm(in.gradient);
      if (length > options_.clip_norm) factors.gradient = options_.clip_norm / length;
    }
    const float* const gradient = in.gradient.data();
    const float* const x = in.parameters.data();
    float* const next_x = out.parameters.data();
    if (in.state.empty()) {
      run_widest<plain>(factors, gradient, x, next_x, size);
    } else if (options_.nesterov) {
      run_widest<with_momentum<true>>(factors, gradient, in.state.data(), x, out.state.data(), next_x, size);
    } else {
      run_widest<with_momentum<false>>(factors, gradient, in.state.data(), x, out.state.data(), next_x, size);
    }
  }

 private:
  SgdOptions options_;
};

bool finite_and_not_negative(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

Result<std::unique_ptr<const Optimizer>> make_sgd(const SgdOptions& options) {
  const auto refuse = [](const char* why) {
    return fail(ErrorCode::invalid_argument, std::string("sgd: ") + why);
  };
  if (!finite_and_not_negative(options.momentum) || options.momentum >= 1)
    return refuse("momentum must be in [0, 1)");
  if (options.nesterov && options.momentum == 0) return refuse("nesterov needs momentum");
  if (!finite_and_not_negative(options.weight_decay)) return refuse("weight_decay must be finite and >= 0");
  if (!finite_and_not_negative(options.clip_norm)) return refuse("clip_norm must be finite and >= 0");
  return std::make_unique<const Sgd>(options);
}

}  // namespace testudo::training
