#include "swarm/roster.h"

#include <algorithm>

#include "swarm/ballot.h"

namespace testudo::swarm {

Roster::Roster(std::vector<PeerId> founders, bool audits) : founders_(std::move(founders)), audits_(audits) {
  std::ranges::sort(founders_);
  founders_.erase(std::ranges::unique(founders_).begin(), founders_.end());
  for (const PeerId& founder : founders_) {
    members_.push_back(
        {.id = founder, .founder = true, .since = RoundNumber(1), .votes_since = RoundNumber(1)});
  }
  if (audits_) standings_ = Standings(founders_);
  founding_ = members_.size() < founding_size;
}

Roster Roster::after(const Outcome& outcome, double hostile_share) const {
  Roster next = *this;
  const bool applied = outcome.kind == OutcomeKind::apply;
  if (applied) next.took_part_ = outcome.present;
  next.voted_before_.clear();
  for (const Member& member : members_) {
    if (member.votes()) next.voted_before_.push_back(member.id);
  }
  for (const Removal& removal : outcome.removed) {
    // Committed to nothing; that was known before the coins, so that nobody chooses a draw by it.
    if (applied && removal.fault == Fault::absent) std::erase(next.took_part_, removal.peer);
    if (is_ban(removal.fault)) {
      next.banned_.insert(removal.peer);
      std::erase(next.founders_, removal.peer);
      std::erase(next.took_part_, removal.peer);
      next.former_.erase(removal.peer);
      next.standings_.erase(removal.peer);
    } else {
      next.former_[removal.peer] = outcome.round;
    }
    if (const auto index = next.index_of(removal.peer); index && next.members_[*index].founder) {
      if (next.members_[*index].client_mode) next.unreachable_founders_.insert(removal.peer);
    }
    std::erase_if(next.members_, [&](const Member& member) { return member.id == removal.peer; });
  }
  // The first round of an admitted member: a VOID is followed by another attempt of its own round.
  const RoundNumber since = applied ? outcome.round.next() : outcome.round;
  for (const Admission& admission : outcome.admitted) {
    next.members_.push_back({.id = admission.peer,
                             .founder = is_founder(admission.peer),
                             .client_mode = admission.client_mode,
                             .since = since});
    next.former_.erase(admission.peer);
    next.unreachable_founders_.erase(admission.peer);
  }
  // No more than this: while founding nothing is certified without founders, and no round gives them back
  // their seats when there are too few for a round. So all begin again.
  const bool nothing_agreed =
      outcome == plain_void(outcome.run, outcome.round, outcome.attempt, outcome.previous);
  for (const PeerId& founder : founders_) {
    if (!founding_ || !nothing_agreed || contains(founder)) continue;
    next.members_.push_back({.id = founder,
                             .founder = true,
                             .client_mode = next.unreachable_founders_.erase(founder) > 0,
                             .since = since});
    next.former_.erase(founder);
  }
  std::erase_if(next.former_, [since](const auto& entry) {
    return since.value() - entry.second.value() > answerable_rounds;
  });
  std::ranges::sort(next.members_, {}, &Member::id);
  if (audits_) {
    next.standings_.apply(outcome);
    next.standings_.forget(since, [&next](const PeerId& peer) { return next.contains(peer); });
  }
  // Founders that may be gone for good make it no founded one.
  next.weigh(since, !nothing_agreed);
  for (const Strike& strike : outcome.strikes) next.strikes_.push_back({outcome.round, strike});
  std::erase_if(next.strikes_, [since](const PastStrike& past) {
    return since.value() - past.round.value() > strike_window;
  });
  next.let_rest(hostile_share);
  return next;
}

// While the run is founding every seat counts, and the founders decide. (A flood of names must not end that.)
void Roster::weigh(RoundNumber from, bool may_be_founded) {
  std::size_t earned = 0;
  for (Member& member : members_) {
    member.earned = !audits_ || standings_.of(member.id).has_vote();
    if (member.earned) ++earned;
  }
  if (earned >= founding_size && may_be_founded) founding_ = false;
  for (Member& member : members_) {
    const bool had = member.votes() && member.votes_since != RoundNumber();
    member.weight = member.earned || founding_ ? 1 : 0;
    if (!member.votes()) {
      member.votes_since = RoundNumber();
    } else if (!had) {
      member.votes_since = from;
    }
  }
}

void Roster::let_rest(double hostile_share) {
  std::vector<PeerId> ids;
  std::set<PeerId> unreachable;
  for (const Member& member : members_) {
    if (!member.votes()) continue;
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

bool Roster::voted_before(const PeerId& id) const { return std::ranges::binary_search(voted_before_, id); }

bool Roster::votes(const PeerId& id) const {
  const auto index = index_of(id);
  return index && members_[*index].votes();
}

std::uint64_t Roster::total_weight() const {
  std::uint64_t total = 0;
  for (const Member& member : members_) total += member.weight;
  return total;
}

std::size_t Roster::greatest_hostile_count(double share) const {
  std::vector<std::uint32_t> weights;
  for (const Member& member : members_) {
    if (member.votes()) weights.push_back(member.weight);
  }
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
