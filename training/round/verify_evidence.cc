#include "training/round/verify_evidence.h"

#include <memory>

#include "training/round/evidence_case.h"

namespace testudo::training {

using swarm::Evidence;
using swarm::Fault;
using swarm::Phase;

namespace {

// Null: nobody is banned for that.
std::unique_ptr<EvidenceCase> make_case(const CaseInput& input) {
  const Evidence& evidence = input.evidence;
  switch (evidence.fault) {
    case Fault::equivocation:
    case Fault::malformed:
    case Fault::wrong_reveal:
      return case_of_message(input);
    case Fault::wrong_aggregate:
      return case_of_result(input);
    case Fault::wrong_sketch: {
      // In CHECK of the round that the ban is in: of a deviation from one of its results.
      const bool reported = !evidence.messages.empty() &&
                            evidence.messages.front().key.phase == Phase::check &&
                            evidence.messages.front().key.round == input.context.outcome.round;
      return reported ? case_of_result(input) : case_of_recomputing(input);
    }
    case Fault::false_accusation:
      // Of a result, or of a contribution that was measured.
      return evidence.contributors.empty() ? case_of_recomputing(input) : case_of_result(input);
    case Fault::wrong_contribution:
      return case_of_recomputing(input);
    case Fault::absent:
    case Fault::silent:
    case Fault::unserved:
      break;
  }
  return nullptr;
}

Error nothing_to_judge(Fault fault) {
  return {ErrorCode::protocol, "evidence: nobody is banned for being " + std::string(name(fault))};
}

}  // namespace

Result<Finding> verify_evidence(const Evidence& evidence, const swarm::Removal& removal,
                                const swarm::EvidenceContext& context, const RoundRules& rules) {
  const auto one = make_case({evidence, removal, context, rules});
  if (!one) return fail(nothing_to_judge(evidence.fault));
  return one->judge();
}

Result<Evidence> needed_evidence(const Evidence& evidence, const swarm::Removal& removal,
                                 const swarm::EvidenceContext& context, const RoundRules& rules) {
  const auto one = make_case({evidence, removal, context, rules});
  if (!one) return fail(nothing_to_judge(evidence.fault));
  TRY_VOID(one->judge());
  return one->needed();
}

}  // namespace testudo::training
