#include "training/round/evidence_case.h"

#include <algorithm>

#include "crypto/merkle.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using swarm::AppliedRound;
using swarm::Evidence;
using swarm::Fault;
using swarm::Phase;
using swarm::PhaseMessage;

EvidenceCase::EvidenceCase(const CaseInput& input)
    : evidence_(input.evidence), removal_(input.removal), context_(input.context), rules_(input.rules) {
  const swarm::Outcome& outcome = context_.outcome;
  here_ = {.round = outcome.round,
           .attempt = outcome.attempt,
           .fruitless_voids = context_.fruitless_voids,
           .beacon = context_.beacon,
           .coins = outcome.coins,
           .roster = context_.roster,
           .state_root = context_.state_root,
           .present = outcome.present,
           .removed = outcome.removed,
           .results = outcome.results};
}

Result<Finding> EvidenceCase::judge() const {
  TRY_VOID(check_form());
  return judge_fault();
}

Evidence EvidenceCase::needed() const {
  Evidence kept = evidence_;
  kept.messages.clear();
  for (const PhaseMessage& message : evidence_.messages) {
    if (kept.messages.empty() ? evidence_.fault != Fault::equivocation : used_.contains(&message))
      kept.messages.push_back(message);
  }
  kept.shown.clear();
  for (const Evidence::Shown& entry : evidence_.shown) {
    if (used_.contains(&entry)) kept.shown.push_back(entry);
  }
  if (kept.state && !used_.contains(&*evidence_.state)) kept.state.reset();
  if (evidence_.fault != Fault::equivocation) kept.equivocation.reset();
  if (!used_.contains(&evidence_.contributors)) kept.contributors.clear();
  return kept;
}

tl::unexpected<Error> EvidenceCase::refuse(const std::string& why) {
  return fail(ErrorCode::protocol, "evidence: " + why);
}

std::string EvidenceCase::place() const {
  return "round " + std::to_string(first().key.round.value()) + ", " + std::string(name(first().key.phase));
}

bool EvidenceCase::is_of(const AppliedRound& round, const PhaseMessage& message) {
  return message.key.round == round.round && message.key.attempt == round.attempt;
}

// The members of the round that a message was said in; its author may have lost its seat since.
const swarm::Roster& EvidenceCase::roster_of(const PhaseMessage& message) const {
  for (const AppliedRound& round : context_.earlier) {
    if (round.round == message.key.round) return *round.roster;
  }
  return *context_.roster;
}

// Of this ban, signed by who it says, and nothing said twice.
Result<void> EvidenceCase::check_form() const {
  if (evidence_.offender != removal_.peer || evidence_.fault != removal_.fault ||
      evidence_.name != removal_.evidence) {
    return refuse("it is that of another ban");
  }
  std::set<std::pair<swarm::PhaseKey, PeerId>> said;
  for (const PhaseMessage& message : evidence_.messages) {
    if (!roster_of(message).contains(message.author))
      return refuse("a message of " + message.author.short_text() + ", who is no member");
    if (!said.emplace(message.key, message.author).second) return refuse("two messages in one place");
    if (!message.verify(rules_.run))
      return refuse("a signature of " + message.author.short_text() + " does not hold");
  }
  if (evidence_.fault == Fault::equivocation) return {};
  if (evidence_.messages.empty()) return refuse("no message");
  if (!context_.roster->may_be_banned(evidence_.offender))
    return refuse("it is about nobody who is a member, or was not long ago");
  if (first().author != evidence_.offender || first().digest(rules_.run) != evidence_.name)
    return refuse("its message is not the one that the certificate names");
  return {};
}

const PhaseMessage* EvidenceCase::find(Phase phase, const AppliedRound& round, const PeerId& author) const {
  const swarm::PhaseKey key{round.round, round.attempt, phase};
  const auto found = std::ranges::find_if(evidence_.messages, [&](const PhaseMessage& message) {
    return message.key == key && message.author == author;
  });
  if (found == evidence_.messages.end()) return nullptr;
  use(&*found);
  return &*found;
}

const Evidence::Shown* EvidenceCase::find_shown(Kind kind, std::size_t part, const PeerId& member) const {
  const auto* entry = evidence_.find(kind, static_cast<std::uint32_t>(part), member);
  if (entry != nullptr) use(entry);
  return entry;
}

Result<CommitPayload> EvidenceCase::commit_of(const AppliedRound& round, const PeerId& member,
                                              std::size_t parts) const {
  const PhaseMessage* message = find(Phase::commit, round, member);
  if (message == nullptr) return refuse("the COMMIT of " + member.short_text() + " is missing");
  auto commit = CommitPayload::decode(message->payload);
  if (!commit || !fits(*commit, rules_, parts))
    return refuse("the COMMIT of " + member.short_text() + " does not fit the round");
  return commit;
}

Result<std::vector<PartRange>> EvidenceCase::ranges(const AppliedRound& round) const {
  return partition_of(*round.roster, static_cast<std::size_t>(rules_.manifest.parameter_count),
                      partition_lot(rules_.run, round.round, round.attempt, round.beacon));
}

Result<const Bytes*> EvidenceCase::shown(Kind kind, std::size_t part, const PeerId& member,
                                         const Digest& hash, std::size_t size) const {
  const auto* entry = find_shown(kind, part, member);
  if (entry == nullptr) {
    if (evidence_.shortened) return static_cast<const Bytes*>(nullptr);
    return refuse("bytes of " + member.short_text() + " are missing");
  }
  if (crypto::tree_hash(entry->bytes) != hash)
    return refuse("bytes of " + member.short_text() + " are not those that were signed for");
  if (!check_encoded(rules_.codec, entry->bytes, size, rules_.manifest.g_max))
    return refuse("bytes of " + member.short_text() + " do not decode");
  return &entry->bytes;
}

Result<std::optional<Digest>> EvidenceCase::result_in(const ReducePayload& payload, std::uint32_t part) {
  // The last one counts, should it say several.
  for (auto at = payload.results.rbegin(); at != payload.results.rend(); ++at) {
    if (at->first.value() == part) return at->second;
  }
  return refuse("its REDUCE says nothing of part " + std::to_string(part));
}

Result<void> EvidenceCase::needs_earlier_rounds() const {
  const auto& earlier = context_.earlier;
  const std::uint64_t now = context_.outcome.round.value();
  if (earlier.size() == 2 && earlier[0].round.value() + 2 == now && earlier[1].round.value() + 1 == now)
    return {};
  return refuse("two rounds have to come before it");
}

std::vector<Validation> EvidenceCase::drawn_validations() const {
  const AppliedRound& round = context_.earlier[1];
  return validations_of(rules_.manifest, *round.roster, rules_.run, round.round, round.fruitless_voids,
                        round.beacon);
}

swarm::PhaseKey EvidenceCase::statement_key() const {
  return {context_.earlier[1].round, context_.earlier[1].attempt, Phase::check};
}

Finding EvidenceCase::bare() const {
  return attested("what it signed in " + place() + " is kept; all else was too large, so that this is " +
                  std::string(name(evidence_.fault)) + " rests on the quorum");
}

}  // namespace testudo::training
