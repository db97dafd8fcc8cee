// EvidenceCase: one ban and the evidence for it, and what judges of all kinds read of them: what members
// signed, what was shown, the round that it is about. It remembers what they looked at. Each kind of evidence
// has its own file and its own judge (verify_evidence.h says what they find). Borrows all that it is made of;
// one thread at a time.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "swarm/evidence.h"
#include "training/round/payloads.h"
#include "training/round/rules.h"
#include "training/round/verify_evidence.h"

namespace testudo::training {

struct CaseInput {
  const swarm::Evidence& evidence;
  const swarm::Removal& removal;
  const swarm::EvidenceContext& context;
  const RoundRules& rules;
};

class EvidenceCase {
 public:
  virtual ~EvidenceCase() = default;
  EvidenceCase(const EvidenceCase&) = delete;
  EvidenceCase& operator=(const EvidenceCase&) = delete;

  Result<Finding> judge() const;
  // After judge(): without what it did not look at. It judges alike.
  swarm::Evidence needed() const;

 protected:
  using PeerId = swarm::PeerId;
  using Kind = swarm::Evidence::Kind;

  explicit EvidenceCase(const CaseInput& input);
  // Of evidence that is this ban's, signed by who it says.
  virtual Result<Finding> judge_fault() const = 0;

  static tl::unexpected<Error> refuse(const std::string& why);
  const swarm::PhaseMessage& first() const { return evidence_.messages.front(); }
  // Of the first message: "round 3, COMMIT".
  std::string place() const;
  // What the certificate ended, as a round like those before it.
  const swarm::AppliedRound& here() const { return here_; }
  static bool is_of(const swarm::AppliedRound& round, const swarm::PhaseMessage& message);
  bool is_of_this_attempt(const swarm::PhaseMessage& message) const { return is_of(here_, message); }

  const swarm::PhaseMessage* find(swarm::Phase phase, const swarm::AppliedRound& round,
                                  const PeerId& author) const;
  const swarm::Evidence::Shown* find_shown(Kind kind, std::size_t part, const PeerId& member) const;
  // What a member committed to in the attempt that ended a round.
  Result<CommitPayload> commit_of(const swarm::AppliedRound& round, const PeerId& member,
                                  std::size_t parts) const;
  Result<std::vector<PartRange>> ranges(const swarm::AppliedRound& round) const;
  // Bytes of a part that somebody committed to, as whoever judged them saw them; null where evidence was
  // shortened.
  Result<const Bytes*> shown(Kind kind, std::size_t part, const PeerId& member, const Digest& hash,
                             std::size_t size) const;
  // What the last one counts of, should a REDUCE say several; nothing: no result.
  static Result<std::optional<Digest>> result_in(const ReducePayload& payload, std::uint32_t part);
  // Two rounds were applied right before this one.
  Result<void> needs_earlier_rounds() const;
  // What the last round's validators were drawn for, who spoke in CHECK.
  std::vector<Validation> drawn_validations() const;
  swarm::PhaseKey statement_key() const;

  // Of evidence so large that only the message which the certificate names was kept.
  bool is_bare() const { return evidence_.shortened && evidence_.messages.size() == 1; }
  Finding bare() const;
  // A message or piece that the judgement rests on.
  void use(const void* piece) const { used_.insert(piece); }

  const swarm::Evidence& evidence_;
  const swarm::Removal& removal_;
  const swarm::EvidenceContext& context_;
  const RoundRules& rules_;

 private:
  const swarm::Roster& roster_of(const swarm::PhaseMessage& message) const;
  Result<void> check_form() const;

  swarm::AppliedRound here_;
  mutable std::set<const void*> used_;
};

inline Finding proven(std::string text) { return {true, std::move(text)}; }
inline Finding attested(std::string text) { return {false, std::move(text)}; }
inline constexpr std::string_view too_large = "was too large to keep";

// What somebody signed, whatever it is of: equivocation, malformed, wrong reveal (evidence_of_messages.cc).
std::unique_ptr<EvidenceCase> case_of_message(const CaseInput& input);
// A result, or a report or accusation of it: wrong aggregate, wrong sketch of a deviation, false accusation
// of a reducer (evidence_of_results.cc).
std::unique_ptr<EvidenceCase> case_of_result(const CaseInput& input);
// A contribution that a validator recomputed: wrong contribution, wrong sketch of it, false accusation of its
// author (evidence_of_recomputing.cc).
std::unique_ptr<EvidenceCase> case_of_recomputing(const CaseInput& input);

}  // namespace testudo::training
