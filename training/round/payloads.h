// What members say in the phases of a round. Decoding checks form and bounds; whether the content fits the
// round is checked against the agreed sets. Values; any thread.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "crypto/base/result.h"
#include "crypto/commitment.h"
#include "swarm/outcome.h"
#include "swarm/phase_message.h"
#include "training/checks/sketch.h"
#include "training/checks/validation.h"
#include "training/round/part_exchange.h"

namespace testudo::training {

inline constexpr std::size_t part_limit = 256;        // far above group_max
inline constexpr std::size_t application_limit = 64;  // applications that one COMMIT lists
inline constexpr std::size_t accusation_limit = 4;    // equivocations that one COMMIT reports
inline constexpr std::size_t dispute_limit = 4;       // disputes that one round settles
inline constexpr std::size_t validation_limit = 64;   // as many validators as a manifest may ask for
inline constexpr std::size_t mark_limit = 256;        // marks that one COMMIT lists

// A sketch of a part that its sender reduced two rounds ago: of the contribution of `target`, which a
// validator recomputed in the last round.
struct Holding {
  swarm::PeerId target;
  PartIndex part;
  Sketch sketch{};
};

// What a member holds against another since its last COMMIT, where only members that were there can tell:
// `late`, `unconfirmed`, `silent_validator` or `silent_reducer`. None while all is well.
struct Mark {
  swarm::StrikeReason reason = swarm::StrikeReason::late;
  swarm::PeerId peer;
  auto operator<=>(const Mark&) const = default;
};
bool is_mark(swarm::StrikeReason reason);

struct CommitPayload {
  std::vector<Digest> parts;  // hashes of the encoded parts; empty: takes part without contributing
  // With an automatic τ, the distance of each part from the last reduced vector; τ follows from their
  // medians.
  std::vector<double> distances;
  std::uint32_t samples = 0;
  float loss = 0;
  Digest coin{};                               // commitment to what REVEAL opens
  std::vector<swarm::Admission> applications;  // seen by this member, ascending
  std::vector<swarm::Equivocation> accusations;
  std::vector<Holding> holdings;
  std::vector<Mark> marks;  // ascending

  const Sketch* find_holding(const swarm::PeerId& target, PartIndex part) const;
  Bytes encode() const;
  static Result<CommitPayload> decode(ByteView bytes);
};

// One contribution to one part.
struct PartOf {
  PartIndex part;
  swarm::PeerId member;
  auto operator<=>(const PartOf&) const = default;
};

// The bytes that the sender was asked for: (SERVE) the contributions of `member` to parts, or (REVEAL answer)
// the results of `member` as a reducer. EVIDENCE: also disputed contributions of the round before the last,
// and contributions to parts of that round whose results are disputed.
struct AnswerPayload {
  using Parts = std::vector<std::pair<PartOf, Bytes>>;
  Parts parts;
  Parts earlier;
  Parts audited;

  Bytes encode() const;
  static Result<AnswerPayload> decode(ByteView bytes);
  const Bytes* find(const PartOf& entry) const { return find_in(parts, entry); }
  const Bytes* find_earlier(const PartOf& entry) const { return find_in(earlier, entry); }
  const Bytes* find_audited(const PartOf& entry) const { return find_in(audited, entry); }

 private:
  static const Bytes* find_in(const Parts& parts, const PartOf& entry);
};

// The answers of one phase. Each is decoded once, when something of it is first looked for: it may be
// megabytes, and who asks for something of every part would have all of them decoded as often. Outlives no
// message set that it reads.
class Answers {
 public:
  explicit Answers(const std::map<swarm::PeerId, swarm::PhaseMessage>& messages) : messages_(messages) {}

  // Null: the author is silent, or its answer does not decode.
  const AnswerPayload* of(const swarm::PeerId& author);

 private:
  const std::map<swarm::PeerId, swarm::PhaseMessage>& messages_;
  std::map<swarm::PeerId, std::optional<AnswerPayload>> decoded_;
};

// Hashes of the encoded results; nothing for a part whose rule did not converge (it is absent, nobody is
// guilty). REDUCE: challenges of contributions that the sender misses; the parts that these are of have no
// result yet. A part of which nothing is said is given up: what the sender misses of such parts, more than it
// may challenge; nobody is asked for that.
struct ReducePayload {
  std::vector<std::pair<PartIndex, std::optional<Digest>>> results;
  std::vector<PartOf> missing;
  std::vector<PartOf> given_up;

  Bytes encode() const;
  static Result<ReducePayload> decode(ByteView bytes);
};

// REVEAL: opens the commitment of COMMIT. Challenges of results that the sender misses (member = the
// reducer).
struct RevealPayload {
  crypto::Opening opening;
  std::vector<PartOf> missing;

  Bytes encode() const;
  static Result<RevealPayload> decode(ByteView bytes);
};

// CHECK: how the sender's contribution deviates from each reduced part; zeros for an absent part. Empty from
// members without a contribution.
struct CheckPayload {
  std::vector<Deviation> parts;
  std::optional<Statement> recomputed;  // of a validator, about its target's contribution to the last round
  std::vector<Validation> disputes;     // of the last round's statements, ascending
  std::optional<AuditStatement> audit;  // of a validator, about the part of the last round that it audits
  std::vector<Audit> audits;            // disputes of what the last round's auditors said, ascending
  std::vector<swarm::PeerId> right;     // whom the last round's statements find right, ascending

  Bytes encode() const;
  static Result<CheckPayload> decode(ByteView bytes);
};

// MEASURE: how far disputed contributions are from what the sender computes in their place
// (RelativeDistance); only of those that it can tell.
struct MeasurePayload {
  std::vector<std::pair<swarm::PeerId, double>> distances;  // by target, ascending

  Bytes encode() const;
  static Result<MeasurePayload> decode(ByteView bytes);
  std::optional<double> find(const swarm::PeerId& target) const;
};

}  // namespace testudo::training
