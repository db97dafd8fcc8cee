#include "training/round/next_state.h"

#include <algorithm>
#include <utility>

namespace testudo::training {

NextState::NextState(std::shared_ptr<const RoundRules> rules, std::shared_ptr<const TrainingState> before)
    : rules_(std::move(rules)),
      before_(std::move(before)),
      state_(before_->round().next(), rules_->state_sizes()),
      scratch_(state_.aggregate().empty() ? state_.parameters().size_bytes() : 0),
      aggregate_(scratch_.empty()
                     ? state_.aggregate()
                     : std::span(reinterpret_cast<float*>(scratch_.data()), state_.parameters().size())) {}

bool NextState::place(const PartRange& range, ByteView encoded) {
  const auto slice = aggregate_.subspan(range.begin, range.size);
  return decode(rules_->codec, encoded, slice, rules_->manifest.g_max).has_value();
}

void NextState::leave_out(const PartRange& range) {
  std::ranges::fill(aggregate_.subspan(range.begin, range.size), 0.0F);
}

TrainingState NextState::step() {
  rules_->optimizer->step({.parameters = before_->parameters(),
                           .state = before_->optimizer(),
                           .gradient = aggregate_,
                           .step = before_->round().value()},
                          {.parameters = state_.parameters(), .state = state_.optimizer()});
  aggregate_ = {};
  scratch_ = Buffer();
  return std::move(state_);
}

}  // namespace testudo::training
