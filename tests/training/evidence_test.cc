// Evidence: after a swarm has banned somebody, the ledger of every honest member proves it offline, and
// whatever is changed in it is found.
#include "crypto/base/encoding.h"
#include "tests/training/sim_testing.h"
#include "training/round/ledger_audit.h"
#include "training/round/payloads.h"
#include "training/round/verify_evidence.h"
#include "training/simulation/false_statements.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {
namespace {

using swarm::Fault;
using swarm::Phase;

constexpr std::uint64_t from_round = 4;

// Says something that no phase has room for.
class Malformed final : public Misconduct {
 public:
  explicit Malformed(Phase phase) : phase_(phase) {}
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round.value() >= from_round && key.phase == phase_) payload = Bytes{0xc1};
  }

 private:
  Phase phase_;
};

// Its reports in CHECK are fewer than there are parts; well formed otherwise.
class FewReports final : public Misconduct {
 public:
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round.value() < from_round || key.phase != Phase::check) return;
    auto check = CheckPayload::decode(payload);
    REQUIRE(check.has_value());
    check->parts.pop_back();
    payload = check->encode();
  }
};

// Its results do not decode, and have the hash that it signs for.
class SpoiltResults final : public Misconduct {
 public:
  void on_result(swarm::RoundNumber round, const PartRange&, Buffer& encoded) override {
    if (round.value() >= from_round) std::ranges::fill(encoded, std::uint8_t{0xff});
  }
};

Behaviour misbehaving(std::string name, std::shared_ptr<Misconduct> misconduct) {
  return {.name = std::move(name), .tamper = {}, .hear = {}, .misconduct = std::move(misconduct)};
}

SwarmOptions small_swarm(std::string rule = "centered_clip") {
  return {.founders = 3,
          .joiners = 2,
          .dimension = 200,
          .rounds = 8,
          .start_members = 5,
          .rule = std::move(rule)};
}
SwarmOptions validated_swarm(std::uint64_t seed) {
  return {.founders = 3,
          .joiners = 5,
          .dimension = 200,
          .rounds = 60,
          .start_members = 8,
          .validators = 2,
          .evaluate_every = 0,
          .seed = seed};
}

struct Audited {
  LedgerAudit whole;
  std::vector<BanAudit> bans;
};
Audited audit(net::Storage& storage, const swarm::Manifest& manifest) {
  const auto rules = RoundRules::make(manifest);
  REQUIRE(rules.has_value());
  Audited found;
  found.whole = audit_ledger(storage, *rules, [&](const CertificateAudit& entry) {
    found.bans.insert(found.bans.end(), entry.bans.begin(), entry.bans.end());
  });
  return found;
}

// The last member breaks the rules until the others have ended.
std::unique_ptr<SimSwarm> swarm_with(const Behaviour& behaviour, const SwarmOptions& options) {
  auto swarm = std::make_unique<SimSwarm>(options);
  const std::size_t liar = swarm->size() - 1;
  swarm->member(liar).behaviour = behaviour;
  swarm->start_all();
  const auto honest_ended = [&] {
    for (std::size_t i = 0; i < liar; ++i) {
      if (!swarm->member(i).ended) return false;
    }
    return true;
  };
  REQUIRE(run_until(*swarm, honest_ended, 120min));
  return swarm;
}

struct Ban {
  swarm::EvidenceContext context;
  swarm::Removal removal;
  swarm::Evidence evidence;
  std::shared_ptr<const RoundRules> rules;
  Result<Finding> judge() const { return verify_evidence(evidence, removal, context, *rules); }
};
// The first one that the ledger holds, which is whole.
Ban first_ban(net::Storage& storage, const swarm::Manifest& manifest) {
  auto reader = swarm::LedgerReader::open(storage, manifest);
  REQUIRE(reader.has_value());
  while (true) {
    auto entry = reader->next();
    REQUIRE((entry && *entry));
    for (const auto& removal : (*entry)->certificate.outcome.removed) {
      auto evidence = reader->evidence((*entry)->context.height, removal.evidence);
      REQUIRE((evidence && *evidence));
      return {(*entry)->context, removal, **evidence, *RoundRules::make(manifest)};
    }
  }
}

// What is kept of evidence from others proves as much, and nothing rides along.
void check_needed(const Ban& ban) {
  const auto needed = needed_evidence(ban.evidence, ban.removal, ban.context, *ban.rules);
  REQUIRE(needed.has_value());
  const auto finding = verify_evidence(*needed, ban.removal, ban.context, *ban.rules);
  REQUIRE(finding.has_value());
  CHECK(finding->proven == ban.judge()->proven);
  CHECK(needed->encode().size() <= ban.evidence.encode().size());
  Ban padded = ban;
  for (std::uint32_t part = 1000; part < 1010; ++part) {
    padded.evidence.show({swarm::Evidence::Kind::result, part, ban.evidence.offender}, Bytes(10'000, 7));
  }
  if (!padded.evidence.state) padded.evidence.state = swarm::Evidence::StatePiece{1, {}, 0, {Bytes(9'000)}};
  const auto stripped = needed_evidence(padded.evidence, padded.removal, padded.context, *padded.rules);
  REQUIRE(stripped.has_value());
  CHECK(stripped->encode() == needed->encode());
}

// That every honest member can show this ban to anybody.
std::unique_ptr<SimSwarm> check_ban(const Behaviour& behaviour, Fault fault, Proof proof,
                                    const SwarmOptions& options) {
  CAPTURE(behaviour.name);
  auto swarm = swarm_with(behaviour, options);
  for (std::size_t i = 0; i + 1 < swarm->size(); ++i) {
    CAPTURE(i);
    const Audited found = audit(swarm->member(i).storage, swarm->manifest());
    CHECK_MESSAGE(!found.whole.broken, found.whole.broken->cause);
    CHECK(found.whole.rounds == swarm::RoundNumber(options.rounds));
    CHECK(found.whole.state_on_disk);
    REQUIRE(found.bans.size() == 1);
    CHECK(found.bans[0].removal.peer == swarm->member(swarm->size() - 1).host->id());
    CHECK(found.bans[0].removal.fault == fault);
    CHECK_MESSAGE(found.bans[0].proof == proof, found.bans[0].text);
    check_needed(first_ban(swarm->member(i).storage, swarm->manifest()));
  }
  return swarm;
}

TEST_CASE("what signed messages and shown bytes prove, every honest member's ledger proves offline") {
  const SwarmOptions options = small_swarm();
  SimSwarm names(options);
  check_ban(equivocate({.manifest = names.manifest(),
                        .identity = names.member(4).host->identity(),
                        .from_round = from_round,
                        .collusion = nullptr,
                        .flipped = nullptr}),
            Fault::equivocation, Proof::proven, options);
  check_ban(wrong_reveal(from_round), Fault::wrong_reveal, Proof::proven, options);
  check_ban(wrong_sketch(from_round), Fault::wrong_sketch, Proof::proven, options);
  for (const double shift : {0.5, 1000.0}) {
    check_ban(wrong_aggregate(CodecKind::int8, shift, from_round), Fault::wrong_aggregate, Proof::proven,
              options);
  }
  for (const char* rule : {"centered_clip", "mean", "krum", "bucketing:2+nnm+trimmed_mean"}) {
    check_ban(no_result(from_round), Fault::wrong_aggregate, Proof::proven, small_swarm(rule));
  }
}

TEST_CASE("malformed messages of every phase, and results that do not decode, are kept and judged again") {
  for (const Phase phase : {Phase::commit, Phase::reduce, Phase::reveal, Phase::check}) {
    check_ban(misbehaving("malformed " + std::string(name(phase)), std::make_shared<Malformed>(phase)),
              Fault::malformed, Proof::proven, small_swarm());
  }
  check_ban(wrong_samples(1'000'000, from_round), Fault::malformed, Proof::proven, small_swarm());
  check_ban(misbehaving("few reports", std::make_shared<FewReports>()), Fault::malformed, Proof::proven,
            small_swarm());
  SwarmOptions fp32 = small_swarm();
  fp32.codec = "fp32";
  check_ban(misbehaving("spoilt results", std::make_shared<SpoiltResults>()), Fault::malformed, Proof::proven,
            fp32);
}

TEST_CASE("what validators and reducers lie about is proven; what a quorum measured is attested, no more") {
  check_ban(lazy_validation(from_round), Fault::wrong_sketch, Proof::proven, validated_swarm(4));
  check_ban(wrong_holding(from_round), Fault::wrong_sketch, Proof::proven, validated_swarm(5));
  check_ban(false_accusation(from_round), Fault::false_accusation, Proof::attested, validated_swarm(3));
  check_ban(*poisoned({.kind = "sign_flip"}), Fault::wrong_contribution, Proof::attested, validated_swarm(1));
}

TEST_CASE("a result that no contributions can have is proven by those that were shown") {
  check_ban(hidden_aggregate(CodecKind::int8, 1000, from_round), Fault::wrong_aggregate, Proof::proven,
            small_swarm());
}

TEST_CASE("the ban of who had given up its seat stands in every ledger, with its evidence") {
  // By a VOID it changes the attempt that its validator speaks in, which evidence has to draw again.
  for (const auto& [behaviour, seed] : {std::pair(flee(from_round), 2U), {flee_by_void(from_round), 10U}}) {
    CAPTURE(behaviour.name);
    const auto swarm = swarm_with(behaviour, validated_swarm(seed));
    for (std::size_t i = 0; i + 1 < swarm->size(); ++i) {
      CAPTURE(i);
      const Audited found = audit(swarm->member(i).storage, swarm->manifest());
      CHECK_MESSAGE(!found.whole.broken, found.whole.broken->cause);
      REQUIRE(found.bans.size() == 1);
      CHECK(found.bans[0].removal.peer == swarm->member(swarm->size() - 1).host->id());
      CHECK(found.bans[0].removal.fault == Fault::wrong_contribution);
      CHECK(found.bans[0].proof == Proof::attested);
      if (behaviour.name == "flee")  // who voids may be back by then
        CHECK(found.bans[0].text.ends_with("it had lost its seat before"));
    }
  }
}

TEST_CASE("what an audit finds two rounds later is proven by the bytes of the round that it is about") {
  Picked picked;
  for (const char* rule : {"centered_clip", "mean", "krum", "bucketing:2+nnm+trimmed_mean"}) {
    if (!picked.next()) continue;
    CAPTURE(rule);
    SwarmOptions options = validated_swarm(11);
    options.rule = rule;
    check_ban(wrong_aggregate(CodecKind::int8, 0.01, from_round), Fault::wrong_aggregate, Proof::proven,
              options);
  }
  const auto swarm =
      check_ban(false_audit(from_round), Fault::false_accusation, Proof::proven, validated_swarm(12));
  const Ban ban = first_ban(swarm->member(0).storage, swarm->manifest());
  const auto refused = [&](const char* what, const std::function<void(Ban&)>& change) {
    Ban changed = ban;
    change(changed);
    CHECK_MESSAGE(!changed.judge(), what);
  };
  refused("another fault", [](Ban& b) { b.evidence.fault = b.removal.fault = Fault::wrong_contribution; });
  refused("no contributors", [](Ban& b) { b.evidence.contributors.clear(); });
  refused("a contributor less", [](Ban& b) { b.evidence.contributors.pop_back(); });
  refused("a contribution less", [](Ban& b) { b.evidence.shown.pop_back(); });
  refused("a COMMIT less", [](Ban& b) { b.evidence.messages.pop_back(); });
  refused("another part", [](Ban& b) { b.evidence.part ^= 1; });
  refused("another draw", [](Ban& b) { b.context.earlier[1].beacon[0] ^= 1; });
  refused("an earlier round less", [](Ban& b) { b.context.earlier.erase(b.context.earlier.begin()); });
  refused("it was right", [](Ban& b) { b.context.earlier[0].results[b.evidence.part][0] ^= 1; });
  Ban shortened = ban;
  shortened.evidence.shortened = true;
  shortened.evidence.shorten();
  const auto finding = shortened.judge();
  REQUIRE(finding.has_value());
  CHECK_FALSE(finding->proven);
}

TEST_CASE("a member that was not there when somebody was banned gets the evidence from others") {
  SwarmOptions options = small_swarm();
  options.start_members = 4;
  SimSwarm swarm(options);
  constexpr std::size_t late = 3;
  constexpr std::size_t liar = 4;
  swarm.member(liar).behaviour = wrong_aggregate(CodecKind::int8, 3, from_round);
  for (const std::size_t i : {0U, 1U, 2U, 4U}) swarm.start(i);
  REQUIRE(run_until(swarm, [&] { return !swarm.member(0).removals.empty(); }, 60min));
  swarm.start(late);
  const auto ended = [&] { return swarm.member(0).ended && swarm.member(late).ended; };
  REQUIRE(run_until(swarm, ended, 60min));
  const Audited found = audit(swarm.member(late).storage, swarm.manifest());
  CHECK_FALSE(found.whole.broken);
  REQUIRE(found.bans.size() == 1);
  CHECK(found.bans[0].proof == Proof::proven);
}

// A swarm whose last member published a wrong aggregate: all kinds of pieces are in its evidence.
SimSwarm& example() {
  static const std::unique_ptr<SimSwarm> swarm =
      swarm_with(wrong_aggregate(CodecKind::int8, 3, from_round), small_swarm());
  return *swarm;
}

TEST_CASE("evidence with anything else in it shows nothing") {
  const Ban ban = first_ban(example().member(0).storage, example().manifest());
  REQUIRE(ban.judge().has_value());
  CHECK(ban.judge()->proven);
  const auto refused = [&](const char* what, const std::function<void(Ban&)>& change) {
    Ban changed = ban;
    change(changed);
    CHECK_MESSAGE(!changed.judge(), what);
  };
  refused("another ban's", [](Ban& b) { b.removal.evidence[0] ^= 1; });
  refused("another fault", [](Ban& b) { b.evidence.fault = b.removal.fault = Fault::wrong_reveal; });
  refused("a member that is innocent",
          [](Ban& b) { b.evidence.offender = b.removal.peer = b.context.outcome.present.front(); });
  refused("no messages", [](Ban& b) { b.evidence.messages.clear(); });
  refused("a COMMIT less", [](Ban& b) { b.evidence.messages.pop_back(); });
  refused("a forged payload", [](Ban& b) { b.evidence.messages[1].payload.back() ^= 1; });
  refused("a forged signature", [](Ban& b) { b.evidence.messages[1].signature[0] ^= 1; });
  refused("a message twice", [](Ban& b) { b.evidence.messages.push_back(b.evidence.messages.back()); });
  refused("another part", [](Ban& b) { b.evidence.part ^= 1; });
  refused("no such part", [](Ban& b) { b.evidence.part = 1'000'000; });
  refused("a contributor less", [](Ban& b) { b.evidence.contributors.pop_back(); });
  refused("a contribution less", [](Ban& b) { b.evidence.shown.pop_back(); });
  refused("another contribution", [](Ban& b) { b.evidence.shown[0].bytes[0] ^= 1; });
  refused("no state", [](Ban& b) { b.evidence.state.reset(); });
  refused("another state", [](Ban& b) { b.evidence.state->chunks[0][0] ^= 1; });
  refused("other leaves", [](Ban& b) { b.evidence.state->leaves[0][0] ^= 1; });
  refused("no chunk", [](Ban& b) { b.evidence.state->chunks.clear(); });
  refused("another place in the state", [](Ban& b) { b.evidence.state->first = ~std::uint64_t{0}; });
  refused("the result was right after all", [](Ban& b) {
    const auto said = ReducePayload::decode(b.evidence.messages[0].payload);
    b.context.outcome.results[b.evidence.part] = *said->results.front().second;
  });
}

TEST_CASE("two payloads signed for a round that nobody has reached are proven as well") {
  Ban ban = first_ban(example().member(0).storage, example().manifest());
  const crypto::KeyPair& liar = example().member(4).host->identity();
  const swarm::PhaseKey place{swarm::RoundNumber(1'000'000'000), swarm::Attempt(7), swarm::Phase::commit};
  const swarm::RunId& run = ban.rules->run;
  const auto one = swarm::PhaseMessage::sign(run, place, Bytes{1}, liar);
  const auto other = swarm::PhaseMessage::sign(run, place, Bytes{2}, liar);
  swarm::Evidence evidence;
  evidence.offender = ban.removal.peer;
  evidence.fault = Fault::equivocation;
  evidence.equivocation = swarm::Equivocation::between(one, other);
  evidence.name = evidence.equivocation->digest(run);
  ban.evidence = evidence;
  ban.removal.fault = Fault::equivocation;
  ban.removal.evidence = evidence.name;
  const auto finding = ban.judge();
  REQUIRE_MESSAGE(finding.has_value(), (finding ? "" : finding.error().message));
  CHECK(finding->proven);
  ban.evidence.equivocation->second = ban.evidence.equivocation->first;
  CHECK_FALSE(ban.judge().has_value());
}

TEST_CASE("evidence that is too large loses its bytes, and then proves no more than it says") {
  Ban ban = first_ban(example().member(0).storage, example().manifest());
  ban.evidence.show({swarm::Evidence::Kind::contribution, 0, ban.evidence.offender},
                    Bytes(swarm::evidence_max_bytes, 1));
  ban.evidence.shorten();
  CHECK(ban.evidence.shown.empty());
  CHECK(ban.evidence.encode().size() < swarm::evidence_max_bytes);
  const auto again = swarm::Evidence::decode(ban.evidence.encode());
  REQUIRE(again.has_value());
  CHECK(again->encode() == ban.evidence.encode());
  const auto finding = ban.judge();
  REQUIRE(finding.has_value());
  CHECK_FALSE(finding->proven);
  CHECK(finding->text.find("rests on the quorum") != std::string::npos);
}

TEST_CASE("whatever is changed in a stored ledger is found, with the first round that does not hold") {
  const net::MemoryStorage& original = example().member(1).storage;
  net::MemoryStorage copy = original;
  const auto entries = copy.list("");
  REQUIRE(entries.has_value());
  std::set<std::string> tables;
  for (const auto& [key, value] : *entries) {
    const std::string table = key.substr(0, key.find('/'));
    if (!std::set<std::string>{"run", "entered", "vote", "ledger", "evidence", "state", "step"}.contains(
            table))
      continue;
    // What leads to a state that lies there whole is for others, who check it.
    const bool for_others = table == "step" && copy.get("state" + key.substr(table.size()))->has_value();
    if (for_others) continue;
    tables.insert(table);
    CAPTURE(key);
    for (const std::size_t at : {std::size_t{0}, value.size() / 2, value.size() - 1}) {
      CAPTURE(at);
      net::MemoryStorage damaged = original;
      Bytes changed = value;
      changed[at] ^= 0x10;
      REQUIRE(damaged.put(key, changed).has_value());
      if (table == "run") {
        CHECK_FALSE(swarm::LedgerReader::stored_run(damaged).has_value());
        continue;
      }
      const Audited found = audit(damaged, example().manifest());
      // Of states only the certified one and what it stands on are looked at.
      if (table == "state" || table == "step") {
        CHECK((found.whole.broken || !found.whole.state_on_disk));
        continue;
      }
      REQUIRE(found.whole.broken);
      CHECK_FALSE(found.whole.broken->cause.empty());
      if (table == "ledger") {
        CHECK(found.whole.broken->height == read_be(*from_hex(key.substr(key.find('/') + 1))));
      }
      if (table == "evidence") CHECK(found.whole.broken->round == swarm::RoundNumber(from_round));
    }
  }
  CHECK(tables.contains("ledger"));
  CHECK(tables.contains("evidence"));
  CHECK(tables.contains("vote"));
  CHECK(tables.size() >= 6);
}

TEST_CASE("certificates in another order, left out, or of another run do not verify") {
  const net::MemoryStorage& original = example().member(1).storage;
  net::MemoryStorage copy = original;
  const auto certificates = *copy.list("ledger/");
  REQUIRE(certificates.size() >= 8);
  net::MemoryStorage swapped = original;
  REQUIRE(swapped.put(certificates[2].first, certificates[3].second).has_value());
  REQUIRE(swapped.put(certificates[3].first, certificates[2].second).has_value());
  CHECK(audit(swapped, example().manifest()).whole.broken->height == 2);
  net::MemoryStorage gap = original;
  std::vector<net::Storage::Entry> erase;
  erase.push_back({certificates[5].first, std::nullopt});
  REQUIRE(gap.write(std::move(erase)).has_value());
  CHECK(audit(gap, example().manifest()).whole.broken->height == 5);
  SwarmOptions other = small_swarm();
  other.seed = 77;
  CHECK(audit(copy, SimSwarm(other).manifest()).whole.broken->height == 0);
  // A ledger that ends earlier is a ledger; the evidence of what is cut off belongs to nothing.
  net::MemoryStorage cut = original;
  erase.clear();
  for (std::size_t i = 3; i < certificates.size(); ++i)
    erase.push_back({certificates[i].first, std::nullopt});
  REQUIRE(cut.write(std::move(erase)).has_value());
  CHECK(audit(cut, example().manifest()).whole.broken->cause.find("in no certificate") != std::string::npos);
}

}  // namespace
}  // namespace testudo::training
