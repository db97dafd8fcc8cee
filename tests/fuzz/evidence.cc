// Evidence for bans, from anybody: what decodes has one encoding, and judging it ends with a finding or an
// error. Nothing that was made by changing bytes of true evidence proves anything about another member.
#include "swarm/evidence.h"

#include "tests/fuzz/fuzz.h"
#include "tests/swarm/testing.h"
#include "training/round/payloads.h"
#include "training/round/verify_evidence.h"

namespace testudo::fuzz {
namespace {

using namespace swarm;
using namespace training;

// Round 3 of a run of three, in which everybody may be banned.
struct World {
  World() {
    Manifest manifest = testing::make_manifest({keys[0].peer_id(), keys[1].peer_id(), keys[2].peer_id()});
    manifest.parameter_count = 30;
    auto made = RoundRules::make(manifest);
    TESTUDO_CHECK(made.has_value());
    rules = *made;
    context.outcome.run = rules->run;
    context.outcome.round = RoundNumber(3);
    context.outcome.present = manifest.founders;
    context.outcome.results = {Digest{1}, Digest{2}, Digest{3}};
    context.roster = std::make_shared<const Roster>(manifest.founders);
    context.state_root = Digest{4};
    for (const std::uint64_t round : {1U, 2U}) {
      context.earlier.push_back({.round = RoundNumber(round),
                                 .attempt = Attempt(0),
                                 .beacon = Digest{5},
                                 .coins = Digest{6},
                                 .roster = context.roster,
                                 .state_root = Digest{4},
                                 .present = context.outcome.present,
                                 .removed = {},
                                 .results = context.outcome.results});
    }
  }
  PhaseMessage say(Phase phase, std::uint64_t round, Bytes payload, std::size_t who) const {
    return PhaseMessage::sign(rules->run, {RoundNumber(round), Attempt(0), phase}, std::move(payload),
                              keys[who]);
  }
  Evidence about(Fault fault, std::vector<PhaseMessage> messages) const {
    Evidence evidence;
    evidence.offender = messages[0].author;
    evidence.fault = fault;
    evidence.name = messages[0].digest(rules->run);
    evidence.messages = std::move(messages);
    return evidence;
  }
  std::vector<crypto::KeyPair> keys = testing::make_keys(3);
  std::shared_ptr<const RoundRules> rules;
  EvidenceContext context;
};
const World& world() {
  static const World made;
  return made;
}

CommitPayload commit_of(std::size_t parts) {
  CommitPayload commit;
  commit.parts.resize(parts, Digest{7});
  commit.samples = 1;
  return commit;
}

std::vector<Bytes> seeds() {
  const World& here = world();
  const Bytes commit = commit_of(3).encode();
  std::vector<PhaseMessage> commits;
  for (std::size_t who = 0; who < 3; ++who) commits.push_back(here.say(Phase::commit, 3, commit, who));

  Evidence equivocation;
  equivocation.equivocation =
      Equivocation::between(commits[0], here.say(Phase::commit, 3, commit_of(0).encode(), 0));
  equivocation.offender = here.keys[0].peer_id();
  equivocation.fault = Fault::equivocation;
  equivocation.name = equivocation.equivocation->digest(here.rules->run);

  const Evidence malformed = here.about(Fault::malformed, {here.say(Phase::reveal, 3, Bytes{0xc1}, 1)});
  const Evidence wrong_reveal =
      here.about(Fault::wrong_reveal, {here.say(Phase::reveal, 3, RevealPayload{}.encode(), 2), commits[2]});

  const ReducePayload reduced{{{PartIndex(1), Digest{8}}}, {}};
  Evidence wrong_aggregate =
      here.about(Fault::wrong_aggregate,
                 {here.say(Phase::reduce, 3, reduced.encode(), 0), commits[0], commits[1], commits[2]});
  wrong_aggregate.part = 1;
  wrong_aggregate.contributors = here.context.outcome.present;
  for (const auto& member : wrong_aggregate.contributors)
    wrong_aggregate.show({Evidence::Kind::contribution, 1, member}, Bytes(14, 1));
  wrong_aggregate.state = Evidence::StatePiece{400, {Digest{9}}, 0, {Bytes(400, 2)}};

  CheckPayload report;
  report.parts.resize(3);
  const Evidence wrong_sketch =
      here.about(Fault::wrong_sketch, {here.say(Phase::check, 3, report.encode(), 1), commits[1],
                                       here.say(Phase::reduce, 3, reduced.encode(), 0)});

  CheckPayload vouching;
  vouching.recomputed = Statement{false, std::vector<Sketch>(3)};
  const MeasurePayload measured{{{here.keys[0].peer_id(), 0.0}}};
  const Evidence accusation =
      here.about(Fault::false_accusation,
                 {here.say(Phase::check, 2, vouching.encode(), 1), here.say(Phase::commit, 1, commit, 0),
                  here.say(Phase::measure, 3, measured.encode(), 2)});

  std::vector<PhaseMessage> of_audit = {
      here.say(Phase::reduce, 1, ReducePayload{{{PartIndex(1), Digest{2}}}}.encode(), 0)};
  for (std::size_t who = 0; who < 3; ++who) of_audit.push_back(here.say(Phase::commit, 1, commit, who));
  Evidence audited = here.about(Fault::wrong_aggregate, of_audit);
  CheckPayload claim;
  claim.audit = AuditStatement{};
  of_audit[0] = here.say(Phase::check, 2, claim.encode(), 1);
  Evidence false_audit = here.about(Fault::false_accusation, of_audit);
  for (Evidence* const one : {&audited, &false_audit}) {
    one->part = wrong_aggregate.part;
    one->contributors = wrong_aggregate.contributors;
    one->shown = wrong_aggregate.shown;
    one->state = wrong_aggregate.state;
  }
  return {equivocation.encode(), malformed.encode(),  wrong_reveal.encode(), wrong_aggregate.encode(),
          wrong_sketch.encode(), accusation.encode(), audited.encode(),      false_audit.encode()};
}

// Evidence that is true: the seeds that need nothing but messages do prove what they say.
void check_seeds() {
  static const bool checked = [] {
    const World& here = world();
    std::size_t proven = 0;
    for (const Bytes& seed : seeds()) {
      const auto evidence = Evidence::decode(seed);
      TESTUDO_CHECK(evidence.has_value());
      const Removal removal{evidence->offender, evidence->fault, evidence->name};
      const auto finding = verify_evidence(*evidence, removal, here.context, *here.rules);
      if (finding && finding->proven) ++proven;
    }
    TESTUDO_CHECK(proven == 3);  // equivocation, malformed, wrong reveal
    return true;
  }();
  (void)checked;
}

void run(ByteView input) {
  check_seeds();

  check_one_encoding<Evidence>(input);
  auto evidence = Evidence::decode(input);
  if (!evidence) return;
  TESTUDO_CHECK(input.size() <= evidence_max_bytes);
  const World& here = world();
  // What the certificate says is true of this evidence, as for whoever gets it from the network.
  const Removal removal{evidence->offender, evidence->fault, evidence->name};
  const auto finding = verify_evidence(*evidence, removal, here.context, *here.rules);
  if (finding) TESTUDO_CHECK(!finding->text.empty() && here.context.roster->contains(removal.peer));
  if (finding && finding->proven && evidence->shortened) {  // by messages alone
    TESTUDO_CHECK(evidence->fault != Fault::wrong_aggregate && evidence->fault != Fault::wrong_contribution &&
                  evidence->fault != Fault::false_accusation);
  }
  Evidence shorter = *evidence;
  shorter.shortened = true;
  shorter.shorten();
  TESTUDO_CHECK(shorter.shown.empty() && !shorter.state);
  (void)verify_evidence(shorter, removal, here.context, *here.rules);
}

// A signature costs a hundred times what a parser does.
const Registered target({"evidence", run, seeds, 20});

}  // namespace
}  // namespace testudo::fuzz
