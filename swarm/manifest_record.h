// Manifests in the DHT: `/testudo/manifest/<run id>` holds the manifest with its author's signature.
// Content-addressed all the same, because the run id is the hash of what is signed: a stored record that
// passes is the run's manifest. Loop thread only.
#pragma once

#include <string>

#include "dht/validator.h"
#include "swarm/manifest.h"

namespace testudo::swarm {

std::string manifest_key(const RunId& run);

// For Dht::register_namespace(dht::ManifestValidator::prefix), in the place of the one for bare manifests.
class SignedManifestValidator final : public dht::Validator {
 public:
  Result<void> validate(std::string_view key, ByteView value, dht::UnixTime now) override;
  std::size_t select(std::string_view, std::span<const Bytes>) override { return 0; }
  bool first_is_enough() const override { return true; }
};

}  // namespace testudo::swarm
