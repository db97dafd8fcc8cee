#include "training/torch/face/plain_model.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "training/torch/torch_model.h"

namespace testudo::training {
namespace {

class PlainDataset final : public Dataset {
 public:
  explicit PlainDataset(PlainData data) : data_(std::move(data)) {}

  std::size_t size() const override { return data_.labels.size(); }
  std::vector<std::int64_t> sample_shape() const override { return data_.sample_shape; }
  void load(std::span<const std::uint32_t> indices, std::span<float> inputs,
            std::span<std::int64_t> labels) const override {
    const std::size_t values = sample_values(*this);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      std::ranges::copy(std::span(data_.inputs).subspan(indices[i] * values, values),
                        inputs.subspan(i * values).begin());
      labels[i] = data_.labels[indices[i]];
    }
  }

 private:
  PlainData data_;
};

template <typename T>
T or_throw(Result<T> result) {
  if (!result) throw Exception(result.error().code, result.error().message);
  return std::move(*result);
}

// A TorchModel, as the public face sees it.
class PlainModel final : public testudo::Model {
 public:
  PlainModel(std::unique_ptr<ModuleRunner> runner, std::shared_ptr<const Dataset> training,
             std::shared_ptr<const Dataset> held_out, bool classifies)
      : model_(std::move(runner), training, held_out ? held_out : training),
        evaluates_(held_out != nullptr),
        classifies_(classifies) {}

  std::size_t parameter_count() const override { return model_.parameter_count(); }
  std::vector<float> initial_parameters(const Seed& seed) override { return model_.initial_parameters(seed); }
  testudo::Contribution contribution(FloatView parameters, const Seed& seed, std::uint32_t samples) override {
    std::vector<float> gradient(parameters.size);
    const auto made =
        or_throw(model_.contribution({parameters.data, parameters.size}, seed, samples, gradient));
    return {std::move(gradient), made.samples, made.loss};
  }
  std::optional<testudo::Evaluation> evaluate(FloatView parameters) override {
    if (!evaluates_) return std::nullopt;
    const auto made = or_throw(model_.evaluate({parameters.data, parameters.size}));
    return testudo::Evaluation{made.loss,
                               classifies_ ? made.accuracy : std::numeric_limits<double>::quiet_NaN()};
  }

 private:
  TorchModel model_;
  bool evaluates_;
  bool classifies_;
};

}  // namespace

std::shared_ptr<testudo::Model> make_plain_model(std::unique_ptr<ModuleRunner> runner, PlainData training,
                                                 std::optional<PlainData> held_out, bool classifies) {
  std::shared_ptr<const Dataset> held_out_set;
  if (held_out) held_out_set = std::make_shared<const PlainDataset>(std::move(*held_out));
  return std::make_shared<PlainModel>(std::move(runner),
                                      std::make_shared<const PlainDataset>(std::move(training)),
                                      std::move(held_out_set), classifies);
}

}  // namespace testudo::training
