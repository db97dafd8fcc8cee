// The evidence that bans are kept with: what this member judged on, as it was signed and shown.
#include <algorithm>
#include <tuple>

#include "net/async/combinators.h"
#include "swarm/sync.h"
#include "training/round/round.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using net::Task;
using swarm::Evidence;
using swarm::Fault;

// A proven fault outranks a mere absence, and of two the lesser fault stays, then the lesser name: members
// prove the same faults by the end of a round, but not in the same order, and all have to sign one outcome.
// (Attack: a result that does not decode, sent to all but one that rests, and then two CHECKs.) Who has no
// seat any more, or loses it in this attempt, is banned like the others.
void Round::ban(Evidence evidence) {
  const PeerId peer = evidence.offender;
  if (!setup_.roster.may_be_banned(peer)) return;
  const swarm::Removal removal{peer, evidence.fault, evidence.name};
  if (is_banned(peer)) {
    const swarm::Removal& known = removed_.at(peer);
    if (std::tie(known.fault, known.evidence) <= std::tie(removal.fault, removal.evidence)) return;
  }
  removed_.insert_or_assign(peer, removal);
  evidence.shorten();
  evidence_.insert_or_assign(peer, std::move(evidence));
}

bool Round::is_banned(const PeerId& peer) const {
  const auto found = removed_.find(peer);
  return found != removed_.end() && is_ban(found->second.fault);
}

Evidence Round::evidence_of(Fault fault, const swarm::PhaseMessage& message) const {
  Evidence evidence;
  evidence.offender = message.author;
  evidence.fault = fault;
  evidence.name = message.digest(setup_.rules->run);
  evidence.messages.push_back(message);
  return evidence;
}

Evidence Round::evidence_of(const swarm::Equivocation& equivocation) const {
  Evidence evidence;
  evidence.offender = equivocation.offender;
  evidence.fault = Fault::equivocation;
  evidence.name = equivocation.digest(setup_.rules->run);
  evidence.equivocation = equivocation;
  return evidence;
}

// Its report, what it had committed to, the result, and its contribution; for an automatic τ what all had.
Evidence Round::wrong_sketch_evidence(std::size_t part, const PeerId& reporter) const {
  const Reduction& reduction = reductions_[part];
  Evidence evidence = evidence_of(Fault::wrong_sketch, check_messages_.at(reporter));
  evidence.part = static_cast<std::uint32_t>(part);
  evidence.messages.push_back(*reduction.claim);
  if (has_distances(*setup_.rules)) {
    evidence.contributors = reduction.contributors;
    for (const auto& [member, message] : commit_messages_) evidence.messages.push_back(*message);
  } else {
    evidence.messages.push_back(*commit_messages_.at(reporter));
  }
  evidence.show({Evidence::Kind::contribution, evidence.part, reporter},
                *contributions_.at({PartIndex(evidence.part), reporter}));
  evidence.show({Evidence::Kind::result, evidence.part, reduction.reducer}, *reduction.bytes);
  return evidence;
}

// What was said of a result, what everybody committed to, the contributions to the part, and what the rule
// began with.
Task<Evidence> Round::rerun_evidence(Fault fault, RoundRecord::Message message, Rerun rerun) const {
  Evidence evidence = evidence_of(fault, *message);
  evidence.part = rerun.part;
  evidence.contributors = rerun.contributors;
  for (const auto& [member, commit] : rerun.commits) evidence.messages.push_back(*commit);
  for (const PeerId& member : rerun.contributors) {
    evidence.show({Evidence::Kind::contribution, evidence.part, member},
                  *rerun.contributions.at({PartIndex(evidence.part), member}));
  }
  const PartRange range = rerun.range;
  const bool starts = setup_.rules->rule->uses_start() && !rerun.state->aggregate().empty();
  if (!starts || range.size * sizeof(float) > swarm::evidence_max_bytes) {
    evidence.shortened = evidence.shortened || starts;
    co_return evidence;
  }
  Evidence::StatePiece piece = co_await net::offload(scheduler_, [state = rerun.state, range] {
    const ByteView all(state->encoded());
    const TrainingState::Sizes sizes{state->parameters().size(), state->optimizer().size(),
                                     state->aggregate().size()};
    const std::size_t begin = TrainingState::aggregate_begin(sizes) + range.begin * sizeof(float);
    const std::size_t end = begin + range.size * sizeof(float);
    Evidence::StatePiece made{all.size(), swarm::state_leaves(all), begin / swarm::state_chunk_bytes, {}};
    for (std::size_t at = made.first * swarm::state_chunk_bytes; at < end; at += swarm::state_chunk_bytes) {
      made.chunks.push_back(to_bytes(all.subspan(at, std::min(swarm::state_chunk_bytes, all.size() - at))));
    }
    return made;
  });
  evidence.state = std::move(piece);
  co_return evidence;
}

// Its result, what everybody committed to, and the contributions to the part that were shown: no others make
// up for what these deviate by.
Evidence Round::aggregate_by_shown_evidence(std::size_t part) const {
  const Reduction& reduction = reductions_[part];
  Evidence evidence = evidence_of(Fault::wrong_aggregate, *reduction.claim);
  evidence.part = static_cast<std::uint32_t>(part);
  evidence.contributors = reduction.contributors;
  for (const auto& [member, message] : commit_messages_) evidence.messages.push_back(*message);
  for (const PeerId& member : reduction.contributors) {
    const auto shown = contributions_.find({PartIndex(evidence.part), member});
    if (shown == contributions_.end()) continue;
    evidence.show({Evidence::Kind::contribution, evidence.part, member}, *shown->second);
  }
  evidence.show({Evidence::Kind::result, evidence.part, reduction.reducer}, *reduction.bytes);
  return evidence;
}

// The contribution as it was committed to and shown, what its validator said, and what everybody measured.
Evidence Round::recomputed_evidence(Fault fault, const Validation& dispute,
                                    const swarm::AgreedBroadcast::MessageSet& measures) const {
  const auto& commitment = *setup_.before_last->commitments.at(dispute.target).message;
  const auto& statement = *setup_.last->claims.at(dispute.validator).message;
  const bool of_target = fault == Fault::wrong_contribution;
  Evidence evidence = evidence_of(fault, of_target ? commitment : statement);
  evidence.messages.push_back(of_target ? statement : commitment);
  for (const auto& [member, message] : measures) evidence.messages.push_back(message);
  for (const auto& [entry, bytes] : earlier_) {
    if (entry.member != dispute.target) continue;
    evidence.show({Evidence::Kind::contribution, entry.part.value(), entry.member}, *bytes);
  }
  return evidence;
}

}  // namespace testudo::training
