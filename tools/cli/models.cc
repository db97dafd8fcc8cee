#include "tools/cli/models.h"

#include <optional>

#include "crypto/base/encoding.h"
#include "training/round/state.h"
#include "training/synthetic_model.h"
#ifdef TESTUDO_WITH_TORCH
#include "training/torch/builtin_models.h"
#endif

namespace testudo::tools {
namespace {

constexpr const char* synthetic = "synthetic";
constexpr const char* fashion_mnist = "fashion_mnist";

Error unknown_model(const std::string& name) {
  if (name.starts_with(node::custom_model_prefix)) {
    return {ErrorCode::not_found,
            "the model \"" + name +
                "\" is of a program's own making: this run needs the program of whoever "
                "founded it, ask them for it"};
  }
  std::string known;
  for (const std::string& other : model_names()) known += (known.empty() ? "" : ", ") + other;
  std::string message = "the model \"" + name + "\" is unknown here; known are: " + known;
#ifndef TESTUDO_WITH_TORCH
  message += " (this build has no libtorch: configure with -DTESTUDO_TORCH=ON for the others)";
#endif
  return {ErrorCode::not_found, std::move(message)};
}

// A source of models of one kind, that share their data.
class ModelSource {
 public:
  static Result<ModelSource> open(const std::string& name, std::uint64_t parameter_count) {
    ModelSource source(name, parameter_count);
    if (name == synthetic) {
      if (parameter_count == 0 || parameter_count > max_synthetic) {
        return fail(ErrorCode::invalid_argument, "a synthetic model has 1 to " +
                                                     std::to_string(max_synthetic) + " parameters, not " +
                                                     std::to_string(parameter_count));
      }
      return source;
    }
#ifdef TESTUDO_WITH_TORCH
    for (const std::string& builtin : training::builtin_model_names()) {
      if (name != builtin) continue;
      TRY(source.data_, training::load_fashion_mnist());
      return source;
    }
#endif
    return fail(unknown_model(name));
  }

  std::string dataset() const { return name_ == synthetic ? "" : fashion_mnist; }
  Digest dataset_digest() const {
#ifdef TESTUDO_WITH_TORCH
    if (data_) return data_->content_hash;
#endif
    return {};
  }
  Result<std::unique_ptr<training::Model>> make() const {
#ifdef TESTUDO_WITH_TORCH
    if (data_) return training::make_builtin_model(name_, *data_);
#endif
    training::SyntheticOptions options;
    options.dimension = parameter_count_;
    return std::make_unique<training::SyntheticModel>(options);
  }

 private:
  // A gigabyte of parameters: more than a manifest that somebody else wrote may make us allocate.
  static constexpr std::uint64_t max_synthetic = std::uint64_t{1} << 28;

  ModelSource(std::string name, std::uint64_t parameter_count)
      : name_(std::move(name)), parameter_count_(parameter_count) {}
  std::string name_;
  std::uint64_t parameter_count_;
#ifdef TESTUDO_WITH_TORCH
  std::optional<training::FashionMnist> data_;
#endif
};

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
#ifdef TESTUDO_WITH_TORCH
  names = training::builtin_model_names();
#endif
  names.emplace_back(synthetic);
  return names;
}

Result<ModelFacts> model_facts(const std::string& name, const Digest& seed, std::uint64_t parameter_count) {
  TRY(const ModelSource source, ModelSource::open(name, parameter_count));
  TRY(const auto model, source.make());
  ModelFacts facts;
  facts.dataset = source.dataset();
  facts.dataset_digest = source.dataset_digest();
  facts.initial_parameters = training::parameters_digest(model->initial_parameters(seed));
  facts.parameter_count = model->parameter_count();
  facts.same_bits = name == synthetic;
  return facts;
}

Result<node::Models> make_models(const swarm::Manifest& manifest) {
  TRY(const ModelSource source, ModelSource::open(manifest.model, manifest.parameter_count));
  if (manifest.dataset != source.dataset()) {
    return fail(ErrorCode::invalid_argument, "the manifest asks for the data set \"" + manifest.dataset +
                                                 "\", and the model " + manifest.model + " learns from \"" +
                                                 source.dataset() + "\"");
  }
  if (manifest.dataset_digest != source.dataset_digest()) {
    return fail(ErrorCode::corrupt, "the data set " + manifest.dataset +
                                        " on this machine differs from the run's: its digest is " +
                                        to_hex(source.dataset_digest()) + ", the manifest says " +
                                        to_hex(manifest.dataset_digest) + "; install the same version of it");
  }
  node::Models models;
  TRY(models.model, source.make());
  TRY(models.evaluator, source.make());
  const auto initial = models.model->initial_parameters(manifest.seed);
  if (initial.size() != manifest.parameter_count ||
      training::parameters_digest(initial) != manifest.initial_parameters) {
    return fail(ErrorCode::corrupt,
                "the model " + manifest.model +
                    " starts from other parameters here than the manifest says; this version of "
                    "testudo has another " +
                    manifest.model + " than the run's author had");
  }
  return models;
}

}  // namespace testudo::tools
