#include "swarm/outcome.h"

#include <cmath>
#include <limits>

#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;

namespace {

Outcome rich_outcome() {
  const auto ids = ids_of(make_keys(6));
  Outcome outcome;
  outcome.run = digest_of("run");
  outcome.round = RoundNumber(300);
  outcome.attempt = Attempt(2);
  outcome.previous = digest_of("previous");
  outcome.present = {ids[0], ids[1], ids[2]};
  outcome.idle = {ids[2]};
  outcome.results = {digest_of("part 0"), Digest{}, digest_of("part 2")};
  outcome.removed = {{ids[1], Fault::silent, {}}, {ids[3], Fault::equivocation, digest_of("two messages")}};
  outcome.admitted = {{ids[4], false}, {ids[5], true}};
  outcome.strikes = {{ids[0], StrikeReason::silent_reducer, std::nullopt},
                     {ids[2], StrikeReason::late, ids[0]}};
  outcome.audited = {ids[0], ids[2]};
  outcome.state = digest_of("state");
  outcome.parameters = digest_of("parameters");
  outcome.samples = 192;
  outcome.loss = 0.75F;
  return outcome;
}

Roster roster_of(const std::vector<KeyPair>& founders, const std::vector<KeyPair>& others) {
  Outcome outcome;
  outcome.round = RoundNumber(1);
  for (const auto& id : ids_of(others)) outcome.admitted.push_back({id, false});
  return Roster(ids_of(founders)).after(outcome, 1.0 / 3);
}

std::vector<PeerId> join(std::vector<PeerId> a, const std::vector<PeerId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

TEST_CASE(
    "an outcome comes back from its encoding, field by field, and a change anywhere changes its digest") {
  const Outcome outcome = rich_outcome();
  const auto decoded = Outcome::decode(outcome.encode());
  REQUIRE(decoded.has_value());
  CHECK(decoded->encode() == outcome.encode());
  CHECK(decoded->digest() == outcome.digest());
  CHECK(decoded->present == outcome.present);
  CHECK(decoded->results == outcome.results);
  CHECK(decoded->removed[1].fault == Fault::equivocation);
  CHECK(decoded->removed[1].evidence == digest_of("two messages"));
  CHECK(decoded->admitted[1].client_mode);
  CHECK(decoded->strikes == outcome.strikes);
  CHECK(decoded->idle == outcome.idle);
  CHECK(decoded->audited == outcome.audited);
  CHECK(decoded->attempt == Attempt(2));
  CHECK(decoded->loss == 0.75F);
  Outcome other = outcome;
  other.samples = 193;
  CHECK(other.digest() != outcome.digest());
  CHECK(beacon_after(other) == beacon_after(outcome));  // nothing but coins makes it
  other.coins = digest_of("other coins");
  CHECK(beacon_after(other) != beacon_after(outcome));
}

TEST_CASE("decoding an outcome refuses what the rules of its form forbid") {
  const auto refused = [](const Outcome& outcome) { return !Outcome::decode(outcome.encode()).has_value(); };
  CHECK_FALSE(refused(rich_outcome()));
  Outcome outcome = rich_outcome();
  std::swap(outcome.present[0], outcome.present[1]);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.present[1] = outcome.present[0];
  CHECK(refused(outcome));
  outcome = rich_outcome();
  std::swap(outcome.removed[0], outcome.removed[1]);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.admitted[1] = outcome.admitted[0];
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.round = RoundNumber(0);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.kind = static_cast<OutcomeKind>(3);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.removed[0].fault = static_cast<Fault>(9);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.removed[1].evidence = Digest{};  // a ban without evidence
  CHECK(refused(outcome));
  outcome = rich_outcome();
  std::swap(outcome.strikes[0], outcome.strikes[1]);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.strikes[1].peer = outcome.strikes[0].peer;  // one each
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.strikes[0].other = outcome.strikes[1].peer;  // nobody else is silent with it
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.strikes[1].other.reset();
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.strikes[1].other = outcome.strikes[1].peer;
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.strikes[0].reason = static_cast<StrikeReason>(9);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.idle = {outcome.removed[1].peer};  // not present
  CHECK(refused(outcome));
  outcome.idle = {outcome.present[1], outcome.present[0]};
  CHECK(refused(outcome));
  outcome = rich_outcome();
  std::swap(outcome.audited[0], outcome.audited[1]);
  CHECK(refused(outcome));
  outcome = rich_outcome();
  outcome.present.clear();
  outcome.idle.clear();
  CHECK(refused(outcome));
  outcome.kind = OutcomeKind::voided;
  CHECK(refused(outcome));  // nobody's work counts there
  outcome.audited.clear();
  CHECK_FALSE(refused(outcome));
  for (const float loss : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    outcome = rich_outcome();
    outcome.loss = loss;
    CHECK(refused(outcome));
  }
  outcome = rich_outcome();
  outcome.results.resize(max_members + 1);
  CHECK(refused(outcome));
}

TEST_CASE("an outcome at its bounds fits, and one value has one encoding") {
  Outcome outcome = rich_outcome();
  crypto::SeededRng rng(std::uint64_t{5});
  outcome.present.clear();
  outcome.removed.clear();
  outcome.admitted.clear();
  outcome.strikes.clear();
  for (std::size_t i = 0; i < max_members; ++i) {
    ByteArray<32> key;
    rng.fill(key);
    const PeerId peer{crypto::PublicKey(key)};
    outcome.present.push_back(peer);
    outcome.removed.push_back({peer, Fault::malformed, digest_of("evidence")});
    outcome.admitted.push_back({peer, true});
    outcome.strikes.push_back({peer, StrikeReason::given_up, ids_of(make_keys(1)).front()});
  }
  std::ranges::sort(outcome.present);
  std::ranges::sort(outcome.removed, {}, &Removal::peer);
  std::ranges::sort(outcome.admitted, {}, &Admission::peer);
  std::ranges::sort(outcome.strikes, {}, &Strike::peer);
  outcome.idle = outcome.audited = outcome.present;
  outcome.results.assign(max_members, digest_of("part"));
  CHECK(Outcome::decode(outcome.encode()).has_value());
  Certificate certificate{outcome, {}};
  for (const PeerId& peer : outcome.present) certificate.votes.push_back({peer, {}});
  CHECK(Certificate::decode(certificate.encode()).has_value());

  Bytes encoded = rich_outcome().encode();
  Bytes trailing = encoded;
  trailing.push_back(0);
  CHECK_FALSE(Outcome::decode(trailing).has_value());
  // The version follows the three bytes that announce nineteen fields: 5 as a fixint. As a uint8 it means
  // the same and is refused.
  constexpr std::size_t version = 3;
  REQUIRE(encoded[version] == 5);
  Bytes wide = encoded;
  wide[version] = 0xcc;
  wide.insert(wide.begin() + version + 1, 5);
  CHECK_FALSE(Outcome::decode(wide).has_value());
  Bytes newer = encoded;
  newer[version] = 6;
  const auto result = Outcome::decode(newer);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().message == "outcome: format version 6 is unknown here");
  // Whatever fields another version has.
  Bytes older = encoded;
  older[version - 1] = 17;
  older[version] = 4;
  CHECK(Outcome::decode(older).error().message == "outcome: format version 4 is unknown here");
}

TEST_CASE("cut, flipped and random bytes never decode to another certificate with the same votes") {
  const auto keys = make_keys(3);
  const Certificate certificate = certify(rich_outcome(), keys);
  const Bytes encoded = certificate.encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    CHECK_FALSE(Certificate::decode(ByteView(encoded).first(size)).has_value());
  }
  const Roster roster(ids_of(keys));
  REQUIRE(certificate.verify(roster).has_value());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    Bytes flipped = encoded;
    flipped[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    const auto decoded = Certificate::decode(flipped);
    if (decoded) CHECK_FALSE(decoded->verify(roster).has_value());
  }
  crypto::SeededRng rng(std::uint64_t{7});
  for (int i = 0; i < 2000; ++i) {
    Bytes garbage(static_cast<std::size_t>(rng.below(200)));
    rng.fill(garbage);
    if (!garbage.empty()) garbage[0] = i % 2 ? 0x93 : 0x9e;
    CHECK_FALSE(Certificate::decode(garbage).has_value());
    CHECK_FALSE(Outcome::decode(garbage).has_value());
  }
}

TEST_CASE("a certificate holds by valid votes of members only, and says whose does not") {
  const auto keys = make_keys(4);
  const auto strangers = make_keys(1, 99);
  const Roster roster(ids_of(keys));
  Outcome outcome = rich_outcome();
  outcome.present = ids_of(keys);
  CHECK(certify(outcome, {&keys[0], &keys[1], &keys[2]}).verify(roster).has_value());
  CHECK_FALSE(certify(outcome, {&keys[0], &keys[1]}).verify(roster).has_value());

  Certificate forged = certify(outcome, keys);
  forged.votes[1].signature = forged.votes[2].signature;
  const auto result = forged.verify(roster);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::authentication);
  CHECK(result.error().message.find(keys[1].peer_id().short_text()) != std::string::npos);

  const Certificate foreign = certify(outcome, {&keys[0], &keys[1], &keys[2], &strangers[0]});
  CHECK_FALSE(foreign.verify(roster).has_value());
  // A vote for one outcome is none for another.
  Certificate moved = certify(outcome, keys);
  moved.outcome.samples += 1;
  CHECK_FALSE(moved.verify(roster).has_value());
}

TEST_CASE(
    "while a run is founding, two hostile names do not outvote its lone founder, nor do dead ones hold it "
    "up") {
  const auto founders = make_keys(1);
  const auto others = make_keys(2, 2);
  const Roster roster = roster_of(founders, others);
  const auto all = join(ids_of(founders), ids_of(others));
  CHECK(roster.founding());
  CHECK_FALSE(is_quorum(roster, all, ids_of(others)));
  CHECK_FALSE(is_quorum(roster, {}, ids_of(others)));
  CHECK_FALSE(is_quorum(roster, all, ids_of(founders)));  // the founder alone, against two that are there
  CHECK(is_quorum(roster, all, {founders[0].peer_id(), others[0].peer_id()}));
  CHECK(is_quorum(roster, ids_of(founders), ids_of(founders)));  // both others are dead
  CHECK(is_quorum(roster, {founders[0].peer_id(), others[0].peer_id()},
                  ids_of(founders)));              // a tie is the founder's
  CHECK(is_quorum(roster, {}, ids_of(founders)));  // nobody agreed on anything
}

TEST_CASE("with several founders more than half of them must sign, and a signer counts once") {
  const auto founders = make_keys(4);
  const auto strangers = make_keys(3, 3);
  const Roster roster{ids_of(founders)};
  const auto all = ids_of(founders);
  CHECK_FALSE(is_quorum(roster, {}, {all[0], all[1]}));
  CHECK_FALSE(is_quorum(roster, {}, {all[0], all[1], all[1], all[0]}));
  CHECK_FALSE(is_quorum(roster, {}, join({all[0], all[1]}, ids_of(strangers))));
  CHECK(is_quorum(roster, all, {all[0], all[1], all[3]}));
}

TEST_CASE("once founded, more than half of the weight signs, founders or not, whoever was present") {
  const auto founders = make_keys(1);
  const auto others = make_keys(15, 2);
  const Roster roster = roster_of(founders, others);
  CHECK_FALSE(roster.founding());
  auto signers = ids_of(others);
  signers.resize(8);
  CHECK_FALSE(is_quorum(roster, {}, signers));
  signers = ids_of(others);
  signers.resize(9);
  CHECK(is_quorum(roster, {}, signers));
  CHECK_FALSE(is_quorum(Roster(), {}, {}));
}
