// Votes in whole swarms: a flood of names that do no work outvotes everybody where every seat has a vote, and
// nobody where votes are earned; and honest newcomers earn theirs.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/swarm/testing.h"
#include "tests/training/sim_testing.h"
#include "training/round/ledger_audit.h"
#include "training/round/round_rules.h"
#include "training/simulation/sim_swarm.h"

namespace testudo::training {
namespace {

constexpr std::size_t founders = swarm::founding_size;
constexpr std::uint64_t last_round = 10;

SwarmOptions flooded(std::uint32_t validators) {
  return {.founders = founders,
          .joiners = founders + 2,
          .hostile = founders + 2,
          .attacks = {"sybil_votes"},
          .attack_from = 5,
          .dimension = 100,
          .rounds = last_round,
          .start_members = 2 * founders + 2,
          .validators = validators,
          .evaluate_every = 0};
}

std::size_t honest_that_lost_seats(SimSwarm& swarm) {
  std::set<swarm::PeerId> honest;
  for (std::size_t i = 0; i < founders; ++i) honest.insert(swarm.member(i).host->id());
  std::set<swarm::PeerId> lost;
  for (std::size_t i = 0; i < founders; ++i) {
    for (const swarm::Removal& removal : swarm.member(i).removals) {
      if (honest.contains(removal.peer)) lost.insert(removal.peer);
    }
  }
  return lost.size();
}

TEST_CASE("a flood of names that just joined takes everybody's seat where every seat has a vote") {
  SimSwarm swarm(flooded(0));
  swarm.start_all();
  // Until they outvote the founders, or the run ends.
  swarm.run_until([&] { return honest_that_lost_seats(swarm) > 0 || swarm.last_round(0) == last_round; },
                  30min);
  CHECK(honest_that_lost_seats(swarm) == founders);
}

TEST_CASE("the same flood takes nobody's seat where votes are earned by audited work") {
  SimSwarm swarm(flooded(4));
  swarm.start_all();
  const auto over = [&] {
    for (std::size_t i = 0; i < founders; ++i) {
      if (swarm.last_round(i) < last_round) return false;
    }
    return true;
  };
  CHECK(run_until(swarm, over, 30min));
  CHECK(honest_that_lost_seats(swarm) == 0);
  const swarm::Roster roster = roster_of(swarm, 0);
  CHECK_FALSE(roster.founding());
  CHECK(roster.total_weight() == founders);
  // They do no work, and whoever is looked at is banned.
  CHECK_FALSE(roster.banned().empty());
  CHECK(roster.size() > founders);
}

TEST_CASE("names that work in every round and show nobody what have no vote, however long they do") {
  constexpr std::size_t names = 6;
  constexpr std::uint64_t rounds = swarm::work_window + 8;
  SimSwarm swarm({.founders = founders,
                  .joiners = names,
                  .hostile = names,
                  .attacks = {"no_parts"},
                  .attack_from = 1,
                  .dimension = 100,
                  .rounds = rounds,
                  .start_members = founders + names,
                  .validators = 4,
                  .evaluate_every = 0});
  swarm.start_all();
  CHECK(run_until(swarm, [&] { return swarm.last_round(0) == rounds; }, 30min));
  CHECK(swarm.member(0).removals.empty());
  std::set<swarm::PeerId> looked_at;
  const swarm::Roster roster = roster_of(swarm, 0, [&](const swarm::EvidenceContext& context) {
    for (const Validation& drawn :
         validations_of(swarm.manifest(), *context.roster, context.outcome.run, context.outcome.round,
                        context.fruitless_voids, context.beacon))
      looked_at.insert(drawn.target);
  });
  CHECK(roster.total_weight() == founders);
  for (std::size_t i = founders; i < swarm.size(); ++i) {
    const swarm::PeerId& name = swarm.member(i).host->id();
    CHECK(looked_at.contains(name));
    CHECK(roster.standing_of(name).rounds_worked() >= swarm::work_for_a_vote);
    CHECK(roster.standing_of(name).audits == 0);
    CHECK_FALSE(roster.votes(name));
  }
}

TEST_CASE("an honest newcomer has no vote and does not count, until it worked and was audited often enough") {
  constexpr std::uint64_t rounds = 45;
  SimSwarm swarm({.founders = founders,
                  .joiners = 1,
                  .dimension = 100,
                  .rounds = rounds,
                  .validators = 4,
                  .evaluate_every = 1});
  swarm.start_all();
  const auto over = [&] { return swarm.last_round(0) == rounds && swarm.member(founders).holds() == rounds; };
  CHECK(run_until(swarm, over, 60min));
  const auto& newcomer = swarm.member(founders).host->id();
  const swarm::Roster roster = roster_of(swarm, 0);
  REQUIRE(roster.votes(newcomer));
  const swarm::RoundNumber votes_since = roster.members()[*roster.index_of(newcomer)].votes_since;
  CHECK(votes_since > swarm::RoundNumber(swarm::work_for_a_vote));
  // Who has a vote counts unless it validates, for which its target must have contributed; and who has none
  // does not count, but is looked at.
  std::set<swarm::PeerId> before;  // who contributed to the last round
  bool looked_at = false;
  roster_of(swarm, 0, [&](const swarm::EvidenceContext& context) {
    const swarm::Outcome& outcome = context.outcome;
    std::set<swarm::PeerId> contributed(outcome.present.begin(), outcome.present.end());
    for (const Validation& drawn : validations_of(swarm.manifest(), *context.roster, outcome.run,
                                                  outcome.round, context.fruitless_voids, context.beacon)) {
      const bool fresh = drawn.validator == newcomer && outcome.round == votes_since;  // has no records yet
      if (before.contains(drawn.target) && !fresh) contributed.erase(drawn.validator);
      looked_at = looked_at || (drawn.target == newcomer && outcome.round < votes_since);
    }
    const auto counted = std::ranges::count_if(
        contributed, [&](const swarm::PeerId& peer) { return context.roster->votes(peer); });
    CHECK(outcome.samples == static_cast<std::uint64_t>(counted) * swarm.manifest().samples);
    CHECK(context.roster->votes(newcomer) == (outcome.round >= votes_since));
    before = std::move(contributed);
  });
  CHECK(looked_at);
  // Both say the same of how many contributed: it, too, though it took part in COMMIT alone.
  for (const auto& [round, report] : swarm.member(founders).reports)
    CHECK(report.contributors == swarm.member(0).reports.at(round).contributors);
  // It made the states itself, of the results that it was sent: each was there when its round was certified.
  const auto& reports = swarm.member(founders).reports;
  const auto evaluated =
      std::ranges::count_if(reports, [](const auto& entry) { return entry.second.evaluation.has_value(); });
  CHECK(static_cast<std::size_t>(evaluated) + 3 >= rounds);
}

TEST_CASE("a name without a vote that does no work does not keep its seat") {
  SimSwarm swarm({.founders = founders,
                  .joiners = 1,
                  .hostile = 1,
                  .attacks = {"idle"},
                  .attack_from = 1,
                  .dimension = 100,
                  .rounds = 8,
                  .validators = 4,
                  .evaluate_every = 0});
  swarm.start_all();
  CHECK(run_until(swarm, [&] { return swarm.last_round(0) == 8; }, 30min));
  const swarm::PeerId& name = swarm.member(founders).host->id();
  const auto& removals = swarm.member(0).removals;
  REQUIRE_FALSE(removals.empty());
  for (const swarm::Removal& removal : removals)
    CHECK(removal == swarm::Removal{name, swarm::Fault::absent, {}});
  // Whenever it has a seat it loses that in the next round.
  roster_of(swarm, 0, [&](const swarm::EvidenceContext& context) {
    const bool seated = context.roster->contains(name);
    const bool lost = !context.outcome.removed.empty();
    CHECK(seated == lost);
  });
}

TEST_CASE("a wrong aggregate is proven by the contributions of those with a vote, whoever else was there") {
  // The last founder; and a name that reduces nothing, and so can do nothing of that kind.
  SimSwarm swarm({.founders = founders,
                  .joiners = 1,
                  .hostile = 2,
                  .attacks = {"wrong_aggregate"},
                  .attack_from = 5,
                  .dimension = 100,
                  .rounds = 8,
                  .start_members = founders + 1,
                  .validators = 4,
                  .evaluate_every = 0});
  swarm.start_all();
  CHECK(run_until(swarm, [&] { return swarm.last_round(0) == 8; }, 30min));
  const auto rules = RoundRules::make(swarm.manifest());
  REQUIRE(rules.has_value());
  std::vector<BanAudit> bans;
  bool name_was_there = false;
  const swarm::PeerId& name = swarm.member(founders).host->id();
  const auto found = audit_ledger(swarm.member(0).storage, *rules, [&](const CertificateAudit& entry) {
    bans.insert(bans.end(), entry.bans.begin(), entry.bans.end());
    if (!entry.bans.empty()) name_was_there = std::ranges::binary_search(entry.outcome.present, name);
  });
  CHECK_FALSE(found.broken.has_value());
  REQUIRE(bans.size() == 1);
  CHECK(bans[0].removal.peer == swarm.member(founders - 1).host->id());
  CHECK(bans[0].removal.fault == swarm::Fault::wrong_aggregate);
  CHECK(bans[0].proof == Proof::proven);
  CHECK(name_was_there);
}

TEST_CASE("names that copy what others computed are banned and never have a vote") {
  constexpr std::size_t names = 4;
  SimSwarm swarm({.founders = founders,
                  .joiners = names,
                  .hostile = names,
                  .attacks = {"copied"},
                  .attack_from = 1,
                  .dimension = 100,
                  .rounds = 60,
                  .validators = 4,
                  .evaluate_every = 0});
  swarm.start_all();
  std::set<swarm::PeerId> copying;
  for (std::size_t i = founders; i < swarm.size(); ++i) copying.insert(swarm.member(i).host->id());
  const auto& removals = swarm.member(0).removals;
  const auto all_banned = [&] {
    return static_cast<std::size_t>(std::ranges::count(removals, swarm::Fault::wrong_contribution,
                                                       &swarm::Removal::fault)) == copying.size();
  };
  CHECK(run_until(swarm, all_banned, 60min));
  for (const swarm::Removal& removal : removals) CHECK(copying.contains(removal.peer));
  roster_of(swarm, 0, [&](const swarm::EvidenceContext& context) {
    for (const swarm::PeerId& name : copying) {
      CHECK_FALSE(context.roster->votes(name));
      CHECK_FALSE(std::ranges::binary_search(context.outcome.audited, name));
    }
  });
}

TEST_CASE("when a network falls apart, the side with more votes goes on, not the one with more members" *
          doctest::skip(slow_build)) {
  SimSwarm swarm({.founders = founders,
                  .joiners = founders + 2,
                  .dimension = 100,
                  .rounds = 400,
                  .start_members = 2 * founders + 2,
                  .validators = 4,
                  .work = 1s,
                  .evaluate_every = 0});
  swarm.start_all();
  const auto all_hold = [&](std::uint64_t round) {
    for (std::size_t i = 0; i < swarm.size(); ++i) {
      if (swarm.last_round(i) < round) return false;
    }
    return true;
  };
  REQUIRE(run_until(swarm, [&] { return all_hold(6); }, 30min));
  CHECK(roster_of(swarm, 0).size() == swarm.size());
  // Nine founders on one side; on the other seven, and all those that have no vote yet.
  std::vector<std::size_t> many;
  for (std::size_t i = 9; i < swarm.size(); ++i) many.push_back(i);
  swarm.partition(many);
  const std::uint64_t before = swarm.last_round(0);
  const std::uint64_t until = before + 3;
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= until; }, 30min));
  // One round may have been about to be certified everywhere.
  for (const std::size_t i : many) CHECK(swarm.last_round(i) <= before + 1);
  swarm.heal();
  CHECK(run_until(swarm, [&] { return all_hold(until); }, 30min));
}

TEST_CASE("a run goes on with those that earned their votes when nearly all of its founders have left") {
  constexpr std::size_t names = 4;
  constexpr std::size_t leaving = 13;
  SimSwarm swarm({.founders = founders,
                  .joiners = names,
                  .dimension = 100,
                  .rounds = 400,
                  .validators = 4,
                  .evaluate_every = 0});
  swarm.start_all();
  const std::size_t watcher = founders;  // who joined first
  const auto votes = [&] { return static_cast<std::size_t>(roster_of(swarm, watcher).total_weight()); };
  std::uint64_t looked = 0;
  const auto all_vote = [&] {
    if (swarm.last_round(watcher) <= looked) return false;
    looked = swarm.last_round(watcher);
    return votes() == founders + names;
  };
  REQUIRE(run_until(swarm, all_vote, 60min));
  swarm.checker().not_calm();
  for (std::size_t i = 0; i < leaving; ++i) {
    swarm.checker().disturbed(swarm.scheduler().now());
    swarm.crash(i);
    const std::uint64_t next = swarm.last_round(watcher) + 2;
    REQUIRE(run_until(swarm, [&] { return swarm.last_round(watcher) >= next; }, 10min));
  }
  CHECK(votes() == founders + names - leaving);
  const swarm::Roster roster = roster_of(swarm, watcher);
  for (std::size_t i = leaving; i < swarm.size(); ++i) CHECK(roster.votes(swarm.member(i).host->id()));
}

TEST_CASE("an audit that nobody was drawn for does not verify, whoever signed it") {
  const auto keys = testing::make_keys(4);
  swarm::Manifest manifest = testing::make_manifest(testing::ids_of(keys));
  manifest.validators = 1;
  const auto rules = RoundRules::make(manifest);
  REQUIRE(rules.has_value());
  for (const swarm::PeerId& audited : manifest.founders) {
    net::MemoryStorage storage;
    const auto ledger = swarm::Ledger::open(storage, swarm::SignedManifest::sign(manifest, keys.front()));
    REQUIRE(ledger.has_value());
    const swarm::Chain& chain = (*ledger)->chain();
    const auto append = [&](const swarm::Outcome& outcome) {
      REQUIRE((*ledger)->append(testing::certify(outcome, keys)).has_value());
    };
    append(testing::next_outcome(chain, (*rules)->run));
    const auto drawn =
        validations_of(manifest, chain.roster(), (*rules)->run, swarm::RoundNumber(2), 0, chain.beacon());
    REQUIRE(drawn.size() == 1);
    append(testing::next_outcome(chain, (*rules)->run));
    auto outcome = testing::next_outcome(chain, (*rules)->run);
    outcome.audited = {audited};
    append(outcome);
    const auto found = audit_ledger(storage, *rules, [](const CertificateAudit&) {}, {.state = false});
    CHECK(found.broken.has_value() == (audited != drawn[0].target));
    if (!found.broken) {
      CHECK(found.votes == 4);
      REQUIRE(found.earned.size() == 4);
      CHECK(found.earned[0].standing.rounds_worked() == swarm::work_window);
    } else {
      CHECK(found.broken->cause.find("nobody was drawn to look") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace testudo::training
