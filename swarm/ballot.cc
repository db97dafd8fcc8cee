#include "swarm/ballot.h"

#include <algorithm>

namespace testudo::swarm {

namespace {
std::pair<RoundNumber, Attempt> position(const Outcome& outcome) { return {outcome.round, outcome.attempt}; }
}  // namespace

bool Ballot::add(const VoteFrame& frame) {
  const auto known = votes_.find(frame.vote.signer);
  if (known != votes_.end() && position(frame.outcome) <= position(known->second.outcome)) return true;
  if (!verify_vote(frame.outcome, frame.outcome.digest(), frame.vote)) return false;
  votes_.insert_or_assign(frame.vote.signer, frame);
  return true;
}

std::optional<Equivocation> Ballot::contradiction(const VoteFrame& frame) const {
  const auto known = votes_.find(frame.vote.signer);
  if (known == votes_.end()) return std::nullopt;
  const auto& [outcome, vote] = known->second;
  if (position(outcome) != position(frame.outcome) || outcome == frame.outcome) return std::nullopt;
  const Equivocation found{place_of_votes(outcome), vote.signer,    outcome.digest(),
                           frame.outcome.digest(),  vote.signature, frame.vote.signature};
  return found.verify(outcome.run) ? std::optional(found) : std::nullopt;
}

std::vector<Ballot::Tally> Ballot::tallies(const Roster& roster, RoundNumber round, Attempt attempt,
                                           const Digest& head) const {
  std::map<Digest, Tally> by_outcome;
  for (const auto& [signer, frame] : votes_) {
    const Outcome& outcome = frame.outcome;
    if (!roster.votes(signer) || position(outcome) != std::pair(round, attempt) || outcome.previous != head)
      continue;
    Tally& tally = by_outcome.try_emplace(outcome.digest(), Tally{outcome, {}}).first->second;
    tally.votes.push_back(frame.vote);
  }
  std::vector<Tally> tallies;
  for (auto& [digest, tally] : by_outcome) tallies.push_back(std::move(tally));
  return tallies;
}

std::optional<Certificate> Ballot::certificate(const Roster& roster, RoundNumber round, Attempt attempt,
                                               const Digest& head) const {
  for (Tally& tally : tallies(roster, round, attempt, head)) {
    Certificate certificate{std::move(tally.outcome), std::move(tally.votes)};
    if (certificate.verify(roster)) return certificate;
  }
  return std::nullopt;
}

bool Ballot::may_follow(const Tally& tally, std::size_t hostile_count) {
  return tally.votes.size() > hostile_count;
}

bool Ballot::has_vote_of(const PeerId& member, RoundNumber round, Attempt attempt) const {
  const auto found = votes_.find(member);
  return found != votes_.end() && position(found->second.outcome) >= std::pair(round, attempt);
}

Outcome plain_void(const RunId& run, RoundNumber round, Attempt attempt, const Digest& head) {
  Outcome outcome;
  outcome.run = run;
  outcome.round = round;
  outcome.attempt = attempt;
  outcome.kind = OutcomeKind::voided;
  outcome.previous = head;
  return outcome;
}

}  // namespace testudo::swarm
