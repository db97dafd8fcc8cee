// Manifests, as they travel (signed msgpack) and as people write them (TOML): whatever is accepted is within
// its bounds, has one encoding, and survives the other form.
#include "swarm/manifest.h"

#include "swarm/manifest_record.h"
#include "tests/fuzz/fuzz.h"
#include "tests/swarm/testing.h"

namespace testudo::fuzz {
namespace {

using swarm::Manifest, swarm::SignedManifest;

void run(ByteView input) {
  check_one_encoding<SignedManifest>(input);
  if (const auto manifest = SignedManifest::decode(input))
    TESTUDO_CHECK(manifest->manifest.validate().has_value());
  (void)swarm::SignedManifestValidator().validate(
      as_text(input.first(std::min<std::size_t>(input.size(), 90))), input, {});

  const auto written = Manifest::from_toml(as_text(input));
  if (!written || !written->validate()) return;
  const auto again = Manifest::from_toml(written->to_toml());
  TESTUDO_CHECK(again && *again == *written);
  // Signed by its author it travels.
  SignedManifest signed_manifest = SignedManifest::sign(*written, key(1));
  if (!signed_manifest.manifest.validate()) return;
  const auto arrived = SignedManifest::decode(signed_manifest.encode());
  TESTUDO_CHECK(arrived && arrived->manifest == signed_manifest.manifest);
}

std::vector<Bytes> seeds() {
  const auto keys = testing::make_keys(3);
  SignedManifest manifest = testing::make_signed_manifest(keys);
  Manifest full = manifest.manifest;
  full.dataset = "fashion_mnist";
  full.learning_rate = {{0, 0.1F}, {100, 0.05F}, {400, 1e-9F}};
  full.nesterov = true;
  return {manifest.encode(), to_bytes(manifest.manifest.to_toml()), to_bytes(full.to_toml())};
}

const Registered target({"manifest", run, seeds, 10});

}  // namespace
}  // namespace testudo::fuzz
