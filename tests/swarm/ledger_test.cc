#include "swarm/ledger.h"

#include "net/storage/faulty_storage.h"
#include "net/storage/memory_storage.h"
#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;

namespace {

struct Fixture {
  std::vector<KeyPair> keys = make_keys(3);
  SignedManifest manifest = make_signed_manifest(keys);
  RunId run = manifest.manifest.run_id();
  net::MemoryStorage storage;

  std::unique_ptr<Ledger> open() {
    auto ledger = Ledger::open(storage, manifest);
    REQUIRE_MESSAGE(ledger.has_value(), (ledger ? "" : ledger.error().message));
    return *std::move(ledger);
  }
  Certificate next(const Chain& chain, OutcomeKind kind = OutcomeKind::apply) const {
    return certify(next_outcome(chain, run, kind), keys);
  }
  void extend(Ledger& ledger, int rounds) const {
    for (int i = 0; i < rounds; ++i) REQUIRE(ledger.append(next(ledger.chain())).has_value());
  }
};

bool says(const Result<void>& result, std::string_view text) {
  return !result && result.error().message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "a chain starts at the manifest, APPLY moves to the next round, VOID to the next attempt") {
  Chain chain(manifest.manifest);
  CHECK(chain.head() == run);
  CHECK(chain.height() == 0);
  CHECK(chain.next_round() == RoundNumber(1));
  CHECK(chain.state_root() == Digest{});
  REQUIRE(chain.append(next(chain, OutcomeKind::voided)).has_value());
  CHECK(chain.next_round() == RoundNumber(1));
  CHECK(chain.next_attempt() == Attempt(1));
  CHECK(chain.state_root() == Digest{});
  const Certificate applied = next(chain);
  REQUIRE(chain.append(applied).has_value());
  CHECK(chain.next_round() == RoundNumber(2));
  CHECK(chain.next_attempt() == Attempt(0));
  CHECK(chain.height() == 2);
  CHECK(chain.head() == applied.outcome.digest());
  CHECK(chain.beacon() == beacon_after(applied.outcome));
  CHECK(chain.state_root() == applied.outcome.state);
}

TEST_CASE_FIXTURE(Fixture, "a chain counts the VOIDs of a round that removed nobody, and tells evidence") {
  Chain chain(manifest.manifest);
  const auto void_without = [&](std::vector<Removal> removed) {
    Outcome outcome = next_outcome(chain, run, OutcomeKind::voided);
    outcome.removed = std::move(removed);
    REQUIRE(chain.append(certify(outcome, {&keys[0], &keys[1]})).has_value());
  };
  void_without({});
  CHECK(chain.fruitless_voids() == 1);
  void_without({{keys[2].peer_id(), Fault::silent, {}}});
  CHECK(chain.fruitless_voids() == 1);
  CHECK(chain.next_attempt() == Attempt(2));
  CHECK(chain.context_of(next_outcome(chain, run)).fruitless_voids == 1);
  const auto apply = [&] {
    REQUIRE(chain.append(certify(next_outcome(chain, run), {&keys[0], &keys[1]})).has_value());
  };
  apply();
  CHECK(chain.fruitless_voids() == 0);
  apply();
  const auto earlier = chain.context_of(next_outcome(chain, run)).earlier;
  REQUIRE(earlier.size() == 2);
  CHECK(earlier[0].fruitless_voids == 1);
  CHECK(earlier[1].fruitless_voids == 0);
}

// As another version has it that counts other fields.
Bytes of_format(std::uint8_t version, const Outcome& outcome) {
  Bytes encoded = outcome.encode();
  constexpr std::size_t at = 3;  // behind the number of fields
  REQUIRE(encoded[at] == Outcome::format_version);
  encoded[at - 1] -= 2;
  encoded[at] = version;
  return encoded;
}

TEST_CASE_FIXTURE(Fixture, "what another version wrote is not damaged: the error says so, and what to do") {
  const auto refusal = [this] {
    const auto opened = Ledger::open(storage, manifest);
    REQUIRE_FALSE(opened.has_value());
    return opened.error();
  };
  const auto check_refusal = [&] {
    const Error error = refusal();
    CAPTURE(error.message);
    CHECK(error.code == ErrorCode::refused);
    CHECK(error.message.find("another version of testudo wrote it (format 4,") != std::string::npos);
    CHECK(error.message.find("go on with that version") != std::string::npos);
    CHECK(error.message.find("damaged") == std::string::npos);
    CHECK(error.message.find("copy") == std::string::npos);
  };
  extend(*open(), 1);
  const std::string first = "ledger/0000000000000000";
  const Bytes good = *(*storage.get(first));
  const auto whole = Certificate::decode(good);
  REQUIRE(whole.has_value());
  Bytes old = good;
  // The certificate's version is its second byte, and says the same as the outcome's.
  const Bytes outcome = whole->outcome.encode();
  const auto place = std::ranges::search(old, outcome).begin();
  REQUIRE(place != old.end());
  std::ranges::copy(of_format(4, whole->outcome), place);
  old[1] = 4;
  REQUIRE(Certificate::version_in(old) == 4);
  REQUIRE(storage.put(first, old).has_value());
  check_refusal();
  // One of the two alone is a flipped bit.
  Bytes flipped = good;
  flipped[1] = 4;
  REQUIRE(storage.put(first, flipped).has_value());
  CHECK(refusal().code == ErrorCode::corrupt);
  REQUIRE(storage.put(first, good).has_value());
  REQUIRE(Ledger::open(storage, manifest).has_value());
  // A vote in the first round, before there is any certificate.
  Bytes vote = of_format(4, whole->outcome);
  append(vote, crypto::Hasher("testudo/stored/1").bytes(as_bytes("vote")).bytes(vote).finish());
  REQUIRE(storage.write({{first, std::nullopt}}).has_value());
  REQUIRE(storage.put("vote", vote).has_value());
  check_refusal();
}

TEST_CASE("a VOID that takes only seats without a vote, which are free, has removed nobody") {
  const auto keys = make_keys(founding_size);
  const KeyPair name = std::move(make_keys(1, 2).front());
  Manifest manifest = make_manifest(ids_of(keys));
  manifest.validators = 1;
  Chain chain(manifest);
  Outcome outcome = next_outcome(chain, manifest.run_id());
  outcome.admitted = {{name.peer_id(), false}};
  REQUIRE(chain.append(certify(outcome, keys)).has_value());
  REQUIRE_FALSE(chain.roster().votes(name.peer_id()));
  outcome = next_outcome(chain, manifest.run_id(), OutcomeKind::voided);
  outcome.removed = {{name.peer_id(), Fault::absent, {}}};
  REQUIRE(chain.append(certify(outcome, keys)).has_value());
  CHECK(chain.fruitless_voids() == 1);
  outcome = next_outcome(chain, manifest.run_id(), OutcomeKind::voided);
  outcome.removed = {{keys[3].peer_id(), Fault::absent, {}}};
  REQUIRE(chain.append(certify(outcome, keys)).has_value());
  CHECK(chain.fruitless_voids() == 1);
}

TEST_CASE_FIXTURE(Fixture, "what does not continue the chain is refused, and the error says why") {
  Chain chain(manifest.manifest);
  REQUIRE(chain.append(next(chain)).has_value());
  const Outcome good = next_outcome(chain, run);
  const auto stranger = make_keys(1, 50)[0].peer_id();
  const auto attempt = [&](auto&& change) {
    Outcome outcome = good;
    change(outcome);
    Chain copy = chain;
    const auto result = copy.append(certify(outcome, keys));
    CHECK(copy.height() == (result ? 2 : 1));
    return result;
  };
  CHECK(attempt([](Outcome&) {}).has_value());
  CHECK(says(attempt([](Outcome& o) { o.run = digest_of("x"); }), "another run"));
  CHECK(says(attempt([](Outcome& o) { o.round = o.round.next(); }), "round 2 is next"));
  CHECK(says(attempt([](Outcome& o) { o.attempt = o.attempt.next(); }), "attempt 0 is next"));
  CHECK(says(attempt([](Outcome& o) { o.previous = digest_of("x"); }), "another outcome"));
  CHECK(says(attempt([&](Outcome& o) { o.present = {stranger}; }), "no member"));
  CHECK(says(attempt([&](Outcome& o) { o.removed = {{stranger, Fault::absent, {}}}; }), "no member"));
  CHECK(says(attempt([&](Outcome& o) { o.strikes = {{keys[0].peer_id(), StrikeReason::late, stranger}}; }),
             "no member"));
  CHECK(says(attempt([&](Outcome& o) { o.admitted = {{keys[1].peer_id(), false}}; }), "member already"));
  CHECK(attempt([&](Outcome& o) { o.audited = {keys[1].peer_id()}; }).has_value());
  CHECK(says(attempt([&](Outcome& o) { o.audited = {stranger}; }), "no member"));
  CHECK(says(attempt([&](Outcome& o) {
               o.removed = {{keys[1].peer_id(), Fault::silent, {}}};
               o.audited = {keys[1].peer_id()};
             }),
             "does not stay one"));
  CHECK(says(attempt([&](Outcome& o) { o.present.clear(); }), "without contributors"));
  CHECK(says(chain.append(certify(good, {&keys[0]})), "no quorum"));

  // Banned once, never admitted again.
  Outcome ban = good;
  ban.removed = {{keys[2].peer_id(), Fault::malformed, digest_of("proof")}};
  REQUIRE(chain.append(certify(ban, keys)).has_value());
  Outcome again = next_outcome(chain, run);
  again.admitted = {{keys[2].peer_id(), false}};
  CHECK(says(chain.append(certify(again, {&keys[0], &keys[1]})), "banned"));
}

TEST_CASE_FIXTURE(Fixture,
                  "who lost its seat can be banned for two rounds more, and nobody else without one") {
  const PeerId gone = keys[2].peer_id();
  const std::vector<const KeyPair*> others{&keys[0], &keys[1]};
  Chain chain(manifest.manifest);
  Outcome lost = next_outcome(chain, run);
  lost.removed = {{gone, Fault::silent, {}}};
  REQUIRE(chain.append(certify(lost, others)).has_value());
  const auto after = [&](Chain from, std::vector<Removal> removed, std::vector<Admission> admitted = {}) {
    Outcome outcome = next_outcome(from, run);
    outcome.removed = std::move(removed);
    outcome.admitted = std::move(admitted);
    auto appended = from.append(certify(outcome, others));
    if (appended) CHECK(from.roster().is_banned(gone));
    if (appended) CHECK(from.roster().size() == 2);
    return appended;
  };
  const Removal ban{gone, Fault::wrong_contribution, digest_of("proof")};
  const Removal stranger{make_keys(1, 50)[0].peer_id(), Fault::wrong_contribution, digest_of("proof")};
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    CHECK(after(chain, {ban}).has_value());
    CHECK(says(after(chain, {{gone, Fault::silent, {}}}), "no member"));  // it has no seat to lose
    CHECK(says(after(chain, {stranger}), "no member"));
    CHECK(says(after(chain, {ban}, {{gone, false}}), "banned"));
    if (round == 0) {
      Outcome voided = next_outcome(chain, run, OutcomeKind::voided);
      voided.present = next_outcome(chain, run).present;  // a plain VOID would give it its seat back
      REQUIRE(chain.append(certify(voided, others)).has_value());
    }
    CHECK(after(chain, {ban}).has_value());
    REQUIRE(chain.append(certify(next_outcome(chain, run), others)).has_value());
  }
  CHECK(says(after(chain, {ban}), "no member"));
}

TEST_CASE_FIXTURE(Fixture, "a ledger that is opened again has the same chain, position and vote") {
  auto ledger = open();
  extend(*ledger, 5);
  REQUIRE(ledger->append(next(ledger->chain(), OutcomeKind::voided)).has_value());
  REQUIRE(ledger->remember_entered({RoundNumber(6), Attempt(1)}).has_value());
  const Outcome vote = next_outcome(ledger->chain(), run);
  REQUIRE(ledger->remember_vote(vote).has_value());
  const Digest head = ledger->chain().head();
  const auto all = ledger->read(0, 100);
  REQUIRE(all.has_value());
  CHECK(all->size() == 6);

  ledger = open();
  CHECK(ledger->chain().head() == head);
  CHECK(ledger->chain().height() == 6);
  CHECK(ledger->chain().next_attempt() == Attempt(1));
  CHECK(ledger->entered() == Ledger::Position{RoundNumber(6), Attempt(1)});
  REQUIRE(ledger->voted().has_value());
  CHECK(ledger->voted()->digest() == vote.digest());
  const auto two = ledger->read(4, 2);
  REQUIRE(two.has_value());
  CHECK(*two == std::vector<Bytes>{all->at(4), all->at(5)});
  CHECK(ledger->read(6, 2)->empty());
  CHECK(ledger->read(5, 9)->size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a data directory of another run is refused with the way out") {
  open();
  auto other_manifest = manifest.manifest;
  other_manifest.name = "another run";
  const auto other = SignedManifest::sign(other_manifest, keys[0]);
  const auto result = Ledger::open(storage, other);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::refused);
  CHECK(result.error().message.starts_with("this data directory belongs to run "));
  CHECK(result.error().message.ends_with(": use another --data directory"));
}

TEST_CASE_FIXTURE(
    Fixture,
    "a write that fails changes nothing, in memory or on disk, and the next one goes on from there") {
  net::FaultyStorage disk(storage);
  auto opened = Ledger::open(disk, manifest);
  REQUIRE(opened.has_value());
  const auto ledger = std::move(*opened);
  extend(*ledger, 2);
  const Digest head = ledger->chain().head();
  const Certificate certificate = next(ledger->chain());
  std::vector<net::Storage::Entry> state{{"state", to_bytes("bytes")}};
  disk.plan(1, net::FaultyStorage::Fault::refused);
  CHECK(ledger->append(certificate, state).error().code == ErrorCode::io);
  CHECK(ledger->chain().head() == head);
  disk.plan(1, net::FaultyStorage::Fault::refused);
  CHECK_FALSE(ledger->remember_entered({RoundNumber(3), Attempt(0)}).has_value());
  CHECK_FALSE(ledger->entered().has_value());
  disk.plan(1, net::FaultyStorage::Fault::refused);
  CHECK_FALSE(ledger->remember_vote(certificate.outcome).has_value());
  CHECK_FALSE(ledger->voted().has_value());

  CHECK(open()->chain().head() == head);
  CHECK_FALSE(storage.get("state")->has_value());
  REQUIRE(ledger->append(certificate, state).has_value());
  CHECK(storage.get("state")->has_value());
  CHECK(open()->chain().height() == 3);
  // A certificate that does not check writes nothing either.
  const auto writes = disk.writes();
  CHECK_FALSE(ledger->append(certificate).has_value());
  CHECK(disk.writes() == writes);
}

TEST_CASE_FIXTURE(Fixture, "torn or flipped bytes in storage are found as corrupt, wherever they are") {
  {
    auto ledger = open();
    extend(*ledger, 2);
    REQUIRE(ledger->remember_entered({RoundNumber(3), Attempt(0)}).has_value());
    REQUIRE(ledger->remember_vote(next_outcome(ledger->chain(), run)).has_value());
  }
  const auto entries = storage.list("");
  REQUIRE(entries.has_value());
  CHECK(entries->size() == 5);
  const auto is_corrupt = [&] {
    const auto result = Ledger::open(storage, manifest);
    return !result && result.error().code == ErrorCode::corrupt;
  };
  for (const auto& [key, value] : *entries) {
    CAPTURE(key);
    for (std::size_t i = 0; i < value.size(); i += 7) {
      Bytes flipped = value;
      flipped[i] ^= 0x10;
      REQUIRE(storage.put(key, flipped).has_value());
      CHECK(is_corrupt());
    }
    for (const std::size_t size : {std::size_t{0}, value.size() / 2, value.size() - 1}) {
      REQUIRE(storage.put(key, Bytes(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(size)))
                  .has_value());
      CHECK(is_corrupt());
    }
    REQUIRE(storage.put(key, value).has_value());
  }
  CHECK_FALSE(is_corrupt());
  REQUIRE(storage.write({{"ledger/0000000000000000", std::nullopt}}).has_value());
  CHECK(is_corrupt());
}

TEST_CASE_FIXTURE(Fixture,
                  "a member signs one outcome for an attempt and never goes back to an earlier one") {
  auto ledger = open();
  const Outcome vote = next_outcome(ledger->chain(), run);
  // One that could not be read back would make the ledger unreadable.
  Outcome unreadable = vote;
  unreadable.round = RoundNumber(0);
  CHECK_FALSE(ledger->remember_vote(unreadable).has_value());
  REQUIRE(ledger->remember_vote(vote).has_value());
  CHECK(ledger->remember_vote(vote).has_value());
  const Outcome other = next_outcome(ledger->chain(), run, OutcomeKind::voided);
  CHECK(ledger->remember_vote(other).error().code == ErrorCode::refused);
  CHECK(open()->remember_vote(other).error().code == ErrorCode::refused);

  REQUIRE(ledger->remember_entered({RoundNumber(2), Attempt(1)}).has_value());
  CHECK(ledger->remember_entered({RoundNumber(2), Attempt(1)}).has_value());
  CHECK(ledger->remember_entered({RoundNumber(2), Attempt(0)}).error().code == ErrorCode::refused);
  CHECK(ledger->remember_entered({RoundNumber(3), Attempt(0)}).has_value());
}

namespace {

// Two founders ban the third for a message that it signed.
struct BanFixture : Fixture {
  Evidence evidence_in(const Chain& chain) const { return evidence_against(keys[2], chain, run); }
  Certificate ban(const Chain& chain, const Evidence& evidence) const {
    return ban_on(evidence, chain, run, {&keys[0], &keys[1]});
  }
};

}  // namespace

TEST_CASE_FIXTURE(BanFixture,
                  "a certificate and the evidence for its bans are on disk together, or neither is") {
  using Kind = net::FaultyStorage::Fault;
  for (const Kind kind : {Kind::refused, Kind::in_doubt, Kind::death_before, Kind::death_after}) {
    CAPTURE(static_cast<int>(kind));
    storage = {};
    extend(*open(), 2);
    net::FaultyStorage disk(storage);
    auto ledger = Ledger::open(disk, manifest);
    REQUIRE(ledger.has_value());
    const Evidence evidence = evidence_in((*ledger)->chain());
    disk.plan(1, kind);
    CHECK_FALSE((*ledger)->append(ban((*ledger)->chain(), evidence), {}, {evidence}).has_value());
    const bool written = kind == Kind::in_doubt || kind == Kind::death_after;
    const auto again = open();
    CHECK(again->chain().height() == (written ? 3 : 2));
    CHECK(again->unproven().empty());
    const auto kept = again->read_evidence(2, evidence.name);
    REQUIRE(kept.has_value());
    REQUIRE(kept->has_value() == written);
    if (written) CHECK(**kept == evidence.encode());
  }
}

TEST_CASE_FIXTURE(
    BanFixture,
    "a ban that came without its evidence is asked for, also after a restart, until it is there") {
  auto ledger = open();
  extend(*ledger, 1);
  const Evidence evidence = evidence_in(ledger->chain());
  Evidence of_another_ban = evidence;
  of_another_ban.name[0] ^= 1;
  REQUIRE(ledger->append(ban(ledger->chain(), evidence), {}, {of_another_ban}).has_value());
  CHECK_FALSE(ledger->read_evidence(1, of_another_ban.name)->has_value());
  ledger = open();
  REQUIRE(ledger->unproven().size() == 1);
  const Ledger::Unproven ban = ledger->unproven().front();
  CHECK(ban.removal.peer == evidence.offender);
  CHECK(ban.context->height == 1);
  CHECK(ban.context->outcome.round == RoundNumber(2));
  CHECK(ban.context->roster->size() == 3);
  REQUIRE(ban.context->earlier.size() == 1);
  CHECK(ban.context->earlier[0].round == RoundNumber(1));
  REQUIRE(ledger->keep_evidence(ban, evidence).has_value());
  CHECK(ledger->unproven().empty());
  CHECK(open()->unproven().empty());
  CHECK(**open()->read_evidence(1, evidence.name) == evidence.encode());
}

TEST_CASE_FIXTURE(BanFixture,
                  "evidence decodes from its one encoding only, and from nothing that bans nobody") {
  const Evidence evidence = evidence_in(Chain(manifest.manifest));
  const Bytes encoded = evidence.encode();
  REQUIRE(Evidence::decode(encoded).has_value());
  CHECK(Evidence::decode(encoded)->encode() == encoded);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    CHECK_FALSE(Evidence::decode(ByteView(encoded).first(size)).has_value());
  }
  Bytes longer = encoded;
  longer.push_back(0);
  CHECK_FALSE(Evidence::decode(longer).has_value());
  Evidence changed = evidence;
  changed.fault = Fault::silent;
  CHECK_FALSE(Evidence::decode(changed.encode()).has_value());
  changed = evidence;
  changed.contributors = {keys[1].peer_id(), keys[0].peer_id()};
  CHECK_FALSE(Evidence::decode(changed.encode()).has_value());
  changed = evidence;
  changed.messages.resize(evidence_message_limit + 1, evidence.messages[0]);
  CHECK_FALSE(Evidence::decode(changed.encode()).has_value());
}
