// Outcome and Certificate: how a round ended, and the signatures that make it so. The chain of certificates
// is the ledger; the roster is a fold over it (roster.h). Values; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/base/result.h"
#include "swarm/types.h"

namespace testudo::swarm {

class Roster;

enum class OutcomeKind : std::uint8_t {
  apply = 1,   // the update of the round was applied
  voided = 2,  // nothing was applied; the round is attempted again
};

// Why a member lost its seat. Eliminated ones may apply again, banned ones never.
enum class Fault : std::uint8_t {
  absent = 1,    // no COMMIT, or too many with no contribution in it
  silent = 2,    // fell silent after its COMMIT
  unserved = 3,  // did not answer a challenge
  // Proven, hence banned:
  equivocation = 16,        // two signed payloads in one place
  malformed = 17,           // signed what the rules forbid
  wrong_reveal = 18,        // a coin that is not the one committed to
  wrong_aggregate = 19,     // a result that the committed contributions do not give
  wrong_sketch = 20,        // a norm or a sketch that the contribution which it is of does not give
  wrong_contribution = 21,  // not the gradient of the batch that the beacon named
  false_accusation = 22,    // a validator that says so of one that is
};
constexpr bool is_ban(Fault fault) { return static_cast<std::uint8_t>(fault) >= 16; }
bool is_known(Fault fault);
std::string_view name(Fault fault);

struct Removal {
  PeerId peer;
  Fault fault = Fault::absent;
  Digest evidence{};  // of the bytes that prove a ban; zero for an elimination
  bool operator==(const Removal&) const = default;
};

// Why a member has a strike: a mark that fades, for what slows a round and is nobody's proven fault.
enum class StrikeReason : std::uint8_t {
  // Of one member alone:
  silent_validator = 1,  // was drawn, and said nothing of its target
  silent_reducer = 2,    // showed no sketch of a recomputed contribution that it had reduced
  kept_result = 3,       // published nothing for its part, and named nobody that it misses something of
  // Between two, one of which lies or has a bad line, and nobody else can tell which:
  answered_challenge = 16,  // `peer` said that it misses what `other` then showed
  given_up = 17,            // `peer` gave up its part, because of what it misses of `other` among others
  late = 18,                // `other`'s message did not reach `peer` in time
  unconfirmed = 19,         // `other` held all messages in time, and did not tell `peer` so
  undecided_dispute = 20,   // `peer` disputed `other`'s contribution, and measuring did not decide
  unserved_audit = 21,      // `peer` said that `other` kept from it what it was to audit
};
constexpr bool is_between_two(StrikeReason reason) { return static_cast<std::uint8_t>(reason) >= 16; }
bool is_known(StrikeReason reason);
std::string_view name(StrikeReason reason);

// What follows from strikes: strikes.h.
struct Strike {
  PeerId peer;  // who it is against; between two, the one that complained
  StrikeReason reason = StrikeReason::silent_validator;
  std::optional<PeerId> other;  // between two
  bool operator==(const Strike&) const = default;
};

struct Admission {
  PeerId peer;
  bool client_mode = false;  // takes no inbound connections: reduces nothing
  bool operator==(const Admission&) const = default;
};

// Signed whole. Everything in it follows from agreed sets, so that honest members make the same bytes.
struct Outcome {
  RunId run{};
  RoundNumber round;
  Attempt attempt;
  OutcomeKind kind = OutcomeKind::apply;
  Digest previous{};                // digest of the outcome before, the run id for the first
  std::vector<PeerId> present;      // the agreed contributors, ascending; empty when none was agreed
  std::vector<PeerId> idle;         // of the present: neither contributed nor validated; ascending
  std::vector<Digest> results;      // hash of each reduced part in order; zero for an absent part
  std::vector<Removal> removed;     // ascending by peer; bans also of who lost its seat not long ago
  std::vector<Admission> admitted;  // ascending by peer
  std::vector<Strike> strikes;      // ascending by peer, one each; none of who is removed
  std::vector<PeerId> audited;      // whose contributions to the round before the last are right; ascending
  Digest state{};                   // Merkle root of the training state after the round
  Digest parameters{};              // BLAKE2b-256 of the parameters after the round, little-endian floats
  Digest coins{};                   // of the revealed coins, in roster order; zero in a VOID
  float deviation = 0;        // the median of what contributions deviated from the result by, as reported
  std::uint64_t samples = 0;  // sum of what the present claim
  float loss = 0;             // mean of what the present claim, by samples

  static constexpr std::uint8_t format_version = 5;
  static constexpr std::size_t max_bytes = 1536 * 1024;  // above what max_members entries of each kind take

  Bytes encode() const;  // canonical
  static Result<Outcome> decode(ByteView bytes);
  Digest digest() const;
  // The present who kept their seats.
  std::vector<PeerId> remaining() const;
  bool operator==(const Outcome&) const = default;
  // Bounds and form: what decode() demands beyond the encoding itself.
  Result<void> check() const;
};

// beacon(0) follows from the run; beacon(t) = BLAKE2b-256(domain ‖ run ‖ round ‖ coins), from the coins
// alone: whatever else is in an outcome was decided by people who knew them.
Digest first_beacon(const RunId& run);
Digest beacon_after(const Outcome& outcome);

struct Vote {
  PeerId signer;
  crypto::Signature signature{};
};
// A vote is what its signer says in the place CERTIFY of the attempt: who signs two outcomes of one attempt
// has equivocated (Equivocation).
PhaseKey place_of_votes(const Outcome& outcome);
crypto::Signature sign_outcome(const crypto::KeyPair& key, const Outcome& outcome);
// `digest`: the outcome's.
bool verify_vote(const Outcome& outcome, const Digest& digest, const Vote& vote);

struct Certificate {
  Outcome outcome;
  std::vector<Vote> votes;  // ascending by signer

  static constexpr std::size_t max_bytes = 2 * 1024 * 1024;

  Bytes encode() const;
  // Bounds and form only; verify() decides whether it holds.
  static Result<Certificate> decode(ByteView bytes);
  // The format that a certificate and its outcome say they are of; nothing where they differ, or there is
  // none.
  static std::optional<std::uint8_t> version_in(ByteView bytes);
  // Against the roster that the outcome before certified.
  Result<void> verify(const Roster& before) const;
};

// Whether `signers` suffice for an outcome with those `remaining` contributors.
//   While the run is founding (Roster::founding): more than half of the founders, and at least half of
//   `remaining`. Any two such quorums share a founder, who signs one outcome only, so
//   hostile names cannot outvote a lone founder right after launch, and members that died do not hold it up:
//   with one other member that dies after the last broadcast, the founder decides the tie. Afterwards: more
//   than half of the roster's vote weight.
bool is_quorum(const Roster& roster, const std::vector<PeerId>& remaining,
               const std::vector<PeerId>& signers);

}  // namespace testudo::swarm
