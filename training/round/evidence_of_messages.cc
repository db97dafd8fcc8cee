// Evidence in what somebody signed, whatever it is of: two payloads in one place, one that the rules forbid,
// a coin that is not the one committed to.
#include <algorithm>

#include "crypto/merkle.h"
#include "training/round/evidence_case.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using swarm::Fault;
using swarm::Phase;

namespace {

class MessageCase final : public EvidenceCase {
 public:
  explicit MessageCase(const CaseInput& input) : EvidenceCase(input) {}

 private:
  Result<Finding> judge_fault() const override {
    if (evidence_.fault == Fault::equivocation) return equivocation();
    return evidence_.fault == Fault::malformed ? malformed() : wrong_reveal();
  }

  Result<Finding> equivocation() const {
    if (!evidence_.equivocation) return refuse("the two signatures are missing");
    const swarm::Equivocation& pair = *evidence_.equivocation;
    if (pair.offender != evidence_.offender || pair.digest(rules_.run) != evidence_.name)
      return refuse("its place is not the one that the certificate names");
    if (!pair.verify(rules_.run)) return refuse("it does not hold two signatures over different payloads");
    return proven("two different payloads signed for round " + std::to_string(pair.key.round.value()) +
                  ", attempt " + std::to_string(pair.key.attempt.value()) + ", " +
                  std::string(name(pair.key.phase)));
  }

  Result<Finding> malformed() const {
    if (!is_of_this_attempt(first())) return refuse("its message is of another attempt");
    TRY(const auto parts, ranges(here()));
    const ByteView payload = first().payload;
    const std::string what = "what it signed in " + place() + " ";
    const auto undecodable = [&](const auto& decoded) -> Result<Finding> {
      if (decoded) return refuse(what + "is well formed");
      return proven(what + "does not decode: " + decoded.error().message);
    };
    switch (first().key.phase) {
      case Phase::commit: {
        const auto commit = CommitPayload::decode(payload);
        if (commit && !fits(*commit, rules_, parts.size())) return proven(what + "does not fit the round");
        return undecodable(commit);
      }
      case Phase::reduce:
      case Phase::reduce_again: {
        const auto reduced = ReducePayload::decode(payload);
        if (!reduced) return undecodable(reduced);
        const auto& manifest = rules_.manifest;
        const std::size_t hostile = context_.roster->greatest_hostile_count(manifest.hostile_share);
        if (!fits(*reduced, manifest, hostile))
          return proven(what + "challenges more than the manifest allows");
        return malformed_result(*reduced, parts);
      }
      case Phase::reveal: {
        const auto reveal = RevealPayload::decode(payload);
        if (!reveal) return undecodable(reveal);
        return challenged_results(reveal->missing, parts);
      }
      case Phase::check: {
        const auto check = CheckPayload::decode(payload);
        if (!check) return undecodable(check);
        TRY(const auto commit, commit_of(here(), evidence_.offender, parts.size()));
        const std::size_t due = rules_.rule->solves_clipped_sum() && !commit.parts.empty() ? parts.size() : 0;
        if (check->parts.size() == due) return refuse(what + "is well formed");
        return proven(what + "reports on " + std::to_string(check->parts.size()) + " parts where " +
                      std::to_string(due) + " are due");
      }
      case Phase::measure:
        return undecodable(MeasurePayload::decode(payload));
      case Phase::serve:
      case Phase::reveal_answer:
      case Phase::evidence:
      case Phase::evidence_again:
      case Phase::certify:
        break;
    }
    return refuse("nobody is banned for the form of an answer");
  }

  Result<Finding> challenged_results(const std::vector<PartOf>& missing,
                                     const std::vector<PartRange>& parts) const {
    std::vector<PeerId> reducers;
    for (const PartRange& range : parts) reducers.push_back(context_.roster->members()[range.reducer].id);
    const auto& manifest = rules_.manifest;
    const std::size_t hostile = context_.roster->greatest_hostile_count(manifest.hostile_share);
    const bool too_many = !may_challenge(missing, reducers, manifest.challenge_limit, hostile);
    // Who lost its seat before may have been replaced as a reducer: then others had these parts.
    const bool as_drawn = std::ranges::none_of(context_.outcome.removed, [&](const swarm::Removal& removal) {
      return removal.peer != evidence_.offender &&
             std::ranges::find(reducers, removal.peer) != reducers.end();
    });
    const std::string what = "what it signed in " + place() + " ";
    if (as_drawn && !too_many) return refuse(what + "is well formed");
    if (as_drawn) return proven(what + "challenges more than the manifest allows");
    if (missing.size() <= manifest.challenge_limit) return refuse(what + "is well formed");
    return attested(
        what + "challenges " + std::to_string(missing.size()) +
        " results; that these were of too many reducers rests on the quorum, because some had been "
        "replaced");
  }

  Result<Finding> malformed_result(const ReducePayload& payload, const std::vector<PartRange>& parts) const {
    TRY(const auto hash, result_in(payload, evidence_.part));
    if (!hash || evidence_.part >= parts.size()) return refuse("its REDUCE is well formed");
    const std::string part = "part " + std::to_string(evidence_.part);
    const auto* entry = find_shown(Kind::result, evidence_.part, evidence_.offender);
    if (entry == nullptr) {
      if (!evidence_.shortened) return refuse("the result is missing");
      return attested("it signed for a result of " + part + "; that this does not decode rests on the " +
                      "quorum, because the result " + std::string(too_large));
    }
    if (crypto::tree_hash(entry->bytes) != *hash)
      return refuse("the result is not the one that it signed for");
    if (check_encoded(rules_.codec, entry->bytes, parts[evidence_.part].size, rules_.manifest.g_max))
      return refuse("the result decodes");
    return proven("the result of " + part + " that it signed for does not decode");
  }

  Result<Finding> wrong_reveal() const {
    if (!is_of_this_attempt(first()) || first().key.phase != Phase::reveal)
      return refuse("its message is no REVEAL of this attempt");
    TRY(const auto parts, ranges(here()));
    TRY(const auto commit, commit_of(here(), evidence_.offender, parts.size()));
    TRY(const auto reveal, RevealPayload::decode(first().payload));
    if (crypto::verify_commitment(commit.coin, evidence_.offender, first().key.round.value(),
                                  first().key.attempt.value(), reveal.opening)) {
      return refuse("the coin is the one that it committed to");
    }
    return proven("the coin that it revealed is not the one that it committed to");
  }
};

}  // namespace

std::unique_ptr<EvidenceCase> case_of_message(const CaseInput& input) {
  return std::make_unique<MessageCase>(input);
}

}  // namespace testudo::training
