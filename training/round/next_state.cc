#include "training/round/next_state.h"

#include <algorithm>
#include <array>
#include <utility>

namespace testudo::training {

NextState::NextState(std::shared_ptr<const RoundRules> rules, std::shared_ptr<const TrainingState> before,
                     std::shared_ptr<SpareBuffers> spare)
    : rules_(std::move(rules)),
      before_(std::move(before)),
      spare_(std::move(spare)),
      state_(before_->round().next(), rules_->state_sizes(),
             take_buffer(spare_, TrainingState::encoded_bytes(rules_->state_sizes()))),
      aggregate_(state_.aggregate()) {
  if (aggregate_.empty() && !rules_->optimizer->is_elementwise()) {
    scratch_ = Buffer(state_.parameters().size_bytes());
    aggregate_ = {reinterpret_cast<float*>(scratch_.data()), state_.parameters().size()};
  }
}

NextState::~NextState() {
  if (spare_) spare_->give(std::move(state_).release());
}

bool NextState::place(const PartRange& range, ByteView encoded) {
  if (encoded.size() != encoded_size(rules_->codec, range.size)) return false;
  std::array<float, codec_block> block;
  for (std::size_t at = 0; at < range.size; at += codec_block) {
    const std::size_t count = std::min(codec_block, range.size - at);
    const std::span<float> values =
        aggregate_.empty() ? std::span(block).first(count) : aggregate_.subspan(range.begin + at, count);
    const ByteView bytes = encoded_range(rules_->codec, encoded, at, count);
    if (!decode(rules_->codec, bytes, values, rules_->manifest.g_max)) return false;
    if (rules_->optimizer->is_elementwise()) step_range(range.begin + at, values);
  }
  return true;
}

void NextState::leave_out(const PartRange& range) {
  constexpr std::array<float, codec_block> zeros{};
  for (std::size_t at = 0; at < range.size; at += codec_block) {
    const auto values = std::span(zeros).first(std::min(codec_block, range.size - at));
    if (!aggregate_.empty()) std::ranges::copy(values, aggregate_.subspan(range.begin + at).begin());
    if (rules_->optimizer->is_elementwise()) step_range(range.begin + at, values);
  }
}

void NextState::step_range(std::size_t begin, std::span<const float> gradient) {
  const std::size_t count = gradient.size();
  const bool stateful = !before_->optimizer().empty();
  rules_->optimizer->step(
      {.parameters = before_->parameters().subspan(begin, count),
       .state = stateful ? before_->optimizer().subspan(begin, count) : std::span<const float>(),
       .gradient = gradient,
       .step = before_->round().value()},
      {.parameters = state_.parameters().subspan(begin, count),
       .state = stateful ? state_.optimizer().subspan(begin, count) : std::span<float>()});
}

std::shared_ptr<const TrainingState> NextState::step() {
  if (!rules_->optimizer->is_elementwise()) {
    rules_->optimizer->step({.parameters = before_->parameters(),
                             .state = before_->optimizer(),
                             .gradient = aggregate_,
                             .step = before_->round().value()},
                            {.parameters = state_.parameters(), .state = state_.optimizer()});
  }
  aggregate_ = {};
  scratch_ = Buffer();
  return {new TrainingState(std::move(state_)), [spare = spare_](TrainingState* gone) {
            if (spare) spare->give(std::move(*gone).release());
            delete gone;
          }};
}

}  // namespace testudo::training
