#include "swarm/manifest_record.h"

#include "crypto/base/encoding.h"

namespace testudo::swarm {

std::string manifest_key(const RunId& run) {
  return std::string(dht::ManifestValidator::prefix) + to_hex(run);
}

Result<void> SignedManifestValidator::validate(std::string_view key, ByteView value, dht::UnixTime) {
  TRY(const auto manifest, SignedManifest::decode(value));
  if (manifest_key(manifest.manifest.run_id()) != key) {
    return fail(ErrorCode::corrupt, "the manifest of run " + to_hex(manifest.manifest.run_id()) +
                                        " stands under " + std::string(key.substr(0, 100)));
  }
  return {};
}

}  // namespace testudo::swarm
