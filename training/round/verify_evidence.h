// What kept evidence proves: judged once more from nothing but its bytes, the manifest and the chain of
// certificates. Pure; CPU-bound (a disputed part is reduced again); any thread.
//
//  * equivocation: two signatures over different payloads in one place.
//  * malformed: the signed message; of a result, its bytes.
//  * wrong reveal: COMMIT and REVEAL.
//  * wrong aggregate: the contributions committed to and the start: the part is reduced again, that of this
//    round or, when an audit found it, of the one before the last. Who of the removed still counted as a
//    contributor stays with the quorum.
//  * wrong sketch: the report, the committed bytes, the result: sketched again.
//  * false accusation of a reducer: as for a wrong aggregate; it gives the result that was called wrong.
//  * wrong contribution, false accusation of a contributor: the commitment, the validator's statement and
//    what a quorum signed that it measured. With the quorum stays that the measurements are right: to repeat
//    them takes the model, its data and an earlier state.
//
// Evidence that was too large to keep whole is checked as far as it goes, and the finding says what is left.
#pragma once

#include <string>

#include "swarm/evidence.h"
#include "training/round/rules.h"

namespace testudo::training {

struct Finding {
  // True: the bytes alone prove the fault, to anybody. False: what was kept is signed and fits, and what
  // decides beyond that is the word of those who signed the certificate.
  bool proven = false;
  std::string text;  // what was found, and what rests on the quorum
};

// An error when the evidence is not that of this ban, is damaged, or does not show the fault. `context` and
// `removal`: of a certificate that was verified.
Result<Finding> verify_evidence(const swarm::Evidence& evidence, const swarm::Removal& removal,
                                const swarm::EvidenceContext& context, const RoundRules& rules);

// The same of evidence from somebody: what of it was judged on. Whatever else it holds is nobody's to store.
Result<swarm::Evidence> needed_evidence(const swarm::Evidence& evidence, const swarm::Removal& removal,
                                        const swarm::EvidenceContext& context, const RoundRules& rules);

}  // namespace testudo::training
