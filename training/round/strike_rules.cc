#include "training/round/strike_rules.h"

#include <algorithm>

#include "crypto/hash.h"

namespace testudo::training {

using swarm::PeerId;
using swarm::Strike;
using swarm::StrikeReason;

namespace {

// Of those that had a vote then, also if they lost their seats for it: a name that is late costs nothing, and
// would excuse its friend every time.
bool names_somebody_late(const swarm::Roster& roster, const CommitPayload& commit) {
  return std::ranges::any_of(commit.marks, [&roster](const Mark& mark) {
    const bool counts = roster.votes(mark.peer) || roster.voted_before(mark.peer);
    return mark.reason == StrikeReason::late && counts;
  });
}

const swarm::Member* find_member(const swarm::Roster& roster, const PeerId& peer) {
  const auto index = roster.index_of(peer);
  return index ? &roster.members()[*index] : nullptr;
}

}  // namespace

bool tells_lateness(const swarm::Manifest& manifest) {
  const net::Duration needed = 4 * manifest.delta();
  return manifest.exchange_deadline() >= needed && manifest.compute_deadline() >= needed;
}

net::Duration early_margin(const swarm::Manifest& manifest) {
  return (tells_lateness(manifest) ? 4 : 2) * manifest.delta();
}

std::vector<Strike> strikes_of_marks(const swarm::Roster& roster,
                                     const std::map<PeerId, CommitPayload>& commits) {
  std::vector<Strike> strikes;
  std::map<Mark, std::uint64_t> votes;
  for (const auto& [author, commit] : commits) {
    const swarm::Member* voter = find_member(roster, author);
    for (const Mark& mark : commit.marks) {
      const auto named = commits.find(mark.peer);
      if (voter == nullptr || named == commits.end() || mark.peer == author) continue;
      if (!voter->votes() || !roster.votes(mark.peer)) continue;
      // They hear one another through others, which may be to blame.
      const bool unreachable = voter->client_mode && find_member(roster, mark.peer)->client_mode;
      if (!swarm::is_between_two(mark.reason)) {
        votes[mark] += voter->weight;
      } else if (unreachable) {
        continue;
      } else if (mark.reason != StrikeReason::unconfirmed || !names_somebody_late(roster, named->second)) {
        strikes.push_back({author, mark.reason, mark.peer});
      }
    }
  }
  for (const auto& [mark, weight] : votes) {
    if (2 * weight > roster.total_weight()) strikes.push_back({mark.peer, mark.reason, std::nullopt});
  }
  return strikes;
}

std::vector<Strike> strikes_of_given_up(const PeerId& reducer, const std::set<std::size_t>& parts,
                                        const std::vector<PartOf>& missed,
                                        const std::vector<PeerId>& contributors,
                                        std::size_t challenge_limit) {
  std::set<PartOf> needed;
  for (const PartOf& entry : missed) {
    const bool of_another = entry.member != reducer && std::ranges::binary_search(contributors, entry.member);
    if (of_another && parts.contains(entry.part.value())) needed.insert(entry);
  }
  if (needed.size() <= challenge_limit) return {{reducer, StrikeReason::kept_result, std::nullopt}};
  std::vector<Strike> strikes;
  for (const PartOf& entry : needed) strikes.push_back({reducer, StrikeReason::given_up, entry.member});
  return strikes;
}

std::set<Mark> silent_validators(const swarm::Roster& roster, swarm::RoundNumber round,
                                 const std::vector<Validation>& drawn,
                                 const std::map<PeerId, RoundRecord::Claim>& claims,
                                 const RoundRecord& last) {
  std::set<Mark> marks;
  for (const Validation& validation : drawn) {
    const swarm::Member* validator = find_member(roster, validation.validator);
    if (validator == nullptr || !validator->votes() || validator->votes_since >= round) continue;
    if (!last.commitments.contains(validation.target) || claims.contains(validation.validator)) continue;
    marks.insert({StrikeReason::silent_validator, validation.validator});
  }
  return marks;
}

std::set<Mark> silent_reducers(const swarm::Roster& roster, const std::map<PeerId, CommitPayload>& commits,
                               const RoundRecord& last, const RoundRecord& before_last) {
  std::set<Mark> marks;
  for (const auto& [validator, claim] : last.claims) {
    const swarm::Member* target = find_member(roster, claim.target);
    // Who lost its seat in that round may have lost it for what it did not send; and for what members without
    // a vote send, nobody waits.
    if (target == nullptr || !target->votes() || target->votes_since > before_last.round) continue;
    if (!before_last.commitments.contains(claim.target)) continue;
    for (std::size_t j = 0; j < before_last.reducers.size(); ++j) {
      const PeerId& reducer = before_last.reducers[j];
      const swarm::Member* member = find_member(roster, reducer);
      const auto commit = commits.find(reducer);
      if (!before_last.reduced[j] || member == nullptr || commit == commits.end()) continue;
      if (!member->votes() || member->votes_since > before_last.round) continue;  // has no records
      const PartIndex part(static_cast<std::uint32_t>(j));
      if (commit->second.find_holding(claim.target, part) == nullptr)
        marks.insert({StrikeReason::silent_reducer, reducer});
    }
  }
  return marks;
}

std::vector<Strike> drawn_strikes(std::vector<Strike> found, const std::map<PeerId, swarm::Removal>& removed,
                                  const Digest& lot) {
  std::erase_if(found, [&](const Strike& strike) {
    return removed.contains(strike.peer) || (strike.other && removed.contains(*strike.other));
  });
  struct Drawn {
    bool shared = false;
    Digest lot{};
    Strike strike;
  };
  std::map<PeerId, Drawn> drawn;
  for (Strike& strike : found) {
    crypto::Hasher hasher("testudo/strike/1");
    hasher.bytes(lot).integer(static_cast<std::uint64_t>(strike.reason)).bytes(strike.peer.key().raw());
    if (strike.other) hasher.bytes(strike.other->key().raw());
    Drawn next{strike.other.has_value(), hasher.finish(), std::move(strike)};
    const auto [known, fresh] = drawn.try_emplace(next.strike.peer, next);
    const auto rank = [](const Drawn& entry) { return std::pair(entry.shared, entry.lot); };
    if (!fresh && rank(next) < rank(known->second)) known->second = std::move(next);
  }
  std::vector<Strike> strikes;
  for (auto& [peer, entry] : drawn) strikes.push_back(std::move(entry.strike));
  return strikes;
}

}  // namespace testudo::training
