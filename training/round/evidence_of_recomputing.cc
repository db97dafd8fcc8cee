// Evidence about a contribution that a validator recomputed: what was measured of it, and sketches that its
// bytes do not give.
#include <algorithm>

#include "crypto/base/counted.h"
#include "training/checks/validation.h"
#include "training/round/evidence_case.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using swarm::Fault;
using swarm::Phase;
using swarm::PhaseMessage;

namespace {

class RecomputedCase final : public EvidenceCase {
 public:
  explicit RecomputedCase(const CaseInput& input) : EvidenceCase(input) {}

 private:
  Result<Finding> judge_fault() const override {
    if (is_bare()) return bare();
    if (evidence_.fault != Fault::wrong_sketch) return measured();
    return first().key.phase == Phase::commit ? wrong_holding() : wrong_statement();
  }

  swarm::PhaseKey commitment_key() const {
    return {context_.earlier[0].round, context_.earlier[0].attempt, Phase::commit};
  }
  struct Target {
    PeerId member;
    CommitPayload commit;
    std::vector<PartRange> ranges;
  };
  // Whose contribution of the round before the last it is about.
  Result<Target> target() const {
    TRY(auto parts, ranges(context_.earlier[0]));
    for (const PhaseMessage& message : evidence_.messages) {
      if (message.key != commitment_key()) continue;
      TRY(auto commit, CommitPayload::decode(message.payload));
      if (!fits(commit, rules_, parts.size()) || commit.parts.empty())
        return refuse("the contribution that it is about does not fit its round");
      use(&message);
      return Target{message.author, std::move(commit), std::move(parts)};
    }
    return refuse("the COMMIT of the contribution that it is about is missing");
  }
  // Of the validator that the beacon drew for the target.
  Result<Statement> statement_about(const PeerId& member, PeerId& validator) const {
    const auto drawn = drawn_validations();
    const auto found = std::ranges::find(drawn, member, &Validation::target);
    if (found == drawn.end()) return refuse("no validator was drawn for " + member.short_text());
    const PhaseMessage* message = find(Phase::check, context_.earlier[1], found->validator);
    if (message == nullptr) return refuse("what the validator said is missing");
    TRY(auto payload, CheckPayload::decode(message->payload));
    if (!payload.recomputed) return refuse("the validator said nothing");
    validator = found->validator;
    return std::move(*payload.recomputed);
  }
  Result<std::optional<Sketch>> sketch_of_target(const Target& about, std::size_t part) const {
    TRY(const Bytes* const bytes,
        shown(Kind::contribution, part, about.member, about.commit.parts[part], about.ranges[part].size));
    if (bytes == nullptr) return std::optional<Sketch>{};
    const swarm::AppliedRound& spoken = context_.earlier[1];
    return std::optional<Sketch>(
        sketch_of(EncodedParts(rules_.codec, about.ranges[part].size, rules_.manifest.g_max, {*bytes}),
                  statement_seed(rules_.run, spoken.round, spoken.coins, about.member, part)));
  }

  // Of a part that it holds as the reducer.
  Result<Finding> wrong_holding() const {
    if (!is_of_this_attempt(first())) return refuse("its message is of another attempt");
    TRY_VOID(needs_earlier_rounds());
    TRY(const auto about, target());
    TRY(const auto payload, CommitPayload::decode(first().payload));
    const std::uint32_t part = evidence_.part;
    const Sketch* const said = payload.find_holding(about.member, PartIndex(part));
    if (said == nullptr || part >= about.ranges.size()) return refuse("it gave no sketch of that part");
    TRY(const auto right, sketch_of_target(about, part));
    const std::string what = "the sketch that it gave of part " + std::to_string(part) + " of " +
                             about.member.short_text() + "'s contribution ";
    if (!right) {
      return attested(what + "is signed; that the part gives another one rests on the quorum, because the " +
                      "part " + std::string(too_large));
    }
    if (*right == *said) return refuse(what + "is right");
    return proven(what + "is not what the committed bytes give");
  }

  // Of what it says that it recomputed.
  Result<Finding> wrong_statement() const {
    TRY_VOID(needs_earlier_rounds());
    TRY(const auto about, target());
    PeerId validator;
    TRY(const auto statement, statement_about(about.member, validator));
    if (validator != evidence_.offender) return refuse("another member was drawn as the validator");
    if (first().key != statement_key()) return refuse("its message is not what it said as a validator");
    if (!statement.same) return refuse("it did not vouch for the contribution");
    const std::string what = "it vouched for " + about.member.short_text() + "'s contribution";
    const std::uint32_t part = evidence_.part;
    if (statement.sketches.size() != about.ranges.size())
      return proven(what + " with sketches of another number of parts");
    if (part >= about.ranges.size()) return refuse("there is no such part");
    TRY(const auto right, sketch_of_target(about, part));
    if (!right) {
      return attested(what + "; that part " + std::to_string(part) + " gives another sketch rests on the " +
                      "quorum, because the part " + std::string(too_large));
    }
    if (*right == statement.sketches[part]) return refuse("its sketch is right");
    return proven(what + " with a sketch of part " + std::to_string(part) +
                  " that the committed bytes do not give");
  }

  // The contribution is wrong, or whoever says so accuses falsely.
  Result<Finding> measured() const {
    TRY_VOID(needs_earlier_rounds());
    TRY(const auto about, target());
    PeerId validator;
    const bool of_target = evidence_.fault == Fault::wrong_contribution;
    TRY(const auto statement, statement_about(about.member, validator));
    if (evidence_.offender != (of_target ? about.member : validator) ||
        first().key != (of_target ? commitment_key() : statement_key())) {
      return refuse("it is about something else");
    }
    if (statement.same) return refuse("the validator vouched for the contribution");
    std::vector<PeerId> heard;
    std::vector<std::pair<PeerId, double>> measures;
    for (const PhaseMessage& message : evidence_.messages) {
      if (!is_of_this_attempt(message) || message.key.phase != Phase::measure) continue;
      heard.push_back(message.author);
      use(&message);
      const auto payload = MeasurePayload::decode(message.payload);
      const auto distance = payload ? payload->find(about.member) : std::nullopt;
      if (distance) measures.emplace_back(message.author, *distance);
    }
    std::size_t whole = 0;
    for (std::size_t part = 0; part < about.ranges.size(); ++part) {
      if (find_shown(Kind::contribution, part, about.member) == nullptr) continue;
      TRY_VOID(
          shown(Kind::contribution, part, about.member, about.commit.parts[part], about.ranges[part].size));
      ++whole;
    }
    const double tolerance = rules_.manifest.recompute_tolerance;
    const auto is_quorum = [&](const std::vector<PeerId>& members) {
      return swarm::is_quorum(*context_.roster, heard, members);
    };
    const bool all_shown = tolerance == 0 || whole == about.ranges.size() || evidence_.shortened;
    const Verdict verdict = judge_measures(measures, tolerance, all_shown, is_quorum);
    if (verdict != (of_target ? Verdict::wrong_contribution : Verdict::false_accusation))
      return refuse("the signed measurements decide something else");
    return attested(
        counted(measures.size(), "member") + " signed how far the contribution to round " +
        std::to_string(context_.earlier[0].round.value()) + " is from what they compute, a quorum " +
        (of_target ? "beyond the tolerance" : "within it, whatever the validator said") +
        "; that they measured rightly rests on them: to measure again takes the model, its data and the " +
        "state before that round, which a ledger does not keep");
  }
};

}  // namespace

std::unique_ptr<EvidenceCase> case_of_recomputing(const CaseInput& input) {
  return std::make_unique<RecomputedCase>(input);
}

}  // namespace testudo::training
