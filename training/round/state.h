// TrainingState: what a round turns into the next: byte-identical on all members after every round. A value.
#pragma once

#include <span>
#include <vector>

#include "crypto/base/result.h"
#include "swarm/types.h"

namespace testudo::training {

struct TrainingState {
  swarm::RoundNumber round;       // rounds applied so far
  std::vector<float> parameters;  // d values
  std::vector<float> optimizer;   // the optimizer's own
  std::vector<float> aggregate;   // the last reduced vector, d values; empty before the first round

  // Little-endian, behind a fixed header: what the Merkle root of the certificate covers.
  Bytes encode() const;
  // `parameter_count` from the manifest bounds everything.
  static Result<TrainingState> decode(ByteView bytes, std::size_t parameter_count);
  static std::size_t max_bytes(std::size_t parameter_count);
};

Digest parameters_digest(std::span<const float> parameters);

}  // namespace testudo::training
