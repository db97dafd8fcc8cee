// Evidence: the signed messages and shown bytes that a ban was judged on, kept beside its certificate so that
// anybody can judge once more. Here is the container, its form and its bounds; what it proves for which fault
// is decided in training/round/verify_evidence.h. Honest members keep equivalent evidence, not the same
// bytes: of what a liar signed they may have seen different copies. Values; any thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "swarm/outcome.h"
#include "swarm/phase_message.h"
#include "swarm/roster.h"

namespace testudo::swarm {

// Of one ban, encoded: as much as all contributions to one part of a model of some million parameters, little
// enough to hold in memory for everybody who asks for it. Evidence that would be larger is kept without its
// largest pieces (Evidence::shorten), and the certificate's signatures stand for these.
inline constexpr std::size_t evidence_max_bytes = 4 * 1024 * 1024;
// Of all bans of a run on one member's disk: who brings many names to be banned with must not fill it.
inline constexpr std::size_t evidence_total_bytes = 256 * 1024 * 1024;
// Two messages of every member of the largest group.
inline constexpr std::size_t evidence_message_limit = 512;

struct Evidence {
  enum class Kind : std::uint8_t {
    contribution = 1,  // by `member` to a part
    result = 2,        // that `member` reduced
  };
  struct Shown {
    Kind kind = Kind::contribution;
    std::uint32_t part = 0;
    PeerId member;
    Bytes bytes;
    bool operator==(const Shown&) const = default;
  };
  // What of the state before the round the judgement began with: all leaves under the certified root, and the
  // chunks of state_chunk_bytes from `first` on.
  struct StatePiece {
    std::uint64_t size = 0;  // of the whole state, in bytes
    std::vector<Digest> leaves;
    std::uint64_t first = 0;
    std::vector<Bytes> chunks;
    bool operator==(const StatePiece&) const = default;
  };

  PeerId offender;
  Fault fault = Fault::malformed;
  Digest name{};  // what the certificate calls it: Removal::evidence
  // The offender's message that the fault is in comes first.
  std::vector<PhaseMessage> messages;
  std::optional<Equivocation> equivocation;
  std::uint32_t part = 0;            // that it is about, where it is about one
  std::vector<PeerId> contributors;  // to that part, as agreed; ascending
  std::vector<Shown> shown;
  std::optional<StatePiece> state;
  bool shortened = false;  // it was too large

  Bytes encode() const;  // canonical
  // Form and bounds only.
  static Result<Evidence> decode(ByteView bytes);
  // Adds bytes, `of` saying what they are; too many of them and all go (shorten).
  void show(Shown of, ByteView bytes);
  // Lets go of the shown bytes, then of all messages but the first, until it fits evidence_max_bytes.
  void shorten();
  const Shown* find(Kind kind, std::uint32_t part, const PeerId& member) const;
};

// A round that was applied, as its certificate and those before it say.
struct AppliedRound {
  RoundNumber round;
  Attempt attempt;
  std::uint32_t fruitless_voids = 0;     // as Chain counts them
  Digest beacon{};                       // that its batches were named by
  Digest coins{};                        // that were revealed in it
  std::shared_ptr<const Roster> roster;  // that it began with
  Digest state_root{};                   // that it began with; zero before the first round
  // Of its outcome:
  std::vector<PeerId> present;
  std::vector<Removal> removed;
  std::vector<Digest> results;
};

// What the chain says about where an outcome stands: all that evidence is checked against.
struct EvidenceContext {
  std::uint64_t height = 0;  // of its certificate
  Outcome outcome;
  std::shared_ptr<const Roster> roster;  // before it
  Digest beacon{};                       // that the round began with
  Digest state_root{};                   // that it began with; zero before the first round
  std::uint32_t fruitless_voids = 0;     // as Chain counts them
  std::vector<AppliedRound> earlier;     // the last two applied rounds before it, the older first
};

}  // namespace testudo::swarm
