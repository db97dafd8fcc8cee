// Every attack that has a name, in whole swarms: honest members agree and keep their seats, what can be
// proven is banned for the right fault, and what cannot be proven does little.
#include <map>
#include <optional>
#include <set>

#include "tests/training/sim_testing.h"
#include "training/simulation/round_simulation.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {
namespace {

using swarm::Fault;
using swarm::PeerId;

using Ban = std::pair<PeerId, Fault>;

// The bans that each honest member saw, with their rounds: the same for all.
std::map<Ban, std::uint64_t> agreed_bans(SimSwarm& swarm, std::size_t honest) {
  std::optional<std::map<Ban, std::uint64_t>> agreed;
  for (std::size_t i = 0; i < honest; ++i) {
    std::map<Ban, std::uint64_t> bans;
    const auto& member = swarm.member(i);
    for (std::size_t k = 0; k < member.removals.size(); ++k) {
      const auto& removal = member.removals[k];
      if (swarm::is_ban(removal.fault)) bans[{removal.peer, removal.fault}] = member.removal_rounds[k];
    }
    if (!agreed) agreed = bans;
    CHECK(bans == *agreed);
  }
  return *agreed;
}

// Until all hostile members are banned, or the last round.
std::map<Ban, std::uint64_t> run_attack(const SwarmOptions& options) {
  SimSwarm swarm(options);
  const std::size_t honest = swarm.size() - options.hostile;
  std::set<PeerId> liars;
  for (std::size_t i = honest; i < swarm.size(); ++i) liars.insert(swarm.member(i).host->id());
  swarm.start_all();
  const auto finished = [&] {
    for (std::size_t i = 0; i < honest; ++i) {
      const auto& member = swarm.member(i);
      const auto bans = std::ranges::count_if(
          member.removals, [](const auto& removal) { return swarm::is_ban(removal.fault); });
      if (!member.ended && static_cast<std::size_t>(bans) < options.hostile) return false;
    }
    return true;
  };
  REQUIRE(run_until(swarm, finished, 240min));
  for (std::size_t i = 0; i < honest; ++i) {
    CAPTURE(i);
    for (const auto& removal : swarm.member(i).removals) {
      CHECK_MESSAGE(liars.contains(removal.peer), "an honest member lost its seat: ", name(removal.fault));
    }
  }
  return agreed_bans(swarm, honest);
}

SwarmOptions five_with(std::string_view attack, std::uint64_t seed = 1) {
  return {.founders = 5,
          .joiners = 0,
          .hostile = 1,
          .attacks = {std::string(attack)},
          .dimension = 200,
          .rounds = 80,
          .validators = 1,
          .evaluate_every = 0,
          .seed = seed};
}

// From this seed on, the first that has honest members in both of the halves that lies are told to.
std::uint64_t divided_from(std::uint64_t seed) {
  for (;; ++seed) {
    SimSwarm names(five_with("zero", seed));
    std::size_t odd = 0;
    for (std::size_t i = 0; i < 4; ++i) odd += in_other_half(names.member(i).host->id()) ? 1 : 0;
    if (odd > 0 && odd < 4) return seed;
  }
}

// What proves the attack, where something does.
const std::map<std::string_view, Fault>& proofs() {
  static const std::map<std::string_view, Fault> all = [] {
    std::map<std::string_view, Fault> faults = {{"equivocate", Fault::equivocation},
                                                {"challenge_flood", Fault::malformed},
                                                {"more_samples", Fault::malformed},
                                                {"fewer_samples", Fault::wrong_contribution},
                                                {"wrong_aggregate", Fault::wrong_aggregate},
                                                {"no_result", Fault::wrong_aggregate},
                                                {"quiet_aggregate", Fault::wrong_aggregate},
                                                {"covered_aggregate", Fault::wrong_aggregate},
                                                {"false_audit", Fault::false_accusation},
                                                {"wrong_sketch", Fault::wrong_sketch},
                                                {"wrong_reveal", Fault::wrong_reveal},
                                                {"lazy_validation", Fault::wrong_sketch},
                                                {"false_accusation", Fault::false_accusation},
                                                {"wrong_holding", Fault::wrong_sketch},
                                                {"hidden_part", Fault::wrong_contribution},
                                                {"two_votes", Fault::equivocation},
                                                {"hidden_aggregate", Fault::wrong_aggregate},
                                                {"flee", Fault::wrong_contribution},
                                                {"flee_by_void", Fault::wrong_contribution},
                                                {"sybil_votes", Fault::equivocation}};
    for (const auto& [name, what] : gradient_attack_names()) faults.emplace(name, Fault::wrong_contribution);
    faults.erase("one_computer");  // whose first name does its own work
    return faults;
  }();
  return all;
}

TEST_CASE("what can be proven is banned for what it is, by all in the same round, whatever the rule") {
  std::uint64_t seed = 0;
  Picked picked;
  for (const auto& [attack, fault] : proofs()) {
    for (const char* rule : {"centered_clip", "coordinate_median"}) {
      // Only sums of clipped contributions are checked by sketches.
      const bool sketched = attack == "hidden_aggregate" || attack == "wrong_sketch";
      if (!picked.next() || (sketched && rule != std::string("centered_clip"))) continue;
      CAPTURE(attack);
      CAPTURE(rule);
      seed = divided_from(seed + 1);
      SwarmOptions options = five_with(attack, seed);
      options.rule = rule;
      const auto bans = run_attack(options);
      REQUIRE(bans.size() == 1);
      CHECK(bans.begin()->first.second == fault);
    }
  }
}

TEST_CASE("what cannot be proven bans nobody, costs no honest seat, and leaves the training what it was") {
  RoundSimulationOptions options;
  options.swarm = five_with("", divided_from(2));
  options.swarm.hostile = 0;
  options.swarm.rounds = 12;
  const double undisturbed = simulate_round(options).final_loss;
  options.swarm.hostile = 1;
  for (const AttackName& attack : attack_names()) {
    // Whoever hides a wrong result from auditors rests because of that, if it is not banned before.
    if (proofs().contains(attack.name) || attack.name == "hidden_audit" || attack.name == "late_audit")
      continue;
    CAPTURE(attack.name);
    options.swarm.attacks = {std::string(attack.name)};
    options.swarm.tau = attack.name == "wrong_distances" ? 0 : 5;
    const auto report = simulate_round(options);
    for (const Violation& violation : report.violations) FAIL_CHECK(to_text(violation));
    CHECK(report.applied == 12);
    CHECK(report.banned_hostile == 0);
    CHECK(report.banned_honest == 0);
    CHECK(report.eliminated_honest == 0);
    CHECK(report.final_loss < 1.5 * undisturbed);
  }
}

TEST_CASE("reducers that leave somebody out together, more than it may challenge, do not cost it its seat") {
  for (const std::uint64_t seed : {5U, 6U}) {  // more of them to one honest member than anybody else asks for
    CAPTURE(seed);
    RoundSimulationOptions options;
    options.swarm = five_with("withhold_parts", seed);
    options.swarm.founders = 9;
    options.swarm.hostile = 4;
    options.swarm.survive = 0.45;
    options.swarm.validators = 0;
    options.swarm.dimension = 100;
    options.swarm.rounds = 3;
    const auto report = simulate_round(options);
    for (const Violation& violation : report.violations) FAIL_CHECK(to_text(violation));
    CHECK(report.eliminated_honest == 0);
    CHECK(report.voided == 0);
  }
}

TEST_CASE("an attacker that rests between its attacks is banned all the same") {
  for (std::uint64_t seed = 1; seed <= seeds(4); ++seed) {
    CAPTURE(seed);
    SwarmOptions options = five_with("sign_flip", seed);
    options.attack_every = 5;
    options.rounds = 300;
    const auto bans = run_attack(options);
    REQUIRE(bans.size() == 1);
    CHECK(bans.begin()->first.second == Fault::wrong_contribution);
    CHECK((bans.begin()->second - options.attack_from) % 5 == 2);  // two rounds after an attacked one
  }
}

TEST_CASE("a drift within the tolerance is accepted and does little; beyond it, it is banned") {
  const auto drifting = [](double tolerance) {
    SwarmOptions options = five_with("drift", 3);
    options.recompute_tolerance = tolerance;
    return options;
  };
  RoundSimulationOptions within;
  within.swarm = drifting(0.1);
  within.swarm.rounds = 20;
  const auto report = simulate_round(within);
  for (const Violation& violation : report.violations) FAIL_CHECK(to_text(violation));
  CHECK(report.banned_hostile + report.banned_honest + report.eliminated_honest == 0);
  within.swarm.hostile = 0;
  CHECK(report.final_loss < 1.1 * simulate_round(within).final_loss);
  const auto bans = run_attack(drifting(0.01));
  REQUIRE(bans.size() == 1);
  CHECK(bans.begin()->first.second == Fault::wrong_contribution);
}

TEST_CASE("of many names on one computer, all but one are banned") {
  SwarmOptions options = five_with("one_computer", 4);
  options.founders = 8;
  options.hostile = 2;
  options.rounds = 60;
  const auto bans = run_attack(options);
  REQUIRE(bans.size() == 1);
  CHECK(bans.begin()->first.second == Fault::wrong_contribution);
}

}  // namespace
}  // namespace testudo::training
