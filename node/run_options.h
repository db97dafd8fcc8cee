// The options of the public face as a manifest. Pure; any thread.
#pragma once

#include "crypto/rng.h"
#include "swarm/manifest.h"
#include "testudo/run.h"

namespace testudo::node {

// Complete but for what the model adds: its size and the digest of its initial parameters. Errors:
// `invalid_argument`.
Result<swarm::Manifest> manifest_of(const RunOptions& options, const swarm::PeerId& author, crypto::Rng& rng);

}  // namespace testudo::node
