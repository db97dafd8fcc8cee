// RoundRecord: what a member remembers of a round that it took part in, so that the contributions to it can
// be recomputed and, if somebody disputes one, shown to everybody. Kept in memory for two rounds; who was not
// there or was restarted has none, and follows where others decide on theirs. A value; any thread.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "crypto/base/buffer.h"
#include "training/checks/validation.h"
#include "training/partition.h"
#include "training/round/payloads.h"
#include "training/round/state.h"

namespace testudo::training {

struct RoundRecord {
  struct Commitment {  // of a contributor
    std::vector<Digest> parts;
    std::uint32_t samples = 0;
    std::shared_ptr<const swarm::PhaseMessage> message;  // COMMIT
  };
  struct Claim {  // of a validator, in CHECK, about the round before
    swarm::PeerId target;
    Statement statement;
    std::shared_ptr<const swarm::PhaseMessage> message;
  };

  swarm::RoundNumber round;
  Digest beacon{};                             // that named its batches
  std::shared_ptr<const TrainingState> state;  // that it began with
  std::vector<PartRange> ranges;
  std::vector<swarm::PeerId> reducers;  // of each part
  std::vector<bool> reduced;            // whether they had a result
  std::map<swarm::PeerId, Commitment> commitments;
  std::vector<Blob> own;        // this member's contribution, by part; empty: none
  std::map<PartOf, Blob> held;  // contributions to the parts that this member reduced
  Digest coins{};
  std::map<swarm::PeerId, Claim> claims;
};

}  // namespace testudo::training
