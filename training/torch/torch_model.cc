#include "training/torch/torch_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "crypto/base/check.h"
#include "crypto/hash.h"
#include "training/arithmetic/float_environment.h"
#include "training/torch/initial_parameters.h"

namespace testudo::training {
namespace {

// Samples of one evaluation pass: more would only take memory and leave the cache.
constexpr std::size_t evaluation_batch = 100;

}  // namespace

TorchModel::TorchModel(std::unique_ptr<ModuleRunner> runner, std::shared_ptr<const Dataset> training,
                       std::shared_ptr<const Dataset> held_out)
    : runner_(std::move(runner)), training_(std::move(training)), held_out_(std::move(held_out)) {
  TESTUDO_CHECK(runner_ && training_ && held_out_ && training_->size() > 0 && held_out_->size() > 0);
  std::size_t offset = 0;
  for (RunnerTensor& tensor : runner_->tensors()) {
    std::size_t count = 1;
    for (const std::int64_t dimension : tensor.shape) count *= static_cast<std::size_t>(dimension);
    layout_.push_back({.name = std::move(tensor.name), .shape = std::move(tensor.shape), .offset = offset});
    offset += count;
  }
  TESTUDO_CHECK(offset == runner_->parameter_count());
}

std::vector<float> TorchModel::initial_parameters(const Digest& seed) const {
  return draw_initial_parameters(layout_, seed);
}

BatchView TorchModel::load(const Dataset& data, std::span<const std::uint32_t> indices) {
  inputs_.resize(indices.size() * sample_values(data));
  labels_.resize(indices.size());
  data.load(indices, inputs_, labels_);
  return {.inputs = inputs_.data(),
          .labels = labels_.data(),
          .count = static_cast<std::int64_t>(indices.size()),
          .sample_shape = data.sample_shape()};
}

Result<Contribution> TorchModel::contribution(std::span<const float> parameters, const Digest& seed,
                                              std::uint32_t samples, std::span<float> gradient) {
  TESTUDO_CHECK(parameters.size() == parameter_count() && samples > 0);
  TESTUDO_CHECK(gradient.size() == parameter_count());
  const ScopedFloatEnvironment environment;
  const std::vector<std::uint32_t> indices = select_batch(seed, training_->size(), samples);
  const BatchView batch = load(*training_, indices);
  const Digest randomness = crypto::Hasher("testudo/module-randomness").bytes(seed).finish();

  Contribution out;
  out.samples = static_cast<std::uint32_t>(indices.size());
  TRY(out.loss,
      runner_->gradient(parameters.data(), batch, read_be(ByteView(randomness).first(8)), gradient.data()));
  if (!std::isfinite(out.loss) || !std::ranges::all_of(gradient, [](float x) { return std::isfinite(x); })) {
    return fail(ErrorCode::internal, "model: the loss or its gradient is not finite; the training diverged");
  }
  return out;
}

Result<Evaluation> TorchModel::evaluate(std::span<const float> parameters) {
  TESTUDO_CHECK(parameters.size() == parameter_count());
  const ScopedFloatEnvironment environment;
  std::vector<std::uint32_t> indices(held_out_->size());
  std::iota(indices.begin(), indices.end(), 0U);
  double loss = 0;
  std::int64_t correct = 0;
  for (std::size_t start = 0; start < indices.size(); start += evaluation_batch) {
    const std::size_t count = std::min(evaluation_batch, indices.size() - start);
    const BatchView batch = load(*held_out_, std::span(indices).subspan(start, count));
    TRY(const RunnerScore score, runner_->score(parameters.data(), batch));
    loss += score.loss_sum;
    correct += score.correct;
  }
  const auto total = static_cast<double>(indices.size());
  if (!std::isfinite(loss))
    return fail(ErrorCode::internal, "model: the loss is not finite; the training diverged");
  return Evaluation{.loss = loss / total, .accuracy = static_cast<double>(correct) / total};
}

}  // namespace testudo::training
