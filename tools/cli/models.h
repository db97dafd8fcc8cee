// The models that a manifest can name, with the data they need, as this build has them. Any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crypto/base/result.h"
#include "node/session.h"
#include "swarm/manifest.h"

namespace testudo::tools {

// What `run new` writes into a manifest about a model.
struct ModelFacts {
  std::string dataset;      // empty: it needs none
  Digest dataset_digest{};  // zero without one
  Digest initial_parameters{};
  std::uint64_t parameter_count = 0;
  bool same_bits = false;  // gradients have the same bits on every computer
};

std::vector<std::string> model_names();

// `parameter_count` sets the size of the synthetic model; others have their own. Errors: an unknown model
// (names those there are), a missing data set (names the package).
Result<ModelFacts> model_facts(const std::string& model, const Digest& seed, std::uint64_t parameter_count);

// Errors: as above; the data set on this machine is not the manifest's; the model draws another x(0) than the
// manifest says.
Result<node::Models> make_models(const swarm::Manifest& manifest);

}  // namespace testudo::tools
