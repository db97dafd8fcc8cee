#include "training/round/round_rules.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "crypto/hash.h"
#include "crypto/rng.h"
#include "training/round/round_record.h"
#include "training/round/rules.h"

namespace testudo::training {
namespace {

using swarm::PeerId;

std::vector<PeerId> make_ids(std::size_t count, std::uint64_t seed = 1) {
  crypto::SeededRng rng(seed);
  std::vector<PeerId> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(crypto::KeyPair::generate(rng).peer_id());
  std::ranges::sort(ids);
  return ids;
}

TEST_CASE("hostile contributors must be a minority among those that are there") {
  CHECK(may_apply(1, 0, 0));
  CHECK(may_apply(2, 0, 1));
  CHECK_FALSE(may_apply(3, 1, 1));
  CHECK(may_apply(3, 1, 0));
  CHECK(may_apply(10, 3, 3));
  CHECK_FALSE(may_apply(10, 3, 4));
}

TEST_CASE("a member may challenge a few results, or all of as many reducers as may be hostile") {
  const auto ids = make_ids(4);
  const std::vector<PeerId> reducers = {ids[0], ids[1], ids[2], ids[3], ids[1]};
  const auto missing = [&](std::vector<std::uint32_t> parts) {
    std::vector<PartOf> out;
    for (const std::uint32_t part : parts) out.push_back({PartIndex(part), ids[0]});
    return out;
  };
  CHECK(may_challenge(missing({0, 2}), reducers, 2, 1));
  CHECK_FALSE(may_challenge(missing({0, 2, 3}), reducers, 2, 1));
  CHECK(may_challenge(missing({0, 1, 2, 4}), reducers, 2, 3));
  CHECK_FALSE(may_challenge(missing({0, 1, 2, 3}), reducers, 2, 3));
  CHECK(may_challenge(missing({1, 4}), reducers, 1, 1));
  CHECK_FALSE(may_challenge(missing({1, 1, 1, 1, 1, 1}), reducers, 2, 3));
  CHECK_FALSE(may_challenge(missing({1, 2, 9}), reducers, 2, 3));
}

// Founders, ascending, then members that nobody can connect to, the first `struck` of which rest.
struct WithClients {
  std::vector<PeerId> founders;
  std::vector<PeerId> clients;
  swarm::Roster roster;

  WithClients(std::size_t reachable, std::size_t unreachable, std::size_t struck)
      : founders(make_ids(reachable, 1)), clients(make_ids(unreachable, 2)), roster(founders) {
    swarm::Outcome outcome;
    for (const PeerId& client : clients) outcome.admitted.push_back({client, true});
    for (std::uint64_t round = 1; round <= swarm::strike_limit + 1; ++round) {
      outcome.round = swarm::RoundNumber(round);
      roster = roster.after(outcome, 0.33);
      outcome = {};
      for (std::size_t i = 0; i < struck; ++i)
        outcome.strikes.push_back({clients[i], swarm::StrikeReason::silent_validator, std::nullopt});
    }
    REQUIRE(roster.resting().size() == struck);
  }
  std::vector<PeerId> all() const {
    std::vector<PeerId> ids;
    for (const auto& member : roster.members()) ids.push_back(member.id);
    return ids;
  }
};

TEST_CASE(
    "what an auditor gets comes from whoever can send it, and nobody is asked for more than it may send") {
  const auto everybody = [](const PeerId&) { return true; };
  const auto from = [](const std::vector<PeerId>& senders, const PeerId& peer) {
    return static_cast<std::size_t>(std::ranges::count(senders, peer));
  };
  {
    // Everybody there: each its own.
    const WithClients members(4, 1, 0);
    const auto senders = senders_to_auditor(members.roster, members.founders[3], members.founders[0],
                                            members.all(), everybody, 8);
    REQUIRE(senders.has_value());
    CHECK(*senders == members.all());
  }
  {
    // Ten that rest, and room for seven beside its own: the others go on sending theirs.
    const WithClients members(4, 20, 10);
    const PeerId& reducer = members.founders[0];
    const auto all = members.all();
    const auto before = senders_to_auditor(members.roster, members.founders[3], reducer, all, everybody, 8);
    REQUIRE(before.has_value());
    CHECK(from(*before, reducer) == 8);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK((before->at(i) == reducer || before->at(i) == all[i]));
    // Who does not commit then takes nobody's place.
    const auto after = senders_to_auditor(
        members.roster, members.founders[3], reducer, all,
        [&](const PeerId& peer) { return peer != members.founders[1]; }, 8);
    CHECK(after == before);
  }
  {
    // Of who is gone, and who does not commit, the reducer sends what it got; of what rests as well.
    const WithClients members(4, 4, 2);
    const PeerId& reducer = members.founders[0];
    std::vector<PeerId> contributors = members.all();
    const PeerId gone = make_ids(1, 3)[0];
    contributors.push_back(gone);
    const auto committed = [&](const PeerId& peer) { return peer != members.founders[1]; };
    const auto before =
        senders_to_auditor(members.roster, members.founders[3], reducer, contributors, everybody, 8);
    const auto after =
        senders_to_auditor(members.roster, members.founders[3], reducer, contributors, committed, 8);
    REQUIRE((before && after));
    CHECK(from(*before, reducer) == 4);
    CHECK(from(*after, reducer) == 5);
    for (std::size_t i = 0; i < contributors.size(); ++i) {
      const PeerId& own = contributors[i];
      const bool silent =
          own == gone || own == members.founders[1] || own == members.clients[0] || own == members.clients[1];
      CHECK(after->at(i) == (silent ? reducer : own));
    }
  }
  {
    // Two that nobody can connect to have no way to each other.
    const WithClients members(4, 6, 2);
    const PeerId& auditor = members.clients[5];
    const PeerId& reducer = members.founders[0];
    const auto all = members.all();
    const auto senders = senders_to_auditor(members.roster, auditor, reducer, all, everybody, 8);
    REQUIRE(senders.has_value());
    CHECK(from(*senders, reducer) == 6);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool client = std::ranges::find(members.clients, all[i]) != members.clients.end();
      CHECK(senders->at(i) == (client && all[i] != auditor ? reducer : all[i]));
    }
    // More of them than the reducer can send for: nothing is audited, rather than that somebody is blamed.
    CHECK_FALSE(senders_to_auditor(members.roster, auditor, reducer, all, everybody, 5).has_value());
    CHECK(senders_to_auditor(members.roster, members.founders[1], reducer, all, everybody, 5).has_value());
    CHECK_FALSE(
        senders_to_auditor(members.roster, auditor, members.clients[0], all, everybody, 100).has_value());
  }
}

TEST_CASE("a reducer may challenge a few contributions, and name all that it misses of what it gives up") {
  swarm::Manifest manifest;
  manifest.challenge_limit = 2;
  ReducePayload reduce;
  for (const PeerId& id : make_ids(4)) reduce.given_up.push_back({PartIndex(1), id});
  CHECK(fits(reduce, manifest, 1));
  reduce.missing = {reduce.given_up[0], reduce.given_up[1]};
  CHECK(fits(reduce, manifest, 1));
  reduce.missing.push_back(reduce.given_up[2]);
  CHECK_FALSE(fits(reduce, manifest, 2));
  CHECK(fits(reduce, manifest, 3));  // one for every member that may be hostile
}

TEST_CASE("while a run is founding, more than half of its founders must be there") {
  const auto ids = make_ids(4);
  const swarm::Roster roster(ids);
  CHECK(founders_suffice(roster, {ids[0], ids[1], ids[2]}));
  CHECK_FALSE(founders_suffice(roster, {ids[0], ids[1]}));
  CHECK_FALSE(founders_suffice(roster, {}));
}

TEST_CASE("what a rule draws from changes with run, round and beacon") {
  const Digest seed = aggregation_seed(swarm::RunId{1}, swarm::RoundNumber(5), Digest{2});
  CHECK(seed == aggregation_seed(swarm::RunId{1}, swarm::RoundNumber(5), Digest{2}));
  CHECK(seed != aggregation_seed(swarm::RunId{3}, swarm::RoundNumber(5), Digest{2}));
  CHECK(seed != aggregation_seed(swarm::RunId{1}, swarm::RoundNumber(6), Digest{2}));
  CHECK(seed != aggregation_seed(swarm::RunId{1}, swarm::RoundNumber(5), Digest{4}));
}

TEST_CASE("a manifest's rule is one by name, and another name is refused with what to write") {
  swarm::Manifest manifest;
  manifest.learning_rate = {{0, 0.1F}};
  manifest.rule = "bucketing:2+nnm+krum";
  const auto rules = RoundRules::make(manifest);
  REQUIRE(rules.has_value());
  CHECK((*rules)->rule->name() == manifest.rule);
  manifest.rule = "bucketing+krum";
  const auto refused = RoundRules::make(manifest);
  REQUIRE(!refused.has_value());
  CHECK(refused.error().message.find("write mean, ") != std::string::npos);
}

TEST_CASE("a part goes to the next living member in the permuted order that can be reached") {
  const auto ids = make_ids(4);
  swarm::Roster roster({ids[0], ids[1], ids[3]});
  swarm::Outcome outcome;
  outcome.admitted = {{ids[2], true}};  // takes no inbound connections
  roster = roster.after(outcome, 1.0 / 3);
  const std::vector<PeerId> order{ids[3], ids[2], ids[0], ids[1]};
  CHECK(next_reducer(order, ids, roster, ids[3]) == ids[0]);
  CHECK(next_reducer(order, ids, roster, ids[1]) == ids[3]);
  CHECK(next_reducer(order, {ids[1], ids[2]}, roster, ids[3]) == ids[1]);
  CHECK(next_reducer(order, {ids[2]}, roster, ids[3]) == std::nullopt);
  // Nor does it go to somebody who rests because of strikes.
  for (std::uint64_t round = 1; round <= swarm::strike_limit; ++round) {
    swarm::Outcome strike;
    strike.round = swarm::RoundNumber(round);
    strike.strikes = {{ids[0], swarm::StrikeReason::silent_reducer, std::nullopt}};
    roster = roster.after(strike, 1.0 / 3);
  }
  CHECK(next_reducer(order, ids, roster, ids[3]) == ids[1]);
  const auto ranges = partition_of(roster, 100, Digest{});
  REQUIRE(ranges.has_value());
  CHECK(ranges->size() == 2);
  for (const PartRange& range : *ranges) CHECK(roster.members()[range.reducer].reduces());
}

TEST_CASE("who applies is admitted when more than half list it alike, up to the growth cap") {
  const auto ids = make_ids(4);
  const auto applicants = make_ids(5, 2);
  const swarm::Roster roster(ids);
  std::map<PeerId, CommitPayload> commits;
  for (const PeerId& id : ids) commits[id] = {};
  for (std::size_t i = 0; i < 3; ++i) {
    for (const PeerId& applicant : applicants) commits[ids[i]].applications.push_back({applicant, false});
  }
  commits[ids[3]].applications.push_back({applicants[0], true});
  CHECK(admissions(roster, commits, 0.5, 64, Digest{}).size() == 2);
  CHECK(admissions(roster, commits, 10, 64, Digest{}).size() == 5);
  CHECK(admissions(roster, commits, 10, 6, Digest{}).size() == 2);
  CHECK(admissions(roster, commits, 0, 64, Digest{}).size() == 1);
  // The beacon draws who comes first.
  Digest other{};
  other[0] = 1;
  const auto first = admissions(roster, commits, 0, 64, Digest{});
  bool differs = false;
  for (std::uint8_t i = 1; i < 20; ++i) {
    other[0] = i;
    differs = differs || admissions(roster, commits, 0, 64, other) != first;
  }
  CHECK(differs);
  // Half is not enough, and different claims do not add up.
  commits[ids[0]].applications.clear();
  commits[ids[3]].applications = {{applicants[0], true}};
  CHECK(admissions(roster, commits, 10, 64, Digest{}).empty());
}

TEST_CASE("a founder that lost its seat finds it free as long as the run is founding") {
  const auto ids = make_ids(4);
  swarm::Outcome lost;
  lost.round = swarm::RoundNumber(1);
  lost.removed = {{ids[3], swarm::Fault::silent, {}}};
  const swarm::Roster roster = swarm::Roster(ids).after(lost, 1.0 / 3);
  std::map<PeerId, CommitPayload> commits;
  for (std::size_t i = 0; i < 3; ++i) {
    for (const PeerId& applicant : make_ids(3, 2)) commits[ids[i]].applications.push_back({applicant, false});
  }
  CHECK(admissions(roster, commits, 10, 6, Digest{}).size() == 2);
  CHECK(admissions(roster, commits, 10, 4, Digest{}).empty());
  for (std::size_t i = 0; i < 3; ++i) commits[ids[i]].applications.push_back({ids[3], false});
  const auto back = admissions(roster, commits, 10, 4, Digest{});
  REQUIRE(back.size() == 1);
  CHECK(back.front().peer == ids[3]);
}

TEST_CASE("what a member remembers of a round counts if it is what was certified") {
  const auto result = [](const char* name) { return crypto::Hasher(name).finish(); };
  RoundRecord record;
  swarm::Outcome outcome;
  for (const PeerId& id : make_ids(3)) record.commits.emplace(id, nullptr);
  for (const auto& [id, commit] : record.commits) outcome.present.push_back(id);
  // Of the second part it got no result, or it was disputed.
  record.results = {RoundRecord::Published{outcome.present, 1, result("first"), nullptr}, std::nullopt};
  outcome.results = {result("first"), result("second")};
  CHECK(record.is_of(outcome));
  swarm::Outcome other = outcome;
  other.results[0] = Digest{};
  CHECK_FALSE(record.is_of(other));
  other = outcome;
  other.results.pop_back();
  CHECK_FALSE(record.is_of(other));
  other = outcome;
  other.present.pop_back();
  CHECK_FALSE(record.is_of(other));
}

TEST_CASE("which disputes come first follows from the coins, and every member's are first as often") {
  const auto ids = make_ids(5);
  std::map<PeerId, std::size_t> first;
  constexpr std::size_t draws = 2000;
  for (std::uint64_t k = 0; k < draws; ++k) {
    const Digest coins = crypto::Hasher("some coins").integer(k).finish();
    ++first[std::ranges::min(ids, {}, [&](const PeerId& id) { return dispute_lot(coins, id); })];
  }
  // Binomial: one in five; five σ.
  for (const PeerId& id : ids) CHECK(std::abs(static_cast<double>(first[id]) - draws / 5.0) < 5 * 18);
}

// Founders, and so many names without a vote, after a round in which all took part.
swarm::Roster with_flood(const std::vector<PeerId>& founders, const std::vector<PeerId>& names) {
  swarm::Outcome outcome;
  outcome.round = swarm::RoundNumber(1);
  outcome.present = founders;
  for (const PeerId& name : names) outcome.admitted.push_back({name, false});
  const auto admitted = swarm::Roster(founders, true).after(outcome, 1.0 / 3);
  outcome = swarm::Outcome();
  outcome.round = swarm::RoundNumber(2);
  for (const auto& member : admitted.members()) outcome.present.push_back(member.id);
  return admitted.after(outcome, 1.0 / 3);
}

TEST_CASE("results go to as many members without a vote as have one, whoever else there is") {
  const auto names = make_ids(40, 3);
  Digest lot{};
  CHECK(drawn_followers(names, 40, lot) == names);
  CHECK(drawn_followers({}, 16, lot).empty());
  std::map<PeerId, int> times;
  constexpr int draws = 200;
  for (int i = 0; i < draws; ++i) {
    lot[0] = static_cast<std::uint8_t>(i);
    const auto drawn = drawn_followers(names, 16, lot);
    CHECK(drawn.size() == 16);
    CHECK(std::ranges::is_sorted(drawn));
    CHECK(std::ranges::includes(names, drawn));
    for (const PeerId& peer : drawn) ++times[peer];
  }
  // 80 ± 7 each.
  for (const PeerId& name : names) CHECK(std::abs(times[name] - draws * 16 / 40) < 5 * 7);
}

TEST_CASE("members without a vote admit nobody, reduce nothing and do not validate, however many they are") {
  const auto ids = make_ids(swarm::founding_size);
  const auto names = make_ids(40, 3);
  const auto roster = with_flood(ids, names);
  REQUIRE(roster.size() == 56);
  REQUIRE(roster.total_weight() == swarm::founding_size);
  const auto applicants = make_ids(2, 2);
  std::map<PeerId, CommitPayload> commits;
  for (const PeerId& id : ids) commits[id] = {};
  for (const PeerId& name : names) commits[name].applications = {{applicants[0], false}};
  for (std::size_t i = 0; i < 9; ++i) commits[ids[i]].applications = {{applicants[1], false}};
  const auto admitted = admissions(roster, commits, 1, 256, Digest{});
  REQUIRE(admitted.size() == 1);
  CHECK(admitted[0].peer == applicants[1]);

  const auto ranges = partition_of(roster, 1000, Digest{});
  REQUIRE(ranges.has_value());
  CHECK(ranges->size() == swarm::founding_size);
  for (const PartRange& range : *ranges) CHECK(roster.votes(roster.members()[range.reducer].id));

  swarm::Manifest manifest;
  manifest.validators = 4;
  std::set<PeerId> targets;
  for (std::uint8_t lot = 0; lot < 100; ++lot) {
    Digest beacon{};
    beacon[0] = lot;
    const auto drawn = validations_of(manifest, roster, swarm::RunId{}, swarm::RoundNumber(3), 0, beacon);
    CHECK(drawn.size() == 4);
    for (const Validation& validation : drawn) {
      CHECK(roster.votes(validation.validator));
      targets.insert(validation.target);
    }
  }
  CHECK(std::ranges::any_of(targets, [&](const PeerId& target) { return !roster.votes(target); }));
  CHECK(std::ranges::any_of(targets, [&](const PeerId& target) { return roster.votes(target); }));
}

TEST_CASE("however many names have no vote, nearly half of the targets have one, also when the names leave") {
  const auto ids = make_ids(swarm::founding_size);
  const auto names = make_ids(100, 3);
  const auto seated = with_flood(ids, names);
  swarm::Outcome leaving;
  leaving.kind = swarm::OutcomeKind::voided;
  leaving.round = swarm::RoundNumber(3);
  for (const PeerId& name : names) leaving.removed.push_back({name, swarm::Fault::absent, {}});
  const auto left = seated.after(leaving, 1.0 / 3);
  REQUIRE(left.size() == ids.size());
  // A voter that lost its seat is judged like one that has it.
  leaving.removed = {{ids[0], swarm::Fault::absent, {}}};
  const auto without_one = seated.after(leaving, 1.0 / 3);
  swarm::Manifest manifest;
  manifest.validators = 4;
  for (const swarm::Roster& roster : {seated, left, without_one}) {
    std::size_t drawn = 0;
    std::map<PeerId, std::size_t> targets;
    for (std::uint8_t lot = 0; lot < 200; ++lot) {
      Digest beacon{};
      beacon[0] = lot;
      for (const Validation& validation :
           validations_of(manifest, roster, swarm::RunId{}, swarm::RoundNumber(3), 1, beacon)) {
        ++drawn;
        ++targets[validation.target];
      }
    }
    std::size_t of_voters = 0;
    for (const PeerId& id : ids) of_voters += targets[id];
    // Of sixteen with a vote three validate: thirteen are left, and sixteen names.
    CHECK(of_voters > drawn * 2 / 5);
    CHECK(of_voters < drawn * 3 / 5);
    CHECK(targets[ids[0]] > 0);
  }
}

TEST_CASE("of who has lost its vote, and so has no strikes, the reducer sends auditors what it got") {
  const auto ids = make_ids(swarm::founding_size);
  swarm::Roster roster(ids, true);
  for (std::uint64_t round = 1; round <= 5; ++round) {
    swarm::Outcome outcome;
    outcome.round = swarm::RoundNumber(round);
    outcome.present = ids;
    outcome.idle = {ids[7]};
    roster = roster.after(outcome, 1.0 / 3);
  }
  REQUIRE(roster.contains(ids[7]));
  REQUIRE_FALSE(roster.votes(ids[7]));
  const auto senders =
      senders_to_auditor(roster, ids[1], ids[2], ids, [](const PeerId&) { return true; }, 16);
  REQUIRE(senders.has_value());
  for (std::size_t i = 0; i < ids.size(); ++i) CHECK(senders->at(i) == (i == 7 ? ids[2] : ids[i]));
}

TEST_CASE(
    "while a run is founding, everybody validates in a small one, and who earned its vote in a large one") {
  const auto ids = make_ids(20);
  swarm::Manifest manifest;
  manifest.validators = 4;
  const auto validators = [&](std::size_t members) {
    const auto roster =
        with_flood({ids[0]}, {ids.begin() + 1, ids.begin() + static_cast<std::ptrdiff_t>(members)});
    REQUIRE(roster.founding());
    std::set<PeerId> drawn;
    for (std::uint8_t lot = 0; lot < 100; ++lot) {
      Digest beacon{};
      beacon[0] = lot;
      for (const Validation& validation :
           validations_of(manifest, roster, swarm::RunId{}, swarm::RoundNumber(3), 0, beacon))
        drawn.insert(validation.validator);
    }
    return drawn;
  };
  CHECK(validators(15).size() == 15);
  CHECK(validators(20) == std::set<PeerId>{ids[0]});
}

TEST_CASE("payloads survive their encoding, and malformed ones are errors") {
  crypto::SeededRng rng(3);
  const auto ids = make_ids(2);
  const auto key = crypto::KeyPair::generate(rng);
  const swarm::PhaseKey place{swarm::RoundNumber(1), swarm::Attempt(0), swarm::Phase::commit};
  const auto lie = swarm::Equivocation::between(swarm::PhaseMessage::sign({}, place, Bytes{1}, key),
                                                swarm::PhaseMessage::sign({}, place, Bytes{2}, key));
  const CommitPayload commit{
      {Digest{}, Digest{}}, {0.5, 2}, 64, 0.5F, Digest{7}, {{ids[0], false}, {ids[1], true}}, {lie}};
  const auto commit_again = CommitPayload::decode(commit.encode());
  REQUIRE(commit_again.has_value());
  CHECK(commit_again->parts == commit.parts);
  CHECK(commit_again->distances == commit.distances);
  CHECK(commit_again->coin == commit.coin);
  CHECK(commit_again->applications == commit.applications);
  CHECK(commit_again->accusations.at(0).verify({}));
  CHECK(commit_again->marks.empty());
  CommitPayload marked = commit;
  marked.marks = {{swarm::StrikeReason::silent_reducer, ids[1]},
                  {swarm::StrikeReason::late, ids[0]},
                  {swarm::StrikeReason::late, ids[1]}};
  const auto marked_again = CommitPayload::decode(marked.encode());
  REQUIRE(marked_again.has_value());
  CHECK(marked_again->marks == marked.marks);
  std::swap(marked.marks[1], marked.marks[2]);
  CHECK_FALSE(CommitPayload::decode(marked.encode()).has_value());
  marked.marks = {{swarm::StrikeReason::answered_challenge, ids[0]}};  // everybody sees that
  CHECK_FALSE(CommitPayload::decode(marked.encode()).has_value());
  marked.marks.assign(mark_limit + 1, {swarm::StrikeReason::late, ids[0]});
  CHECK_FALSE(CommitPayload::decode(marked.encode()).has_value());

  CommitPayload unsorted = commit;
  std::swap(unsorted.applications[0], unsorted.applications[1]);
  CHECK_FALSE(CommitPayload::decode(unsorted.encode()).has_value());
  CommitPayload infinite = commit;
  infinite.loss = std::numeric_limits<float>::infinity();
  CHECK_FALSE(CommitPayload::decode(infinite.encode()).has_value());
  for (const double distance : {-1.0, std::numeric_limits<double>::quiet_NaN()}) {
    CommitPayload odd = commit;
    odd.distances[1] = distance;
    CHECK_FALSE(CommitPayload::decode(odd.encode()).has_value());
  }
  CommitPayload half = commit;
  half.distances.pop_back();
  CHECK_FALSE(CommitPayload::decode(half.encode()).has_value());
  CommitPayload large = commit;
  large.parts.resize(part_limit + 1);
  CHECK_FALSE(CommitPayload::decode(large.encode()).has_value());

  const std::vector<PartOf> missing{{PartIndex(1), ids[0]}};
  const ReducePayload reduced{
      {{PartIndex(3), Digest{}}, {PartIndex(4), std::nullopt}}, missing, {{PartIndex(4), ids[1]}}};
  const auto reduced_again = ReducePayload::decode(reduced.encode());
  REQUIRE(reduced_again.has_value());
  CHECK(reduced_again->results == reduced.results);
  CHECK(reduced_again->given_up == reduced.given_up);
  CHECK(reduced_again->missing == missing);
  const AnswerPayload answer{{{PartOf{PartIndex(1), ids[0]}, Bytes{1, 2}}}};
  const auto answer_again = AnswerPayload::decode(answer.encode());
  REQUIRE(answer_again.has_value());
  REQUIRE(answer_again->find({PartIndex(1), ids[0]}) != nullptr);
  CHECK(*answer_again->find({PartIndex(1), ids[0]}) == Bytes{1, 2});
  CHECK(answer_again->find({PartIndex(2), ids[0]}) == nullptr);
  CHECK(answer_again->find({PartIndex(1), ids[1]}) == nullptr);

  const RevealPayload reveal{{Digest{1}, Digest{2}}, missing};
  const auto reveal_again = RevealPayload::decode(reveal.encode());
  REQUIRE(reveal_again.has_value());
  CHECK(reveal_again->opening == reveal.opening);
  CHECK(reveal_again->missing == missing);
  CheckPayload check{{{2.5, {}}, {0, {}}}};
  check.parts[0].sketch[3] = -1.5F;
  const auto check_again = CheckPayload::decode(check.encode());
  REQUIRE(check_again.has_value());
  CHECK(check_again->parts == check.parts);
  CheckPayload audit;
  audit.audit = AuditStatement{{std::min(ids[0], ids[1]), std::max(ids[0], ids[1])}};
  audit.audits = {{std::min(ids[0], ids[1]), PartIndex(7)}, {std::max(ids[0], ids[1]), PartIndex(2)}};
  const auto audit_again = CheckPayload::decode(audit.encode());
  REQUIRE(audit_again.has_value());
  CHECK(audit_again->audit == audit.audit);
  CHECK(audit_again->audits == audit.audits);
  std::ranges::reverse(audit.audits);
  CHECK_FALSE(CheckPayload::decode(audit.encode()).has_value());
  audit.audits.clear();
  audit.right = {std::min(ids[0], ids[1]), std::max(ids[0], ids[1])};
  const auto right_again = CheckPayload::decode(audit.encode());
  REQUIRE(right_again.has_value());
  CHECK(right_again->right == audit.right);
  std::ranges::reverse(audit.right);
  CHECK_FALSE(CheckPayload::decode(audit.encode()).has_value());
  audit.right.clear();
  std::ranges::reverse(audit.audit->unserved_by);
  CHECK_FALSE(CheckPayload::decode(audit.encode()).has_value());
  CheckPayload odd_norm = check;
  odd_norm.parts[1].norm = -1;
  CHECK_FALSE(CheckPayload::decode(odd_norm.encode()).has_value());
  CheckPayload odd_sketch = check;
  odd_sketch.parts[1].sketch[63] = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(CheckPayload::decode(odd_sketch.encode()).has_value());

  for (const Bytes& whole :
       {commit.encode(), reduced.encode(), answer.encode(), reveal.encode(), check.encode()}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto cut = ByteView(whole).first(size);
      CHECK_FALSE(CommitPayload::decode(cut).has_value());
      CHECK_FALSE(ReducePayload::decode(cut).has_value());
      CHECK_FALSE(AnswerPayload::decode(cut).has_value());
      CHECK_FALSE(RevealPayload::decode(cut).has_value());
      CHECK_FALSE(CheckPayload::decode(cut).has_value());
    }
  }
}

}  // namespace
}  // namespace testudo::training
