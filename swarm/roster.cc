#include "swarm/roster.h"

#include <algorithm>

#include "swarm/ballot.h"

namespace testudo::swarm {

Roster::Roster(std::vector<PeerId> founders) : founders_(std::move(founders)) {
  std::ranges::sort(founders_);
  founders_.erase(std::ranges::unique(founders_).begin(), founders_.end());
  for (const PeerId& founder : founders_) {
    members_.push_back({.id = founder, .founder = true, .since = RoundNumber(1)});
  }
  founding_ = members_.size() < founding_size;
}

Roster Roster::after(const Outcome& outcome, double hostile_share) const {
  Roster next = *this;
  if (outcome.kind == OutcomeKind::apply) next.took_part_ = outcome.present;
  for (const Removal& removal : outcome.removed) {
    if (is_ban(removal.fault)) {
      next.banned_.insert(removal.peer);
      std::erase(next.founders_, removal.peer);
      std::erase(next.took_part_, removal.peer);
      next.former_.erase(removal.peer);
    } else {
      next.former_[removal.peer] = outcome.round;
    }
    std::erase_if(next.members_, [&](const Member& member) { return member.id == removal.peer; });
  }
  // The first round of an admitted member: a VOID is followed by another attempt of its own round.
  const RoundNumber since = outcome.kind == OutcomeKind::apply ? outcome.round.next() : outcome.round;
  for (const Admission& admission : outcome.admitted) {
    next.members_.push_back({.id = admission.peer,
                             .founder = is_founder(admission.peer),
                             .client_mode = admission.client_mode,
                             .since = since});
    next.former_.erase(admission.peer);
  }
  // No more than this: while founding nothing is certified without founders, and no round gives them back
  // their seats when there are too few for a round. So all begin again.
  const bool nothing_agreed =
      outcome == plain_void(outcome.run, outcome.round, outcome.attempt, outcome.previous);
  for (const PeerId& founder : founders_) {
    if (!founding_ || !nothing_agreed || contains(founder)) continue;
    next.members_.push_back({.id = founder, .founder = true, .since = since});
    next.former_.erase(founder);
  }
  std::erase_if(next.former_, [since](const auto& entry) {
    return since.value() - entry.second.value() > answerable_rounds;
  });
  std::ranges::sort(next.members_, {}, &Member::id);
  if (next.members_.size() >= founding_size) next.founding_ = false;
  for (const Strike& strike : outcome.strikes) next.strikes_.push_back({outcome.round, strike});
  std::erase_if(next.strikes_, [since](const PastStrike& past) {
    return since.value() - past.round.value() > strike_window;
  });
  next.let_rest(hostile_share);
  return next;
}

void Roster::let_rest(double hostile_share) {
  std::vector<PeerId> ids;
  std::set<PeerId> unreachable;
  for (const Member& member : members_) {
    ids.push_back(member.id);
    if (member.client_mode) unreachable.insert(member.id);
  }
  const Struck struck = count_strikes(strikes_, ids, unreachable, greatest_hostile_count(hostile_share));
  for (Member& member : members_) {
    member.rests = struck.resting.contains(member.id);
    member.struck_out = struck.out.contains(member.id);
  }
}

std::vector<PeerId> Roster::resting() const {
  std::vector<PeerId> rest;
  for (const Member& member : members_) {
    if (member.rests) rest.push_back(member.id);
  }
  return rest;
}

std::optional<std::size_t> Roster::index_of(const PeerId& id) const {
  const auto at = std::ranges::lower_bound(members_, id, {}, &Member::id);
  if (at == members_.end() || at->id != id) return std::nullopt;
  return static_cast<std::size_t>(at - members_.begin());
}

bool Roster::is_founder(const PeerId& id) const { return std::ranges::binary_search(founders_, id); }

std::uint64_t Roster::total_weight() const {
  std::uint64_t total = 0;
  for (const Member& member : members_) total += member.weight;
  return total;
}

std::size_t Roster::greatest_hostile_count(double share) const {
  std::vector<std::uint32_t> weights;
  for (const Member& member : members_) weights.push_back(member.weight);
  std::ranges::sort(weights);  // the lightest first: heads count, and light ones are the most heads
  const double limit = share * static_cast<double>(total_weight());
  std::size_t count = 0;
  std::uint64_t sum = 0;
  for (const std::uint32_t weight : weights) {
    sum += weight;
    if (static_cast<double>(sum) > limit) break;
    ++count;
  }
  return count;
}

}  // namespace testudo::swarm
