// ReduceJob: what the pool needs to reduce one part, the first time or once more. Owns or shares all of it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "crypto/base/spare_buffers.h"
#include "training/partition.h"
#include "training/round/rules.h"
#include "training/round/state.h"

namespace testudo::training {

struct Reduced {
  Blob bytes;  // encoded
  Digest hash{};
};

struct ReduceJob {
  std::shared_ptr<const RoundRules> rules;
  std::shared_ptr<const TrainingState> state;  // before the round
  PartRange range;
  double tau = 0;                       // of this part; anything for rules without one
  std::vector<Blob> contributions;      // in roster order
  std::size_t hostile_count = 0;        // F of the roster before the round
  Digest seed{};                        // aggregation_seed()
  std::shared_ptr<SpareBuffers> spare;  // for the result; may be null

  // Nothing when the rule did not converge. CPU-bound. REQUIRES: check_encoded() accepted all contributions.
  std::optional<Reduced> run() const;
};

}  // namespace testudo::training
