#include "swarm/standing.h"

#include <algorithm>
#include <bit>

namespace testudo::swarm {

namespace {
constexpr std::uint32_t all_work = (1U << work_window) - 1;
}  // namespace

std::size_t Standing::rounds_worked() const { return static_cast<std::size_t>(std::popcount(work)); }

bool Standing::has_vote() const { return audits >= audits_for_a_vote && rounds_worked() >= work_for_a_vote; }

Standings::Standings(const std::vector<PeerId>& founders) {
  for (const PeerId& founder : founders)
    known_.emplace(founder, Standing{.work = all_work, .audits = audits_for_a_vote, .last_work = {}});
}

void Standings::apply(const Outcome& outcome) {
  if (outcome.kind != OutcomeKind::apply) return;
  for (auto& [peer, standing] : known_) standing.work = (standing.work << 1U) & all_work;
  for (const PeerId& peer : outcome.remaining()) {
    if (std::ranges::binary_search(outcome.idle, peer)) continue;
    Standing& standing = known_[peer];
    standing.work |= 1U;
    standing.last_work = outcome.round;
  }
  for (const PeerId& peer : outcome.audited) {
    Standing& standing = known_[peer];
    standing.audits = std::min(standing.audits + 1, audits_for_a_vote);
  }
}

Standing Standings::of(const PeerId& peer) const {
  const auto found = known_.find(peer);
  return found == known_.end() ? Standing{} : found->second;
}

}  // namespace testudo::swarm
