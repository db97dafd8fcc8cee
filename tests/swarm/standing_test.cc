#include "swarm/standing.h"

#include "swarm/ballot.h"
#include "swarm/roster.h"
#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;

namespace {

constexpr double hostile_share = 1.0 / 3;

// A run that audits, founded by as many as decide by votes from the first round on, and some more names.
struct Founded {
  explicit Founded(std::size_t others) {
    keys = make_keys(founding_size + others);
    const auto ids = ids_of(keys);
    founders.assign(ids.begin(), ids.begin() + founding_size);
    names.assign(ids.begin() + founding_size, ids.end());
    roster = Roster(founders, true);
  }
  // A round in which everybody with a seat works but the idle.
  void round(std::vector<PeerId> audited = {}, std::vector<PeerId> idle = {},
             std::vector<PeerId> admitted = {}) {
    Outcome outcome;
    outcome.round = next;
    for (const Member& member : roster.members()) outcome.present.push_back(member.id);
    outcome.idle = std::move(idle);
    outcome.audited = std::move(audited);
    for (const PeerId& peer : admitted) outcome.admitted.push_back({peer, false});
    roster = roster.after(outcome, hostile_share);
    next = next.next();
  }
  void rounds(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) round();
  }
  const Member& member(const PeerId& id) const { return roster.members()[*roster.index_of(id)]; }

  std::vector<KeyPair> keys;
  std::vector<PeerId> founders;
  std::vector<PeerId> names;
  Roster roster;
  RoundNumber next{1};
};

}  // namespace

TEST_CASE("a name earns its vote by twelve rounds of work and three audits, and keeps what it is due") {
  Founded run(1);
  const PeerId name = run.names[0];
  run.round({}, {}, {name});
  CHECK_FALSE(run.roster.founding());
  CHECK(run.roster.size() == founding_size + 1);
  CHECK(run.roster.total_weight() == founding_size);
  CHECK_FALSE(run.member(name).reduces());
  run.round({name});
  run.round({name});
  run.rounds(work_for_a_vote - 3);
  run.round({name});
  CHECK(run.roster.standing_of(name).rounds_worked() == work_for_a_vote);
  CHECK(run.roster.votes(name));
  CHECK(run.member(name).votes_since == run.next);
  CHECK(run.member(name).since == RoundNumber(2));
  CHECK(run.roster.total_weight() == founding_size + 1);
  run.round({name});  // more than enough counts as enough
  CHECK(run.roster.standing_of(name).audits == audits_for_a_vote);
  CHECK(run.roster.greatest_hostile_count(hostile_share) == (founding_size + 1) / 3);
}

TEST_CASE("work without audits earns nothing, nor do audits without work") {
  Founded run(2);
  run.round({}, {}, run.names);
  for (int i = 0; i < 100; ++i) run.round({run.names[1]}, {run.names[1]});
  CHECK(run.roster.standing_of(run.names[0]) ==
        Standing{.work = (1U << work_window) - 1, .audits = 0, .last_work = RoundNumber(101)});
  CHECK(run.roster.standing_of(run.names[1]).audits == audits_for_a_vote);
  CHECK_FALSE(run.roster.votes(run.names[0]));
  CHECK_FALSE(run.roster.votes(run.names[1]));
}

TEST_CASE("who does nothing has no vote after five rounds, seated or not, and then works for it again") {
  Founded run(0);
  const PeerId lazy = run.founders[3];
  for (std::size_t i = 0; i < work_window - work_for_a_vote; ++i) {
    run.round({}, {lazy});
    CHECK(run.roster.votes(lazy));
  }
  run.round({}, {lazy});
  CHECK_FALSE(run.roster.votes(lazy));
  CHECK(run.member(lazy).votes_since == RoundNumber());
  // Nothing of that is undone: the others are founded.
  CHECK_FALSE(run.roster.founding());
  CHECK(run.roster.total_weight() == founding_size - 1);
  run.rounds(work_for_a_vote - 1);
  CHECK_FALSE(run.roster.votes(lazy));
  run.round();
  CHECK(run.roster.votes(lazy));
}

TEST_CASE("a short absence costs a seat and no vote; a long one costs rounds of work and no audits") {
  Founded run(0);
  const auto away = [&](std::size_t rounds) {
    Outcome outcome;
    outcome.round = run.next;
    for (const PeerId& id : run.founders) {
      if (id != run.founders[0]) outcome.present.push_back(id);
    }
    outcome.removed = {{run.founders[0], Fault::absent, {}}};
    run.roster = run.roster.after(outcome, hostile_share);
    run.next = run.next.next();
    CHECK_FALSE(run.roster.votes(run.founders[0]));
    run.rounds(rounds - 2);
    run.round({}, {}, {run.founders[0]});
  };
  away(4);
  CHECK(run.roster.votes(run.founders[0]));
  CHECK(run.member(run.founders[0]).votes_since == run.next);
  away(300);
  CHECK_FALSE(run.roster.votes(run.founders[0]));
  run.rounds(work_for_a_vote);
  CHECK(run.roster.votes(run.founders[0]));
  away(audit_memory + work_window + 2);
  run.rounds(work_window);
  CHECK(run.roster.standing_of(run.founders[0]).audits == 0);
  CHECK_FALSE(run.roster.votes(run.founders[0]));
}

TEST_CASE("an attempt that is voided is no work, and costs none") {
  Founded run(0);
  Outcome voided;
  voided.round = run.next;
  voided.kind = OutcomeKind::voided;
  voided.present = {run.founders[1]};
  for (int i = 0; i < 100; ++i) run.roster = run.roster.after(voided, hostile_share);
  CHECK(run.roster.total_weight() == founding_size);
}

TEST_CASE("a round takes the vote of nobody who worked in it, so that the votes never run out") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    crypto::SeededRng rng(seed);
    Founded run(0);
    for (int i = 0; i < 60; ++i) {
      const auto before = run.roster;
      // So many idle that a round is just applied: 2F + idle < W.
      const auto votes = static_cast<std::size_t>(before.total_weight());
      std::vector<PeerId> voters;
      for (const Member& member : before.members()) {
        if (member.votes()) voters.push_back(member.id);
      }
      rng.shuffle(voters);
      voters.resize(votes - 1 - 2 * before.greatest_hostile_count(hostile_share));
      std::ranges::sort(voters);
      run.round({}, voters);
      for (const Member& member : before.members()) {
        const bool idle = std::ranges::binary_search(voters, member.id);
        if (member.votes() && !idle) CHECK(run.roster.votes(member.id));
      }
      REQUIRE(run.roster.total_weight() > 0);
    }
  }
}

TEST_CASE("who is banned has no standing") {
  Founded run(0);
  Outcome outcome;
  outcome.round = run.next;
  outcome.present = run.founders;
  outcome.removed = {{run.founders[2], Fault::wrong_contribution, digest_of("proof")}};
  run.roster = run.roster.after(outcome, hostile_share);
  CHECK(run.roster.standing_of(run.founders[2]) == Standing{});
}

TEST_CASE("names that do no work do not end the founding, whatever seats they hold") {
  const auto ids = ids_of(make_keys(4 * founding_size));
  for (const bool audits : {false, true}) {
    Roster roster({ids[0]}, audits);
    Outcome flood;
    flood.round = RoundNumber(1);
    flood.present = {ids[0]};
    for (std::size_t i = 1; i < ids.size(); ++i) flood.admitted.push_back({ids[i], false});
    roster = roster.after(flood, hostile_share);
    CHECK(roster.founding() == audits);
    // While it lasts every seat counts, and the founder decides.
    CHECK(roster.total_weight() == ids.size());
    CHECK(is_quorum(roster, {ids[0]}, {ids[0]}) == audits);
    const std::vector<PeerId> names(ids.begin() + 1, ids.end());
    CHECK(is_quorum(roster, {ids[0]}, names) != audits);
  }
}

TEST_CASE("a run is founded when sixteen have earned their votes, and from then on only these vote") {
  const auto ids = ids_of(make_keys(20));
  const std::vector<PeerId> earning(ids.begin() + 1, ids.begin() + 16);
  Roster roster({ids[0]}, true);
  Outcome outcome;
  outcome.round = RoundNumber(1);
  outcome.present = {ids[0]};
  for (std::size_t i = 1; i < ids.size(); ++i) outcome.admitted.push_back({ids[i], false});
  roster = roster.after(outcome, hostile_share);
  for (std::uint64_t round = 2; round <= 1 + work_for_a_vote; ++round) {
    CHECK(roster.founding());
    outcome = Outcome();
    outcome.round = RoundNumber(round);
    outcome.present = ids;
    if (round <= 1 + audits_for_a_vote) outcome.audited = earning;
    roster = roster.after(outcome, hostile_share);
  }
  CHECK_FALSE(roster.founding());
  CHECK(roster.size() == 20);
  CHECK(roster.total_weight() == 16);
  CHECK(roster.votes(ids[0]));
  CHECK(roster.votes(ids[15]));
  CHECK_FALSE(roster.votes(ids[16]));
}

TEST_CASE("a flood of names that just joined outvotes by heads, and not where votes are earned") {
  Founded run(2 * founding_size);
  Outcome outcome;
  outcome.round = RoundNumber(3);
  outcome.present = run.founders;
  for (const PeerId& founder : run.founders) outcome.removed.push_back({founder, Fault::silent, {}});
  std::vector<const KeyPair*> flood;
  for (std::size_t i = founding_size; i < run.keys.size(); ++i) flood.push_back(&run.keys[i]);
  for (const bool audits : {false, true}) {
    Outcome admits;
    admits.round = RoundNumber(2);
    admits.present = run.founders;
    for (const PeerId& name : run.names) admits.admitted.push_back({name, false});
    const Roster roster = Roster(run.founders, audits).after(admits, hostile_share);
    const Certificate certificate = certify(outcome, flood);
    Ballot ballot;
    for (const Vote& vote : certificate.votes) CHECK(ballot.add({outcome, vote}));
    CHECK(certificate.verify(roster).has_value() != audits);
    CHECK(ballot.certificate(roster, outcome.round, outcome.attempt, outcome.previous).has_value() != audits);
    CHECK(ballot.tallies(roster, outcome.round, outcome.attempt, outcome.previous).empty() == audits);
    CHECK(is_quorum(roster, {}, run.founders) == audits);
  }
}

TEST_CASE(
    "a certificate has no signatures of members without a vote: nothing that does not count rides along") {
  Founded run(1);
  run.round({}, {}, run.names);
  Outcome outcome;
  outcome.round = run.next;
  outcome.present = run.founders;
  std::vector<const KeyPair*> signers;
  for (const KeyPair& key : run.keys) {
    if (key.peer_id() != run.names[0]) signers.push_back(&key);
  }
  CHECK(certify(outcome, signers).verify(run.roster).has_value());
  std::vector<const KeyPair*> all;
  for (const KeyPair& key : run.keys) all.push_back(&key);
  const auto refused = certify(outcome, all).verify(run.roster);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message.find("signed and has no vote") != std::string::npos);
}

TEST_CASE("what is remembered of names that come and go is forgotten with their work") {
  Standings standings;
  crypto::SeededRng rng(std::uint64_t{4});
  std::size_t most = 0;
  for (std::uint64_t round = 1; round <= 400; ++round) {
    Outcome outcome;
    outcome.round = RoundNumber(round);
    for (int i = 0; i < 5; ++i) {
      ByteArray<32> key;
      rng.fill(key);
      outcome.present.emplace_back(crypto::PublicKey(key));
    }
    std::ranges::sort(outcome.present);
    standings.apply(outcome);
    standings.forget(outcome.round, [](const PeerId&) { return false; });
    most = std::max(most, standings.size());
  }
  CHECK(most == 5 * work_window);
}
