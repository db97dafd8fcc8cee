#include "node/face/adapted_model.h"

#include <algorithm>
#include <cmath>

namespace testudo::face {

bool Gate::enter() {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  ++inside_;
  return true;
}

void Gate::leave() {
  const std::lock_guard lock(mutex_);
  --inside_;
  left_.notify_all();
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void Gate::wait_empty() {
  std::unique_lock lock(mutex_);
  left_.wait(lock, [this] { return inside_ == 0; });
}

AdaptedModel::AdaptedModel(std::shared_ptr<testudo::Model> model, std::shared_ptr<LoopHandle> loop,
                           std::shared_ptr<Gate> gate, std::function<void(const std::string&)> on_problem)
    : model_(std::move(model)),
      loop_(std::move(loop)),
      gate_(std::move(gate)),
      on_problem_(std::move(on_problem)) {}

template <typename Work>
auto AdaptedModel::guarded(const char* what, Work work) -> Result<decltype(work())> {
  if (!gate_->enter()) return fail(ErrorCode::closed, "the run was left");
  const LoopHandle::Inside inside(*loop_);
  std::string why;
  try {
    auto value = work();
    gate_->leave();
    return value;
  } catch (const std::exception& error) {
    why = error.what();
  } catch (...) {
    why = "something that is no std::exception was thrown";
  }
  gate_->leave();
  std::string message = "the model's " + std::string(what) + " failed: " + why;
  on_problem_(message);
  return fail(ErrorCode::internal, std::move(message));
}

Result<void> AdaptedModel::measure() {
  TRY(parameter_count_, guarded("parameter_count()", [&] { return model_->parameter_count(); }));
  return {};
}

Result<void> AdaptedModel::draw(const Digest& seed) {
  TRY(initial_, guarded("initial_parameters()", [&] { return model_->initial_parameters(seed); }));
  if (initial_.size() != parameter_count_) {
    return fail(ErrorCode::invalid_argument,
                "the model says that it has " + std::to_string(parameter_count_) +
                    " parameters, and its initial_parameters() gave " + std::to_string(initial_.size()));
  }
  if (!std::ranges::all_of(initial_, [](float value) { return std::isfinite(value); })) {
    return fail(ErrorCode::invalid_argument,
                "the model's initial_parameters() gave a value that is not finite");
  }
  return {};
}

Result<training::Contribution> AdaptedModel::contribution(std::span<const float> parameters,
                                                          const Digest& seed, std::uint32_t samples,
                                                          std::span<float> gradient) {
  TRY(testudo::Contribution given, guarded("contribution()", [&] {
        return model_->contribution({parameters.data(), parameters.size()}, seed, samples);
      }));
  std::string wrong;
  if (given.gradient.size() != parameter_count_) {
    wrong = "a gradient of " + std::to_string(given.gradient.size()) + " values for " +
            std::to_string(parameter_count_) + " parameters";
  } else if (given.samples == 0 || given.samples > samples) {
    wrong =
        std::to_string(given.samples) + " samples, where 1 to " + std::to_string(samples) + " were asked for";
  } else if (!std::isfinite(given.loss) ||
             !std::ranges::all_of(given.gradient, [](float value) { return std::isfinite(value); })) {
    wrong = "a loss or gradient that is not finite";
  }
  if (!wrong.empty()) {
    wrong.insert(0, "the model's contribution() gave ");
    on_problem_(wrong);
    return fail(ErrorCode::invalid_argument, std::move(wrong));
  }
  std::ranges::copy(given.gradient, gradient.begin());
  return training::Contribution{.samples = given.samples, .loss = given.loss};
}

Result<training::Evaluation> AdaptedModel::evaluate(std::span<const float> parameters) {
  TRY(const std::optional<testudo::Evaluation> given,
      guarded("evaluate()", [&] { return model_->evaluate({parameters.data(), parameters.size()}); }));
  if (!given) return fail(ErrorCode::not_found, "the model has nothing to evaluate on");
  return training::Evaluation{.loss = given->loss, .accuracy = given->accuracy};
}

std::vector<training::NamedTensorInfo> AdaptedModel::layout() const {
  return {{.name = "parameters", .shape = {static_cast<std::int64_t>(parameter_count_)}, .offset = 0}};
}

}  // namespace testudo::face
