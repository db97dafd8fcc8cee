// Members that break the rules on the wire: the honest ones end every round alike, and who can be shown to
// have lied is banned by all in the same round.
#include "tests/training/sim_testing.h"
#include "training/simulation/false_statements.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {
namespace {

using swarm::Phase;

constexpr std::size_t liar = 4;  // of five members, three of them founders
constexpr std::uint64_t from_round = 6;

struct Ending {
  std::vector<swarm::Removal> of_liar;  // as the first founder saw it
  std::uint64_t slowest_ms = 0;
  std::uint64_t round = 0;  // of the first removal
};

SwarmOptions options_of(std::uint64_t seed, std::string rule = "centered_clip") {
  return {.founders = 3,
          .joiners = 2,
          .dimension = 200,
          .rounds = 14,
          .start_members = 5,
          .rule = std::move(rule),
          .seed = seed};
}

// Runs five members, the last of which tampers, and checks what must hold for the honest.
Ending run_with(const Behaviour& behaviour, std::uint64_t seed = 1, std::string rule = "centered_clip") {
  SimSwarm swarm(options_of(seed, std::move(rule)));
  swarm.member(liar).behaviour = behaviour;
  std::size_t odd_members = 0;
  for (std::size_t i = 0; i < liar; ++i) odd_members += in_other_half(swarm.member(i).host->id()) ? 1 : 0;
  REQUIRE_MESSAGE((seed != 1 || (odd_members > 0 && odd_members < liar)),
                  "choose another way to split the members");
  swarm.start_all();
  const auto honest_ended = [&] {
    for (std::size_t i = 0; i < liar; ++i) {
      if (!swarm.member(i).ended) return false;
    }
    return true;
  };
  REQUIRE(run_until(swarm, honest_ended, 60min));
  Ending ending;
  for (std::size_t i = 0; i < liar; ++i) {
    CAPTURE(i);
    REQUIRE(swarm.member(i).ended->has_value());
    CHECK(swarm.last_round(i) == 14);
    for (const auto& removal : swarm.member(i).removals) {
      CHECK_MESSAGE(removal.peer == swarm.member(liar).host->id(),
                    "an honest member lost its seat: ", name(removal.fault));
    }
  }
  ending.of_liar = swarm.member(0).removals;
  if (!ending.of_liar.empty()) ending.round = swarm.member(0).removal_rounds.front();
  for (const auto& [round, report] : swarm.member(0).reports) {
    ending.slowest_ms = std::max(ending.slowest_ms, static_cast<std::uint64_t>(report.seconds * 1000));
  }
  return ending;
}

bool has(const Ending& ending, swarm::Fault fault) {
  return std::ranges::any_of(ending.of_liar, [fault](const auto& removal) { return removal.fault == fault; });
}

TEST_CASE("who signs two COMMITs and shows them to different members is banned on evidence") {
  SimSwarm names(options_of(1));
  const Ending ending = run_with(equivocate({.manifest = names.manifest(),
                                             .identity = names.member(liar).host->identity(),
                                             .from_round = from_round}));
  REQUIRE(has(ending, swarm::Fault::equivocation));
  CHECK(is_ban(ending.of_liar.back().fault));  // and never came back
}

TEST_CASE("who signs two outcomes of one attempt is banned for it in the next round") {
  SimSwarm names(options_of(1));
  const Ending ending = run_with(two_votes({.manifest = names.manifest(),
                                            .identity = names.member(liar).host->identity(),
                                            .from_round = from_round}));
  REQUIRE(ending.of_liar.size() == 1);
  CHECK(ending.of_liar[0].fault == swarm::Fault::equivocation);
  CHECK(ending.round == from_round + 1);
}

TEST_CASE(
    "who is silent in a phase, to everybody or to some, costs one slow round and its own seat at most") {
  for (const Phase phase : {Phase::commit, Phase::reduce, Phase::reveal, Phase::check}) {
    for (const bool everybody : {true, false}) {
      CAPTURE(name(phase));
      CAPTURE(everybody);
      const Ending ending = run_with(silent_in(phase, everybody, from_round));
      if (everybody) CHECK_FALSE(ending.of_liar.empty());
      // compute 10 s + slow path, or the exchange phases at their deadlines.
      CHECK(ending.slowest_ms < 40'000);
    }
  }
}

TEST_CASE("parts that are withheld or changed are challenged, served, and nobody honest pays") {
  run_with(withhold_parts());
  run_with(corrupt_parts());
}

TEST_CASE("three of ten that send no parts to anybody keep no part of the others' from being applied" *
          doctest::skip(slow_build)) {
  SimSwarm swarm({.founders = 10,
                  .joiners = 0,
                  .hostile = 3,
                  .attacks = {"no_parts"},
                  .attack_from = 3,
                  .rounds = 40,
                  .start_members = 10});
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 6h));
  const auto evaluated = swarm.model()->evaluate(swarm.member(0).participant->parameters());
  REQUIRE(evaluated.has_value());
  CHECK(evaluated->loss < 0.1);
}

TEST_CASE("a member that commits to nothing cannot keep rounds from being applied") {
  for (const std::size_t members : {3U, 6U}) {
    CAPTURE(members);
    SimSwarm swarm({.founders = members,
                    .joiners = 0,
                    .hostile = members / 3,
                    .attacks = {"idle"},
                    .attack_from = 3,
                    .rounds = 10,
                    .start_members = static_cast<std::uint32_t>(members)});
    swarm.start_all();
    const auto honest_ended = [&] {
      for (std::size_t i = 0; i < members - members / 3; ++i) {
        if (!swarm.member(i).ended) return false;
      }
      return true;
    };
    REQUIRE(run_until(swarm, honest_ended, 60min));
    CHECK(swarm.last_round(0) == 10);
    for (const auto& removal : swarm.member(0).removals) CHECK(removal.fault == swarm::Fault::absent);
    CHECK_FALSE(swarm.member(0).removals.empty());
  }
}

TEST_CASE("who neither sends its parts nor answers challenges loses its seat") {
  CHECK_FALSE(run_with(mute(from_round)).of_liar.empty());
}

TEST_CASE("who publishes a wrong aggregate is banned in the same round, and its part is put right") {
  for (const double shift : {0.5, 3.0, 1000.0}) {
    CAPTURE(shift);
    const Ending ending = run_with(wrong_aggregate(CodecKind::int8, shift, from_round));
    REQUIRE(ending.of_liar.size() == 1);
    CHECK(ending.of_liar[0].fault == swarm::Fault::wrong_aggregate);
    CHECK(ending.round == from_round);
  }
}

TEST_CASE("a result that no contributions can have bans its reducer, whatever it shows of its own") {
  const Ending ending = run_with(hidden_aggregate(CodecKind::int8, 1000, from_round));
  REQUIRE(ending.of_liar.size() == 1);
  CHECK(ending.of_liar[0].fault == swarm::Fault::wrong_aggregate);
  CHECK(ending.round == from_round);
}

TEST_CASE("with any rule, who says that it has no result is banned when everybody has found it") {
  for (const std::string rule :
       {"mean", "coordinate_median", "trimmed_mean", "geometric_median", "krum", "multi_krum",
        "centered_clip", "nnm+centered_clip", "nnm+krum", "bucketing:2+nnm+trimmed_mean"}) {
    CAPTURE(rule);
    const Ending ending = run_with(no_result(from_round), 1, rule);
    REQUIRE(ending.of_liar.size() == 1);
    CHECK(ending.of_liar[0].fault == swarm::Fault::wrong_aggregate);
    CHECK(ending.round == from_round);
  }
}

TEST_CASE("who reports a deviation that its contribution does not give is banned in the same round") {
  const Ending ending = run_with(wrong_sketch(from_round));
  REQUIRE(ending.of_liar.size() == 1);
  CHECK(ending.of_liar[0].fault == swarm::Fault::wrong_sketch);
  CHECK(ending.round == from_round);
}

TEST_CASE("who reveals another coin than it committed to is banned, and the round is begun again") {
  const Ending ending = run_with(wrong_reveal(from_round));
  REQUIRE(ending.of_liar.size() == 1);
  CHECK(ending.of_liar[0].fault == swarm::Fault::wrong_reveal);
  CHECK(ending.round == from_round);
}

TEST_CASE("garbage in place of frames changes nothing") { run_with(garbage(7)); }

TEST_CASE("random mixtures of silence, half-truths and changed bytes never make honest members diverge") {
  for (std::uint64_t seed = 1; seed <= seeds(15); ++seed) {
    CAPTURE(seed);
    run_with(mixture(seed, from_round), seed);
  }
}

}  // namespace
}  // namespace testudo::training
