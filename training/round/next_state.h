// NextState: the state after a round, as it forms: reduced parts are decoded into their places, each once and
// from any thread, then the optimizer steps. The same code repeats a step from what was stored of it. Owned
// by whoever makes the step; jobs of the pool share it.
#pragma once

#include <span>

#include "crypto/base/buffer.h"
#include "training/partition.h"
#include "training/round/rules.h"
#include "training/round/state.h"

namespace testudo::training {

class NextState {
 public:
  NextState(std::shared_ptr<const RoundRules> rules, std::shared_ptr<const TrainingState> before);

  // Decodes one reduced part; false when it does not decode, and the part then has to be absent.
  [[nodiscard]] bool place(const PartRange& range, ByteView encoded);
  // An absent part is zero.
  void leave_out(const PartRange& range);
  // When every value has been placed or left out; nothing may be placed afterwards. CPU-bound.
  TrainingState step();

 private:
  std::shared_ptr<const RoundRules> rules_;
  std::shared_ptr<const TrainingState> before_;
  TrainingState state_;
  Buffer scratch_;  // for the reduced vector, where states do not keep it
  std::span<float> aggregate_;
};

}  // namespace testudo::training
