// NextState: the state after a round, as it forms. Reduced parts are decoded and, where the optimizer allows
// it, stepped block by block while they are in the cache, each part once and from any thread; the rest
// follows when all are there. The same code repeats a step from what was stored of it. Owned by whoever makes
// the step; jobs of the pool share it.
#pragma once

#include <memory>
#include <span>

#include "crypto/base/spare_buffers.h"
#include "training/partition.h"
#include "training/round/rules.h"
#include "training/round/state.h"

namespace testudo::training {

class NextState {
 public:
  // `spare` may be null.
  NextState(std::shared_ptr<const RoundRules> rules, std::shared_ptr<const TrainingState> before,
            std::shared_ptr<SpareBuffers> spare = nullptr);

  NextState(const NextState&) = delete;
  NextState& operator=(const NextState&) = delete;
  ~NextState();

  // Memory for as many values as there are parameters, until the first part is placed or left out: that of
  // the parameters, which nobody needs before. The model's gradient lies there.
  std::span<float> unused() { return state_.parameters(); }
  // Takes one reduced part; false when it does not decode, and the part then has to be left out.
  [[nodiscard]] bool place(const PartRange& range, ByteView encoded);
  // An absent part is zero.
  void leave_out(const PartRange& range);
  // When every value has been placed or left out: what step() will give, unless parts are placed or left out
  // once more. Null where the optimizer needs the reduced vector whole.
  const TrainingState* preview() const { return rules_->optimizer->is_elementwise() ? &state_ : nullptr; }
  // When every value has been placed or left out; nothing may be placed afterwards. CPU-bound.
  std::shared_ptr<const TrainingState> step();

 private:
  void step_range(std::size_t begin, std::span<const float> gradient);

  std::shared_ptr<const RoundRules> rules_;
  std::shared_ptr<const TrainingState> before_;
  std::shared_ptr<SpareBuffers> spare_;
  TrainingState state_;
  Buffer scratch_;  // for the reduced vector, where it is needed whole and states do not keep it
  std::span<float> aggregate_;
};

}  // namespace testudo::training
