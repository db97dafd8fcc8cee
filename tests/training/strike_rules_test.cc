#include "training/round/strike_rules.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "crypto/rng.h"

namespace testudo::training {
namespace {

using swarm::PeerId;
using swarm::Strike;
using swarm::StrikeReason;

std::vector<PeerId> make_ids(std::size_t count) {
  crypto::SeededRng rng(std::uint64_t{1});
  std::vector<PeerId> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(crypto::KeyPair::generate(rng).peer_id());
  std::ranges::sort(ids);
  return ids;
}

std::map<PeerId, CommitPayload> commits_of(const std::vector<PeerId>& ids) {
  std::map<PeerId, CommitPayload> commits;
  for (const PeerId& id : ids) commits[id].parts = {Digest{}, Digest{}};
  return commits;
}

// After a round in which this member came.
swarm::Roster with_newcomer(const std::vector<PeerId>& founders, const PeerId& newcomer,
                            std::uint64_t since) {
  swarm::Outcome outcome;
  outcome.round = swarm::RoundNumber(since - 1);
  outcome.admitted = {{newcomer, false}};
  return swarm::Roster(founders).after(outcome, 1.0 / 3);
}

TEST_CASE("lateness is between whoever says it and whoever it says it of") {
  const auto ids = make_ids(5);
  auto commits = commits_of(ids);
  CHECK(strikes_of_marks(swarm::Roster(ids), commits).empty());
  commits[ids[0]].marks = {{StrikeReason::late, ids[3]}};
  commits[ids[1]].marks = {{StrikeReason::late, ids[3]}};
  const auto strikes = strikes_of_marks(swarm::Roster(ids), commits);
  REQUIRE(strikes.size() == 2);
  CHECK(strikes[0] == Strike{ids[0], StrikeReason::late, ids[3]});
  CHECK(strikes[1] == Strike{ids[1], StrikeReason::late, ids[3]});
  // Nobody can say it of itself, nor of who is not there any more.
  commits[ids[3]].marks = {{StrikeReason::late, ids[3]}};
  commits[ids[4]].marks = {{StrikeReason::late, ids[2]}};
  commits.erase(ids[2]);
  CHECK(strikes_of_marks(swarm::Roster(ids), commits).size() == 2);
}

TEST_CASE("who has not confirmed what it holds is excused when it names somebody as late itself") {
  const auto ids = make_ids(5);
  auto commits = commits_of(ids);
  commits[ids[0]].marks = {{StrikeReason::unconfirmed, ids[1]}, {StrikeReason::unconfirmed, ids[2]}};
  commits[ids[1]].marks = {{StrikeReason::late, ids[4]}};
  const auto strikes = strikes_of_marks(swarm::Roster(ids), commits);
  REQUIRE(strikes.size() == 2);
  CHECK(strikes[0] == Strike{ids[0], StrikeReason::unconfirmed, ids[2]});
  CHECK(strikes[1] == Strike{ids[1], StrikeReason::late, ids[4]});
}

TEST_CASE("members that hear one another through others have no strikes for what one says of the other") {
  const auto ids = make_ids(5);
  swarm::Outcome outcome;
  outcome.round = swarm::RoundNumber(1);
  outcome.admitted = {{ids[3], true}, {ids[4], true}};
  const auto roster = swarm::Roster({ids[0], ids[1], ids[2]}).after(outcome, 1.0 / 3);
  REQUIRE(roster.votes(ids[4]));
  auto commits = commits_of(ids);
  commits[ids[3]].marks = {{StrikeReason::late, ids[4]}, {StrikeReason::late, ids[0]}};
  commits[ids[0]].marks = {{StrikeReason::late, ids[4]}};
  const auto strikes = strikes_of_marks(roster, commits);
  REQUIRE(strikes.size() == 2);
  CHECK(strikes[0] == Strike{ids[0], StrikeReason::late, ids[4]});
  CHECK(strikes[1] == Strike{ids[3], StrikeReason::late, ids[0]});
}

TEST_CASE("no strike is with a member without a vote: any number of them may lie") {
  const auto ids = make_ids(swarm::founding_size + 2);
  const std::vector<PeerId> founders(ids.begin(), ids.begin() + swarm::founding_size);
  swarm::Outcome outcome;
  outcome.round = swarm::RoundNumber(1);
  outcome.present = founders;
  const PeerId& name = ids[swarm::founding_size];
  outcome.admitted = {{name, false}, {ids.back(), false}};
  auto commits = commits_of(ids);
  commits[name].marks = {{StrikeReason::late, ids[0]}};
  commits[ids[1]].marks = {{StrikeReason::late, name}};
  for (const PeerId& founder : founders)
    commits[founder].marks.push_back({StrikeReason::silent_reducer, name});
  for (const bool audits : {false, true}) {
    const auto roster = swarm::Roster(founders, audits).after(outcome, 1.0 / 3);
    CHECK(roster.votes(name) != audits);
    CHECK(strikes_of_marks(roster, commits).size() == (audits ? 0 : 3));
  }
}

TEST_CASE("to name a member without a vote as late excuses nobody: a name costs nothing") {
  const auto ids = make_ids(swarm::founding_size + 1);
  const std::vector<PeerId> founders(ids.begin(), ids.begin() + swarm::founding_size);
  const PeerId& name = ids.back();
  swarm::Outcome outcome;
  outcome.round = swarm::RoundNumber(1);
  outcome.present = founders;
  outcome.admitted = {{name, false}};
  const auto roster = swarm::Roster(founders, true).after(outcome, 1.0 / 3);
  REQUIRE_FALSE(roster.votes(name));
  auto commits = commits_of(ids);
  commits[ids[0]].marks = {{StrikeReason::unconfirmed, ids[1]}};
  commits[ids[1]].marks = {{StrikeReason::late, name}};
  const auto strikes = strikes_of_marks(roster, commits);
  REQUIRE(strikes.size() == 1);
  CHECK(strikes[0] == Strike{ids[0], StrikeReason::unconfirmed, ids[1]});

  // Who was late and lost its seat or was banned for it had a vote then, and excuses as before; not for long.
  for (const bool banned : {false, true}) {
    const PeerId& late = ids[2];
    swarm::Outcome lost;
    lost.round = swarm::RoundNumber(2);
    lost.present = founders;
    lost.removed = {{late, banned ? swarm::Fault::equivocation : swarm::Fault::silent, {}}};
    const auto after = roster.after(lost, 1.0 / 3);
    commits[ids[1]].marks = {{StrikeReason::late, late}};
    commits.erase(late);
    CHECK(strikes_of_marks(after, commits).empty());
    lost.round = swarm::RoundNumber(3);
    lost.removed.clear();
    CHECK(strikes_of_marks(after.after(lost, 1.0 / 3), commits).size() == 1);
  }
}

TEST_CASE("silence is a strike when more than half of the votes list it") {
  const auto ids = make_ids(5);
  auto commits = commits_of(ids);
  const std::vector<Mark> marks{{StrikeReason::silent_validator, ids[4]}};
  commits[ids[0]].marks = marks;
  commits[ids[1]].marks = marks;
  commits[ids[4]].marks = marks;  // whatever that is good for
  CHECK(strikes_of_marks(swarm::Roster(ids), commits).empty());
  commits[ids[2]].marks = {{StrikeReason::silent_reducer, ids[4]}};  // something else
  CHECK(strikes_of_marks(swarm::Roster(ids), commits).empty());
  commits[ids[2]].marks = marks;
  const auto strikes = strikes_of_marks(swarm::Roster(ids), commits);
  REQUIRE(strikes.size() == 1);
  CHECK(strikes[0] == Strike{ids[4], StrikeReason::silent_validator, std::nullopt});
}

TEST_CASE("who gives up a part names more that it misses than it may challenge, or has kept back a result") {
  const auto ids = make_ids(5);
  const std::vector<PeerId> contributors{ids[0], ids[1], ids[2], ids[3]};
  const auto strikes = [&](std::vector<std::size_t> members, std::uint32_t part = 0) {
    std::vector<PartOf> missed;
    for (const std::size_t i : members) missed.push_back({PartIndex(part), ids[i]});
    return strikes_of_given_up(ids[0], {0}, missed, contributors, 2);
  };
  const auto named = strikes({1, 2, 3});
  REQUIRE(named.size() == 3);
  CHECK(named[0] == Strike{ids[0], StrikeReason::given_up, ids[1]});
  const std::vector<Strike> kept{{ids[0], StrikeReason::kept_result, std::nullopt}};
  CHECK(strikes({}) == kept);
  CHECK(strikes({1, 2}) == kept);
  CHECK(strikes({1, 1, 1, 2}) == kept);
  CHECK(strikes({0, 1, 2}) == kept);     // itself
  CHECK(strikes({1, 2, 4}) == kept);     // who sent nothing
  CHECK(strikes({1, 2, 3}, 1) == kept);  // of another part
}

TEST_CASE("a validator that says nothing is noticed, unless it was not there, or its target has nothing") {
  const auto ids = make_ids(5);
  const std::vector<PeerId> founders{ids[0], ids[1], ids[2], ids[3]};
  RoundRecord last;
  last.round = swarm::RoundNumber(6);
  last.commitments[ids[0]] = {};
  const std::vector<Validation> drawn{{ids[1], ids[0]}};
  const auto marks = [&](const std::vector<Validation>& validations, const swarm::Roster& roster,
                         const std::map<PeerId, RoundRecord::Claim>& claims = {}) {
    return silent_validators(roster, swarm::RoundNumber(7), validations, claims, last);
  };
  const Mark silent{StrikeReason::silent_validator, ids[1]};
  CHECK(marks(drawn, swarm::Roster(founders)) == std::set<Mark>{silent});
  CHECK(marks(drawn, swarm::Roster(founders), {{ids[1], {}}}).empty());
  CHECK(marks({{ids[1], ids[2]}}, swarm::Roster(founders)).empty());
  CHECK(marks({{ids[4], ids[0]}}, with_newcomer(founders, ids[4], 7)).empty());
  CHECK(marks({{ids[4], ids[0]}}, with_newcomer(founders, ids[4], 6)).size() == 1);
}

TEST_CASE("a reducer that shows no sketch of what was recomputed is noticed, where it must have it") {
  const auto ids = make_ids(6);
  const std::vector<PeerId> founders{ids[0], ids[1], ids[2], ids[3]};
  RoundRecord last;
  last.round = swarm::RoundNumber(6);
  last.claims[ids[3]].target = ids[0];
  RoundRecord before;
  before.round = swarm::RoundNumber(5);
  before.commitments[ids[0]] = {};
  before.reducers = {ids[1], ids[2]};
  before.reduced = {true, true};
  auto commits = commits_of(founders);
  commits[ids[2]].holdings = {{ids[0], PartIndex(1), {}}};
  const swarm::Roster roster(founders);
  const Mark silent{StrikeReason::silent_reducer, ids[1]};
  CHECK(silent_reducers(roster, commits, last, before) == std::set<Mark>{silent});
  // Of another part, or of another's contribution, is nothing.
  commits[ids[1]].holdings = {{ids[0], PartIndex(1), {}}, {ids[2], PartIndex(0), {}}};
  CHECK(silent_reducers(roster, commits, last, before) == std::set<Mark>{silent});
  // There was no result; the target, or the reducer, lost its seat in between; nobody validated.
  RoundRecord without = before;
  without.reduced[0] = false;
  CHECK(silent_reducers(roster, commits, last, without).empty());
  const std::vector<PeerId> others{ids[1], ids[2], ids[3]};
  CHECK(silent_reducers(with_newcomer(others, ids[0], 6), commits, last, before).empty());
  CHECK(silent_reducers(with_newcomer({ids[0], ids[2], ids[3]}, ids[1], 6), commits, last, before).empty());
  RoundRecord idle = last;
  idle.claims.clear();
  CHECK(silent_reducers(roster, commits, idle, before).empty());
}

TEST_CASE("a certificate has one strike a member: its own first, and none with who lost its seat") {
  const auto ids = make_ids(5);
  const Strike own{ids[0], StrikeReason::kept_result, std::nullopt};
  std::vector<Strike> found;
  for (std::size_t i = 1; i < 5; ++i) found.push_back({ids[0], StrikeReason::late, ids[i]});
  found.push_back({ids[2], StrikeReason::late, ids[4]});
  const auto drawn = drawn_strikes(found, {}, Digest{});
  REQUIRE(drawn.size() == 2);
  CHECK(drawn[0].peer == ids[0]);
  CHECK(drawn[1] == found.back());
  // The order in which they were found draws nothing.
  std::vector<Strike> reversed(found.rbegin(), found.rend());
  CHECK(drawn_strikes(reversed, {}, Digest{}) == drawn);
  std::set<PeerId> others;
  for (std::uint8_t i = 0; i < 50; ++i) others.insert(*drawn_strikes(found, {}, Digest{i})[0].other);
  CHECK(others.size() == 4);
  found.push_back(own);
  CHECK(drawn_strikes(found, {}, Digest{})[0] == own);
  const std::map<PeerId, swarm::Removal> removed{{ids[4], {ids[4], swarm::Fault::silent, {}}},
                                                 {ids[0], {ids[0], swarm::Fault::silent, {}}}};
  CHECK(drawn_strikes(found, removed, Digest{}).empty());
}

TEST_CASE("lateness tells nothing where deadlines leave honest members no time to be early") {
  swarm::Manifest manifest;
  CHECK(tells_lateness(manifest));
  manifest.exchange_deadline_ms = 4 * manifest.delta_ms;
  CHECK(tells_lateness(manifest));
  CHECK(early_margin(manifest) == 4 * manifest.delta());
  manifest.exchange_deadline_ms -= 1;
  CHECK_FALSE(tells_lateness(manifest));
  CHECK(early_margin(manifest) == 2 * manifest.delta());
}

}  // namespace
}  // namespace testudo::training
