#include "training/simulation/behaviour.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "training/round/payloads.h"
#include "training/simulation/covered_aggregate.h"
#include "training/simulation/false_statements.h"
#include "training/simulation/sync_attacks.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {

namespace {

using swarm::Phase;

CodecKind codec_of(const AttackSetup& setup) {
  return codec_from_name(setup.manifest.codec).value_or(CodecKind::int8);
}

struct NamedAttack {
  AttackName name;
  Behaviour (*make)(const AttackSetup& setup);
};

constexpr NamedAttack attacks[] = {
    {{"equivocate", "two COMMITs, each shown to one half of the members"}, equivocate},
    {{"two_votes", "two votes in each attempt, for different outcomes"}, two_votes},
    {{"silent", "silence in one phase, to all or to half of the members, as the seed says"},
     [](const AttackSetup& setup) {
       constexpr Phase phases[] = {Phase::commit, Phase::reduce, Phase::reveal, Phase::check};
       return silent_in(phases[setup.seed % 4], setup.seed / 4 % 2 == 0, setup.from_round);
     }},
    {{"withhold_parts", "no parts to half of the members"},
     [](const AttackSetup&) { return withhold_parts(); }},
    {{"no_parts", "no parts to anybody, and answers to challenges"},
     [](const AttackSetup& setup) { return no_parts(setup.from_round); }},
    {{"idle", "no contributions"}, [](const AttackSetup& setup) { return idle(setup.from_round); }},
    {{"corrupt_parts", "parts with a flipped bit to half of the members"},
     [](const AttackSetup&) { return corrupt_parts(); }},
    {{"mute", "no parts, and no answers to challenges"},
     [](const AttackSetup& setup) { return mute(setup.from_round); }},
    {{"half_answers", "no parts to half of the members, answers to challenges only to the other half"},
     [](const AttackSetup& setup) { return half_answers(setup.from_round); }},
    {{"late", "every message at its deadline: before it for some, after it for others"}, late},
    {{"late_parts", "every part at its deadline: before it for some, after it for others"}, late_parts},
    {{"unconfirmed", "every message, and never that it holds all of them"}, unconfirmed},
    {{"sybil_votes", "zeros, and votes for outcomes in which everybody else loses the seat"}, sybil_votes},
    {{"replay", "frames of other rounds, attempts and runs, its own and those of others"}, replay},
    {{"challenges", "as many challenges as are allowed, of parts that it has got"},
     [](const AttackSetup& setup) { return challenges(setup.manifest.challenge_limit, setup.from_round); }},
    {{"challenge_flood", "more challenges than are allowed"},
     [](const AttackSetup& setup) { return challenges(part_limit, setup.from_round); }},
    {{"give_up", "as a reducer: its part given up, for what it has got"},
     [](const AttackSetup& setup) { return give_up(setup.from_round); }},
    {{"keep_results", "as a reducer: no result, and not a word why"},
     [](const AttackSetup& setup) { return keep_results(setup.from_round); }},
    {{"idle_checks", "nothing as a validator, and no sketches of what it reduced"},
     [](const AttackSetup& setup) { return idle_checks(setup.from_round); }},
    {{"fewer_samples", "a smaller sample count than it used"},
     [](const AttackSetup& setup) { return wrong_samples(1, setup.from_round); }},
    {{"more_samples", "a greater sample count than anybody is asked for"},
     [](const AttackSetup& setup) { return wrong_samples(setup.manifest.samples + 1, setup.from_round); }},
    {{"wrong_loss", "a loss that its batch does not have"},
     [](const AttackSetup& setup) { return wrong_loss(1e30F, setup.from_round); }},
    {{"wrong_distances", "with an automatic tau: distances a million times as far as they are"},
     [](const AttackSetup& setup) { return wrong_distances(1e6, setup.from_round); }},
    {{"wrong_aggregate", "reduced parts that are shifted by half of their length"},
     [](const AttackSetup& setup) { return wrong_aggregate(codec_of(setup), 0.5, setup.from_round); }},
    {{"quiet_aggregate", "reduced parts that are shifted by less than the sketch check can tell"},
     [](const AttackSetup& setup) { return wrong_aggregate(codec_of(setup), 0.01, setup.from_round); }},
    {{"hidden_aggregate",
      "reduced parts that are shifted far, and nothing shown of what it contributed to them"},
     [](const AttackSetup& setup) { return hidden_aggregate(codec_of(setup), 1000, setup.from_round); }},
    {{"flee", "another gradient in every fifth round, and silence before anybody can dispute it"},
     [](const AttackSetup& setup) { return flee(setup.from_round, setup.collusion); }},
    {{"flee_by_void",
      "another gradient in every fifth round, and no coin in the first attempt of the next one"},
     [](const AttackSetup& setup) { return flee_by_void(setup.from_round, setup.collusion); }},
    {{"hidden_audit", "the same, and nothing of what it holds to auditors, nor in disputes about that"},
     [](const AttackSetup& setup) { return hidden_audit(codec_of(setup), 0.01, setup.from_round); }},
    {{"covered_aggregate", "reduced parts that are shifted, and a report of its own that hides it"},
     covered_aggregate},
    {{"late_audit", "the same as quiet_aggregate, and its own contributions to auditors at the last moment"},
     [](const AttackSetup& setup) {
       // By the end of a round's REVEAL, or after it: a few latencies later.
       const auto hold = setup.manifest.exchange_deadline() * static_cast<std::int64_t>(setup.seed % 8) / 128;
       return late_audit(codec_of(setup), 0.01, hold, setup.from_round);
     }},
    {{"unserved_audit", "as an auditor: of everybody that it kept its contribution from it"},
     [](const AttackSetup& setup) { return unserved_audit(setup.from_round); }},
    {{"withheld_audit", "nothing of its contributions to auditors, nor in disputes about results"},
     [](const AttackSetup& setup) { return withheld_audit(setup.from_round); }},
    {{"no_result", "no reduced parts, as if the rule had not converged"},
     [](const AttackSetup& setup) { return no_result(setup.from_round); }},
    {{"wrong_sketch", "reports of deviations that its contribution does not give"},
     [](const AttackSetup& setup) { return wrong_sketch(setup.from_round); }},
    {{"wrong_reveal", "coins other than the ones committed to"},
     [](const AttackSetup& setup) { return wrong_reveal(setup.from_round); }},
    {{"withheld_reveal", "no coins, once the others can be seen"},
     [](const AttackSetup& setup) { return silent_in(Phase::reveal, true, setup.from_round); }},
    {{"garbage", "changed bytes in one frame of four"},
     [](const AttackSetup& setup) { return garbage(setup.seed); }},
    {{"mixture", "frames dropped and changed at random"},
     [](const AttackSetup& setup) { return mixture(setup.seed, setup.from_round); }},
    {{"false_accusation", "as a validator: contributions that are right are said to be wrong"},
     [](const AttackSetup& setup) { return false_accusation(setup.from_round); }},
    {{"false_audit", "as an auditor: results that are right are said to be wrong"},
     [](const AttackSetup& setup) { return false_audit(setup.from_round); }},
    {{"lazy_validation", "as a validator: contributions are said to be right without computing them"},
     [](const AttackSetup& setup) { return lazy_validation(setup.from_round); }},
    {{"hidden_part", "another gradient in the part that it reduces itself, and nothing shown of it"},
     [](const AttackSetup& setup) { return hidden_part(setup.from_round); }},
    {{"wrong_holding", "as a reducer: sketches that the contributions which it holds do not give"},
     [](const AttackSetup& setup) { return wrong_holding(setup.from_round); }},
    {{"slow_steps", "whoever fetches the state waits nine seconds for each step"},
     [](const AttackSetup&) { return slow_steps(std::chrono::seconds(9)); }},
    {{"slow_ledger", "whoever is behind waits seven seconds for each answer with certificates"},
     [](const AttackSetup&) { return slow_ledger(std::chrono::seconds(7)); }},
    {{"false_heights", "a ledger that is longer than it is, with invented certificates"}, false_heights},
    {{"false_paths", "ways to the state by states that nobody certified"},
     [](const AttackSetup&) { return false_paths(); }},
};

}  // namespace

Result<Behaviour> poisoned(const GradientAttack& attack) {
  TRY(auto misconduct, make_gradient_attack(attack));
  return Behaviour{.name = attack.kind, .misconduct = std::move(misconduct)};
}

const std::vector<AttackName>& attack_names() {
  static const std::vector<AttackName> names = [] {
    std::vector<AttackName> all;
    for (const NamedAttack& attack : attacks) all.push_back(attack.name);
    for (const auto& [name, what] : gradient_attack_names()) all.push_back({name, what});
    return all;
  }();
  return names;
}

Result<Behaviour> make_attack(std::string_view name, const AttackSetup& setup) {
  const auto named =
      std::ranges::find(attacks, name, [](const NamedAttack& attack) { return attack.name.name; });
  if (named != std::end(attacks)) return named->make(setup);
  return poisoned({.kind = std::string(name),
                   .from_round = setup.from_round,
                   .every = setup.every,
                   .seed = setup.seed,
                   .collusion = setup.collusion,
                   .flipped = setup.flipped});
}

}  // namespace testudo::training
