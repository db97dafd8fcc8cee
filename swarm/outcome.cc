#include "swarm/outcome.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "crypto/hash.h"
#include "net/messages/message.h"
#include "swarm/phase_message.h"
#include "swarm/roster.h"

namespace testudo::swarm {
namespace {

constexpr Digest no_digest{};

net::MessageLimits limits(std::size_t size) { return {.size = size, .elements = max_members, .depth = 4}; }

struct RemovalWire {
  PeerId peer;
  std::uint8_t fault = 0;
  Digest evidence{};
  MSGPACK_DEFINE(peer, fault, evidence)
};
struct AdmissionWire {
  PeerId peer;
  bool client_mode = false;
  MSGPACK_DEFINE(peer, client_mode)
};
struct StrikeWire {
  PeerId peer;
  std::uint8_t reason = 0;
  std::vector<PeerId> other;  // one, or none
  MSGPACK_DEFINE(peer, reason, other)
};
struct OutcomeWire {
  std::uint8_t version = 0;
  Digest run{};
  std::uint64_t round = 0;
  std::uint32_t attempt = 0;
  std::uint8_t kind = 0;
  Digest previous{};
  std::vector<PeerId> present;
  std::vector<PeerId> idle;
  std::vector<Digest> results;
  std::vector<RemovalWire> removed;
  std::vector<AdmissionWire> admitted;
  std::vector<StrikeWire> strikes;
  std::vector<PeerId> audited;
  Digest state{};
  Digest parameters{};
  Digest coins{};
  float deviation = 0;
  std::uint64_t samples = 0;
  float loss = 0;
  MSGPACK_DEFINE(version, run, round, attempt, kind, previous, present, idle, results, removed, admitted,
                 strikes, audited, state, parameters, coins, deviation, samples, loss)
};
struct VoteWire {
  PeerId signer;
  crypto::Signature signature{};
  MSGPACK_DEFINE(signer, signature)
};
struct CertificateWire {
  std::uint8_t version = 0;
  Bytes outcome;
  std::vector<VoteWire> votes;
  MSGPACK_DEFINE(version, outcome, votes)
};

template <typename Range, typename Projection>
bool ascending(const Range& range, Projection projection) {
  return std::ranges::adjacent_find(range, std::ranges::greater_equal{}, projection) == range.end();
}

tl::unexpected<Error> bad(std::string_view what) {
  return fail(ErrorCode::protocol, "outcome: " + std::string(what));
}

}  // namespace

bool is_known(Fault fault) {
  switch (fault) {
    case Fault::absent:
    case Fault::silent:
    case Fault::unserved:
    case Fault::equivocation:
    case Fault::malformed:
    case Fault::wrong_reveal:
    case Fault::wrong_aggregate:
    case Fault::wrong_sketch:
    case Fault::wrong_contribution:
    case Fault::false_accusation:
      return true;
  }
  return false;
}

std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::absent:
      return "absent";
    case Fault::silent:
      return "silent";
    case Fault::unserved:
      return "unserved";
    case Fault::equivocation:
      return "equivocation";
    case Fault::malformed:
      return "malformed";
    case Fault::wrong_reveal:
      return "wrong reveal";
    case Fault::wrong_aggregate:
      return "wrong aggregate";
    case Fault::wrong_sketch:
      return "wrong sketch";
    case Fault::wrong_contribution:
      return "wrong contribution";
    case Fault::false_accusation:
      return "false accusation";
  }
  return "unknown fault";
}

bool is_known(StrikeReason reason) {
  switch (reason) {
    case StrikeReason::silent_validator:
    case StrikeReason::silent_reducer:
    case StrikeReason::kept_result:
    case StrikeReason::answered_challenge:
    case StrikeReason::given_up:
    case StrikeReason::late:
    case StrikeReason::unconfirmed:
    case StrikeReason::undecided_dispute:
    case StrikeReason::unserved_audit:
      return true;
  }
  return false;
}

std::string_view name(StrikeReason reason) {
  switch (reason) {
    case StrikeReason::silent_validator:
      return "silent validator";
    case StrikeReason::silent_reducer:
      return "silent reducer";
    case StrikeReason::kept_result:
      return "kept result";
    case StrikeReason::answered_challenge:
      return "answered challenge";
    case StrikeReason::given_up:
      return "given up";
    case StrikeReason::late:
      return "late";
    case StrikeReason::unconfirmed:
      return "unconfirmed";
    case StrikeReason::undecided_dispute:
      return "undecided dispute";
    case StrikeReason::unserved_audit:
      return "unserved audit";
  }
  return "unknown reason";
}

Result<void> Outcome::check() const {
  if (round.value() == 0) return bad("round 0 is the initial state, no round");
  if (round.value() == std::numeric_limits<std::uint64_t>::max())
    return bad("there is no round after this one");
  if (kind != OutcomeKind::apply && kind != OutcomeKind::voided) return bad("unknown kind");
  for (const std::size_t count :
       {present.size(), results.size(), removed.size(), admitted.size(), strikes.size(), audited.size()}) {
    if (count > max_members) return bad("more entries than a roster may have members");
  }
  if (kind == OutcomeKind::apply && present.empty()) return bad("applied without contributors");
  if (!ascending(present, std::identity{})) return bad("present peers are not ascending");
  if (!ascending(idle, std::identity{})) return bad("idle peers are not ascending");
  if (!std::ranges::includes(present, idle)) return bad("who is idle is not among the present");
  if (!ascending(audited, std::identity{})) return bad("audited peers are not ascending");
  if (kind == OutcomeKind::voided && !(idle.empty() && audited.empty()))
    return bad("nobody's work counts in a round that was not applied");
  if (!ascending(removed, &Removal::peer)) return bad("removed peers are not ascending");
  if (!ascending(admitted, &Admission::peer)) return bad("admitted peers are not ascending");
  for (const Removal& removal : removed) {
    if (!is_known(removal.fault)) return bad("unknown fault");
    if (is_ban(removal.fault) == (removal.evidence == no_digest)) {
      return bad("a ban names its evidence, an elimination has none");
    }
  }
  if (!ascending(strikes, &Strike::peer)) return bad("struck peers are not ascending");
  for (const Strike& strike : strikes) {
    if (!is_known(strike.reason)) return bad("unknown reason of a strike");
    if (is_between_two(strike.reason) != strike.other.has_value() || strike.other == strike.peer) {
      return bad("a strike between two names another, others nobody");
    }
  }
  if (!std::isfinite(loss)) return bad("the loss is not finite");
  if (!std::isfinite(deviation) || deviation < 0) return bad("the deviation is no length");
  return {};
}

Bytes Outcome::encode() const {
  OutcomeWire wire;
  wire.version = Outcome::format_version;
  wire.run = run;
  wire.round = round.value();
  wire.attempt = attempt.value();
  wire.kind = static_cast<std::uint8_t>(kind);
  wire.previous = previous;
  wire.present = present;
  wire.idle = idle;
  wire.results = results;
  for (const Removal& removal : removed) {
    wire.removed.push_back({removal.peer, static_cast<std::uint8_t>(removal.fault), removal.evidence});
  }
  for (const Admission& admission : admitted)
    wire.admitted.push_back({admission.peer, admission.client_mode});
  for (const Strike& strike : strikes) {
    wire.strikes.push_back({strike.peer, static_cast<std::uint8_t>(strike.reason), {}});
    if (strike.other) wire.strikes.back().other.push_back(*strike.other);
  }
  wire.audited = audited;
  wire.state = state;
  wire.parameters = parameters;
  wire.coins = coins;
  wire.deviation = deviation;
  wire.samples = samples;
  wire.loss = loss;
  return net::pack(wire);
}

Result<Outcome> Outcome::decode(ByteView bytes) {
  // First: the fields are this version's.
  if (const auto version = net::version_of(bytes); version && *version != format_version) {
    return bad("format version " + std::to_string(*version) + " is unknown here");
  }
  const auto unpacked = net::unpack<OutcomeWire>(bytes, limits(max_bytes));
  if (!unpacked) return fail(Error(unpacked.error()).in("outcome"));
  const OutcomeWire& wire = *unpacked;
  if (wire.version != format_version) return bad("no format version");
  Outcome outcome;
  outcome.run = wire.run;
  outcome.round = RoundNumber(wire.round);
  outcome.attempt = Attempt(wire.attempt);
  outcome.kind = static_cast<OutcomeKind>(wire.kind);
  outcome.previous = wire.previous;
  outcome.present = wire.present;
  outcome.idle = wire.idle;
  outcome.results = wire.results;
  for (const RemovalWire& removal : wire.removed) {
    outcome.removed.push_back({removal.peer, static_cast<Fault>(removal.fault), removal.evidence});
  }
  for (const AdmissionWire& admission : wire.admitted) {
    outcome.admitted.push_back({admission.peer, admission.client_mode});
  }
  for (const StrikeWire& strike : wire.strikes) {
    if (strike.other.size() > 1) return bad("a strike between more than two");
    outcome.strikes.push_back(
        {strike.peer, static_cast<StrikeReason>(strike.reason),
         strike.other.empty() ? std::nullopt : std::optional<PeerId>(strike.other.front())});
  }
  outcome.audited = wire.audited;
  outcome.state = wire.state;
  outcome.parameters = wire.parameters;
  outcome.coins = wire.coins;
  outcome.deviation = wire.deviation;
  outcome.samples = wire.samples;
  outcome.loss = wire.loss;
  TRY_VOID(outcome.check());
  return outcome;
}

Digest Outcome::digest() const { return crypto::Hasher("testudo/outcome/1").bytes(encode()).finish(); }

Digest first_beacon(const RunId& run) { return crypto::Hasher("testudo/beacon/0").bytes(run).finish(); }

Digest beacon_after(const Outcome& outcome) {
  return crypto::Hasher("testudo/beacon/1")
      .bytes(outcome.run)
      .integer(outcome.round.value())
      .bytes(outcome.coins)
      .finish();
}

PhaseKey place_of_votes(const Outcome& outcome) { return {outcome.round, outcome.attempt, Phase::certify}; }

crypto::Signature sign_outcome(const crypto::KeyPair& key, const Outcome& outcome) {
  return sign_payload(outcome.run, place_of_votes(outcome), outcome.digest(), key);
}

bool verify_vote(const Outcome& outcome, const Digest& digest, const Vote& vote) {
  return verify_payload(outcome.run, place_of_votes(outcome), digest, vote.signer, vote.signature);
}

Bytes Certificate::encode() const {
  CertificateWire wire;
  wire.version = Outcome::format_version;
  wire.outcome = outcome.encode();
  for (const Vote& vote : votes) wire.votes.push_back({vote.signer, vote.signature});
  return net::pack(wire);
}

Result<Certificate> Certificate::decode(ByteView bytes) {
  const auto unpacked = net::unpack<CertificateWire>(bytes, limits(max_bytes));
  if (!unpacked) return fail(Error(unpacked.error()).in("certificate"));
  const CertificateWire& wire = *unpacked;
  if (wire.version != Outcome::format_version) {
    return fail(ErrorCode::protocol,
                "certificate: format version " + std::to_string(wire.version) + " is unknown here");
  }
  auto outcome = Outcome::decode(wire.outcome);
  if (!outcome) return fail(std::move(outcome).error().in("certificate"));
  Certificate certificate{*std::move(outcome), {}};
  for (const VoteWire& vote : wire.votes) certificate.votes.push_back({vote.signer, vote.signature});
  if (!ascending(certificate.votes, &Vote::signer)) {
    return fail(ErrorCode::protocol, "certificate: signers are not ascending");
  }
  return certificate;
}

std::optional<std::uint8_t> Certificate::version_in(ByteView bytes) {
  const auto wire = net::unpack<CertificateWire>(bytes, limits(max_bytes));
  if (!wire || net::version_of(wire->outcome) != wire->version) return std::nullopt;
  return wire->version;
}

Result<void> Certificate::verify(const Roster& before) const {
  const Digest digest = outcome.digest();
  std::vector<PeerId> signers;
  for (const Vote& vote : votes) {
    // Refused rather than skipped: an honest certificate has none, and nothing unsigned may ride along.
    if (!before.votes(vote.signer)) {
      return fail(ErrorCode::authentication,
                  "certificate of round " + std::to_string(outcome.round.value()) + ": " +
                      vote.signer.short_text() + " signed and " +
                      (before.contains(vote.signer) ? "has no vote" : "is no member"));
    }
    if (!verify_vote(outcome, digest, vote)) {
      return fail(ErrorCode::authentication, "certificate of round " + std::to_string(outcome.round.value()) +
                                                 ": the signature of " + vote.signer.short_text() +
                                                 " does not hold");
    }
    signers.push_back(vote.signer);
  }
  if (!is_quorum(before, outcome.remaining(), signers)) {
    return fail(ErrorCode::authentication, "certificate of round " + std::to_string(outcome.round.value()) +
                                               ": " + std::to_string(signers.size()) +
                                               " signatures are no quorum of " +
                                               std::to_string(before.total_weight()) + " votes");
  }
  return {};
}

std::vector<PeerId> Outcome::remaining() const {
  std::vector<PeerId> left;
  for (const PeerId& id : present) {
    if (std::ranges::find(removed, id, &Removal::peer) == removed.end()) left.push_back(id);
  }
  return left;
}

bool is_quorum(const Roster& roster, const std::vector<PeerId>& remaining,
               const std::vector<PeerId>& signers) {
  std::set<PeerId> counted;
  std::uint64_t weight = 0;
  std::size_t founders = 0;
  for (const PeerId& signer : signers) {
    const auto index = roster.index_of(signer);
    if (!index || !counted.insert(signer).second) continue;
    weight += roster.members()[*index].weight;
    if (roster.is_founder(signer)) ++founders;
  }
  if (!roster.founding()) return 2 * weight > roster.total_weight();
  if (2 * founders <= roster.founders().size()) return false;
  const auto of_remaining = static_cast<std::size_t>(
      std::ranges::count_if(remaining, [&](const PeerId& id) { return counted.contains(id); }));
  return 2 * of_remaining >= remaining.size();
}

}  // namespace testudo::swarm
