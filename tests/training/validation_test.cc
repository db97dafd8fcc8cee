// Validators: who is drawn, what is a dispute, how it ends; and in whole swarms, that whoever contributes
// something else than it should, accuses falsely, or validates without computing, is banned, and nobody else.
#include "training/checks/validation.h"

#include <cmath>
#include <limits>
#include <map>

#include "crypto/hash.h"
#include "tests/training/sim_testing.h"
#include "tests/training/support.h"
#include "training/round/payloads.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {
namespace {

using swarm::Fault;
using swarm::PeerId;

std::vector<PeerId> some_peers(std::size_t count) {
  std::vector<PeerId> peers;
  for (std::size_t i = 0; i < count; ++i) {
    Digest seed{};
    seed[0] = static_cast<std::uint8_t>(i);
    peers.push_back(crypto::KeyPair::from_seed(seed).peer_id());
  }
  std::ranges::sort(peers);
  return peers;
}

Sketch sketch_full_of(float value) {
  Sketch sketch;
  sketch.fill(value);
  return sketch;
}

TEST_CASE("validators are at most a quarter, and leave the hostile a minority of the contributors") {
  CHECK(validator_count(3, 0, 5, 0) == 0);
  CHECK(validator_count(4, 1, 5, 0) == 1);
  CHECK(validator_count(16, 7, 5, 0) == 1);  // with 7 of 16 hostile no more fit
  CHECK(validator_count(16, 5, 9, 0) == 4);  // a quarter
  CHECK(validator_count(16, 5, 3, 0) == 3);  // as wanted
  CHECK(validator_count(16, 5, 3, 2) == 1);
  CHECK(validator_count(16, 5, 3, 7) == 0);
  CHECK(validator_count(16, 8, 3, 0) == 0);
  for (std::size_t members = 1; members <= 64; ++members) {
    for (std::size_t hostile = 0; 2 * hostile < members; ++hostile) {
      const std::size_t count = validator_count(members, hostile, 64, 0);
      CHECK(2 * hostile + count < members);
    }
  }
}

TEST_CASE("every member is drawn as often as any other, to validate and to be validated, and never both") {
  constexpr std::size_t members = 8;
  constexpr std::size_t draws = 4000;
  const auto peers = some_peers(members);
  std::map<PeerId, std::size_t> validates;
  std::map<std::pair<PeerId, PeerId>, std::size_t> pairs;
  for (std::uint64_t k = 0; k < draws; ++k) {
    const Digest lot = crypto::Hasher("a lot").integer(k).finish();
    const auto drawn = draw_validations(peers, peers, 2, lot);
    REQUIRE(drawn.size() == 2);
    CHECK(std::set<PeerId>{drawn[0].validator, drawn[1].validator, drawn[0].target, drawn[1].target}.size() ==
          4);
    CHECK(drawn == draw_validations(peers, peers, 2, lot));
    for (const Validation& validation : drawn) {
      ++validates[validation.validator];
      ++pairs[{validation.validator, validation.target}];
    }
  }
  // Binomial: 2000 expected, σ 39 (at most one place a draw); 143 a pair, σ 12. Five σ.
  CHECK(validates.size() == members);
  for (const auto& [peer, count] : validates) CHECK(std::abs(static_cast<double>(count) - 1000) < 5 * 28);
  CHECK(pairs.size() == members * (members - 1));
  for (const auto& [pair, count] : pairs) CHECK(std::abs(static_cast<double>(count) - 1000.0 / 7) < 5 * 12);
}

TEST_CASE(
    "who gives up its seat and has no part in a draw changes nothing; who has, hardly more than its own") {
  const auto peers = some_peers(16);
  std::size_t moved = 0;
  std::size_t left = 0;
  for (std::uint64_t k = 0; k < 200; ++k) {
    const Digest lot = crypto::Hasher("a lot").integer(k).finish();
    const auto before = draw_validations(peers, peers, 3, lot);
    for (const PeerId& leaving : peers) {
      auto others = peers;
      std::erase(others, leaving);
      const auto after = draw_validations(others, others, 3, lot);
      REQUIRE(after.size() == 3);
      const auto has_part = [&](const Validation& drawn) {
        return drawn.validator == leaving || drawn.target == leaving;
      };
      if (std::ranges::none_of(before, has_part)) {
        CHECK(after == before);
        continue;
      }
      ++left;
      for (const Validation& drawn : before) {
        if (!has_part(drawn) && std::ranges::find(after, drawn) == after.end()) ++moved;
      }
    }
  }
  // Six of sixteen have a part. Of the two other draws nearly all stay; places in a list would move all.
  CHECK(left == 200 * 6);
  CHECK(moved < left / 3);
}

TEST_CASE("targets may be others than those who validate, and there are no more draws than targets") {
  const auto peers = some_peers(8);
  const std::vector<PeerId> members(peers.begin(), peers.begin() + 4);
  const std::vector<PeerId> gone(peers.begin() + 4, peers.end());
  const Digest lot{};
  const auto drawn = draw_validations(members, gone, 2, lot);
  REQUIRE(drawn.size() == 2);
  for (const Validation& validation : drawn) {
    CHECK(std::ranges::find(members, validation.validator) != members.end());
    CHECK(std::ranges::find(gone, validation.target) != gone.end());
  }
  CHECK(draw_validations(members, {}, 2, lot).empty());
  CHECK(draw_validations(members, std::vector<PeerId>{peers[7]}, 2, lot).size() == 1);
}

TEST_CASE("a statement is disputed where the sketches that reducers show do not bear it out") {
  const Sketch one = sketch_full_of(1);
  Sketch near = one;
  near[0] += 0.25F;  // a 32nd of the length of 8
  const std::vector<std::optional<Sketch>> shown = {one, std::nullopt, one};
  CHECK_FALSE(is_disputed({true, {one, one, one}}, shown, 0));
  CHECK_FALSE(is_disputed({true, {one, sketch_full_of(9), one}}, shown, 0));  // nobody can tell
  CHECK(is_disputed({true, {one, one, near}}, shown, 0));
  CHECK(is_disputed({true, {one, one, near}}, shown, 0.2));  // the same bytes have the same sketch
  CHECK(is_disputed({false, {one, one, one}}, shown, 0));    // the same bits everywhere: somebody lies
  CHECK_FALSE(is_disputed({false, {one, one, near}}, shown, 0.01));
  CHECK(is_disputed({false, {sketch_full_of(-1), one, one}}, shown, 0.01));
  CHECK(is_disputed({true, {one, one}}, shown, 0));
  CHECK(is_disputed({false, {one, one}}, shown, 0.1));
  CHECK_FALSE(is_disputed({false, {sketch_full_of(0), one, sketch_full_of(0)}},
                          std::vector<std::optional<Sketch>>{sketch_full_of(0), one, sketch_full_of(0)},
                          0.01));
}

TEST_CASE("a contribution is right when its validator says so of most parts, as reducers show them") {
  const Sketch one = sketch_full_of(1);
  const std::optional<Sketch> none;
  using Shown = std::vector<std::optional<Sketch>>;
  const Statement same{true, {one, one, one, one}};
  CHECK(is_right(same, Shown{one, one, one, one}, 0));
  CHECK(is_right(same, Shown{one, none, one, one}, 0));
  CHECK_FALSE(is_right(same, Shown{one, none, none, one}, 0));  // half may be in league with the validator
  CHECK_FALSE(is_right(same, Shown{none, none, none, none}, 0.1));
  CHECK_FALSE(is_right(same, Shown{one, one, one, sketch_full_of(2)}, 0.1));
  const Statement other{false, {one, one, one, one}};
  CHECK(is_right(other, Shown{one, one, one, none}, 0.1));
  CHECK_FALSE(is_right(other, Shown{one, one, one, one}, 0));
  CHECK_FALSE(is_right(other, Shown{one, one, sketch_full_of(-1), none}, 0.1));
  CHECK_FALSE(is_right(Statement{true, {}}, Shown{}, 0));
}

TEST_CASE("a relative distance is that of the whole vectors, and something against nothing is the greatest") {
  RelativeDistance distance;
  CHECK(distance.value() == 0);
  distance.add(9, 16);
  distance.add(0, 9);
  CHECK(distance.value() == doctest::Approx(0.6));
  RelativeDistance nothing;
  nothing.add(0, 0);
  CHECK(nothing.value() == 0);
  nothing.add(1, 0);
  CHECK(nothing.value() == std::numeric_limits<double>::max());
}

TEST_CASE(
    "most measurements decide: beyond two tolerances against the target, within one against the accuser") {
  const auto peers = some_peers(5);
  const auto majority = [](const std::vector<PeerId>& members) { return 2 * members.size() > 5; };
  const auto judge = [&](std::vector<double> distances, bool whole = true) {
    std::vector<std::pair<PeerId, double>> measures;
    for (std::size_t i = 0; i < distances.size(); ++i) measures.emplace_back(peers[i], distances[i]);
    return judge_measures(measures, 0.01, whole, majority);
  };
  CHECK(judge({0.05, 0.05, 0.05, 0.0, 0.0}) == Verdict::wrong_contribution);
  CHECK(judge({0.0, 0.01, 0.005, 0.9, 0.9}) == Verdict::false_accusation);
  CHECK(judge({0.015, 0.02, 0.011, 0.9, 0.0}) == Verdict::undecided);
  CHECK(judge({0.05, 0.05}) == Verdict::undecided);  // too few could measure
  // What was not shown may be what the accuser was right about.
  CHECK(judge({0.0, 0.01, 0.005, 0.9, 0.9}, false) == Verdict::undecided);
  CHECK(judge({0.05, 0.05, 0.05, 0.0, 0.0}, false) == Verdict::wrong_contribution);
  CHECK(judge({}) == Verdict::undecided);
}

// Breaks nothing: counts what a validator says.
class Statements final : public Misconduct {
 public:
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.phase != swarm::Phase::check) return;
    const auto check = CheckPayload::decode(payload);
    if (check && check->recomputed) ++(check->recomputed->same ? same : other);
  }
  std::size_t same = 0;
  std::size_t other = 0;
};

// Eight members, the last of which breaks the rules; validators drawn every round.
struct Ending {
  std::vector<swarm::Removal> removals;
  std::vector<std::uint64_t> rounds;
  PeerId liar;
  std::size_t said_same = 0;  // by honest validators
  std::size_t said_other = 0;
};

Ending run_with(const std::string& attack, std::uint64_t seed, const std::string& rule = "centered_clip",
                std::size_t hostile = 1, double tolerance = 0) {
  SimSwarm swarm({.founders = 3,
                  .joiners = 5,
                  .hostile = hostile,
                  .attacks = {attack.empty() ? "sign_flip" : attack},
                  .dimension = 200,
                  .rounds = 60,
                  .start_members = 8,
                  .rule = rule,
                  .validators = 2,
                  .recompute_tolerance = tolerance,
                  .evaluate_every = 0,
                  .seed = seed});
  const std::size_t honest = swarm.size() - hostile;
  const auto statements = std::make_shared<Statements>();
  for (std::size_t i = 0; i < honest; ++i) swarm.member(i).behaviour.misconduct = statements;
  for (std::size_t i = 0; i < honest && tolerance > 0; i += 2) {
    // Another kind of computer: what it contributes is a twentieth longer than what others compute. As a
    // validator it says nothing, as attackers do: that is a strike, though it counts as honest here.
    swarm.checker().not_calm();
    auto other = make_gradient_attack({.kind = "drift"});
    REQUIRE(other.has_value());
    swarm.member(i).behaviour.misconduct = *other;
  }
  swarm.start_all();
  const auto honest_ended = [&] {
    for (std::size_t i = 0; i < honest; ++i) {
      if (!swarm.member(i).ended) return false;
    }
    return true;
  };
  REQUIRE(run_until(swarm, honest_ended, 120min));
  std::set<PeerId> liars;
  for (std::size_t i = honest; i < swarm.size(); ++i) liars.insert(swarm.member(i).host->id());
  for (std::size_t i = 0; i < honest; ++i) {
    CAPTURE(i);
    REQUIRE(swarm.member(i).ended->has_value());
    for (const auto& removal : swarm.member(i).removals) {
      CHECK_MESSAGE(liars.contains(removal.peer), "an honest member lost its seat: ", name(removal.fault));
    }
  }
  return {swarm.member(0).removals, swarm.member(0).removal_rounds, swarm.member(swarm.size() - 1).host->id(),
          statements->same, statements->other};
}

TEST_CASE(
    "honest members with validators agree, nobody loses its seat, and validators recompute what was sent") {
  for (const char* rule : {"centered_clip", "mean"}) {
    const Ending ending = run_with("", 1, rule, 0);
    CHECK(ending.removals.empty());
    CHECK(ending.said_same > 60);  // two are drawn in nearly every round
    CHECK(ending.said_other == 0);
  }
}

TEST_CASE("a validator that accuses falsely, or has not computed what it vouches for, is banned") {
  const Ending accuser = run_with("false_accusation", 3);
  REQUIRE(accuser.removals.size() == 1);
  CHECK(accuser.removals[0].fault == Fault::false_accusation);
  const Ending lazy = run_with("lazy_validation", 4);
  REQUIRE(lazy.removals.size() == 1);
  CHECK(lazy.removals[0].fault == Fault::wrong_sketch);
}

TEST_CASE(
    "a reducer that lies about a contribution that it holds is banned, not who made it or recomputed it") {
  const Ending ending = run_with("wrong_holding", 5);
  REQUIRE(ending.removals.size() == 1);
  CHECK(ending.removals[0].fault == Fault::wrong_sketch);
}

TEST_CASE("where honest computers differ, a reducer that makes a dispute of it harms only itself") {
  constexpr double tolerance = 0.1;
  const Ending honest = run_with("", 6, "centered_clip", 0, tolerance);
  CHECK(honest.removals.empty());
  CHECK(honest.said_other > 10);
  const Ending ending = run_with("wrong_holding", 7, "centered_clip", 1, tolerance);
  REQUIRE(ending.removals.size() == 1);
  CHECK(ending.removals[0].peer == ending.liar);
  CHECK(ending.removals[0].fault == Fault::wrong_sketch);
}

TEST_CASE("who spoils what nobody else holds, and shows nothing, takes no validator with it") {
  const Ending proven = run_with("hidden_part", 8);  // the committed hashes are enough
  REQUIRE(proven.removals.size() == 1);
  CHECK(proven.removals[0].fault == Fault::wrong_contribution);
  // Where hashes prove nothing, what it said of that part itself does.
  const Ending hidden = run_with("hidden_part", 9, "centered_clip", 1, 0.1);
  REQUIRE(hidden.removals.size() == 1);
  CHECK(hidden.removals[0].fault == Fault::wrong_contribution);
}

TEST_CASE(
    "who gives up its seat before its contribution is disputed is banned in the round after, without one") {
  const Ending ending = run_with("flee", 10);
  REQUIRE(ending.removals.size() > 1);
  CHECK(ending.removals.back().fault == Fault::wrong_contribution);
  const std::size_t last = ending.removals.size() - 1;
  for (std::size_t k = 0; k < last; ++k) CHECK(ending.removals[k].fault == Fault::silent);
  CHECK(ending.rounds[last] == ending.rounds[last - 1] + 1);
}

TEST_CASE("who voids the attempt in which its contribution may be validated is validated in the next") {
  const Ending ending = run_with("flee_by_void", 14);
  REQUIRE(ending.removals.size() > 1);
  CHECK(ending.removals.back().fault == Fault::wrong_contribution);
  for (std::size_t k = 0; k + 1 < ending.removals.size(); ++k)
    CHECK(ending.removals[k].fault == Fault::silent);
}

TEST_CASE("disputes take place in whatever attempt, where others voided those before for a seat each") {
  constexpr std::uint64_t every = 8;  // by then all have their seats back
  std::size_t banned = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    SwarmOptions options{.founders = 10,
                         .joiners = 0,
                         .hostile = 3,
                         .dimension = 200,
                         .rounds = 50,
                         .validators = 2,
                         .evaluate_every = 0,
                         .seed = seed};
    SimSwarm swarm(options);
    for (std::uint32_t k = 0; k < 3; ++k) {
      const auto silent = [k, from = options.attack_from](const swarm::PhaseKey& key) {
        const std::uint64_t round = key.round.value();
        const bool disputed = round > from && (round - from) % every == 2;
        return disputed && key.phase >= swarm::Phase::reveal && key.attempt == swarm::Attempt(k);
      };
      swarm.member(7 + k).behaviour = {.name = "voids", .tamper = silent_where(silent)};
    }
    auto wrong = make_gradient_attack({.from_round = options.attack_from, .every = every});
    REQUIRE(wrong.has_value());
    swarm.member(9).behaviour.misconduct = *wrong;
    swarm.start_all();
    const auto found = [&] {
      return std::ranges::any_of(swarm.member(0).removals,
                                 [](const auto& removal) { return swarm::is_ban(removal.fault); });
    };
    REQUIRE(run_until(swarm, [&] { return found() || swarm.member(0).ended; }, 120min));
    std::map<PeerId, std::size_t> seats;
    for (const auto& removal : swarm.member(0).removals) {
      if (!swarm::is_ban(removal.fault)) {
        ++seats[removal.peer];
        continue;
      }
      CHECK(removal.fault == Fault::wrong_contribution);
      CHECK(removal.peer == swarm.member(9).host->id());
      ++banned;
    }
    CHECK(seats.size() == 3);
    for (const auto& [peer, count] : seats) CHECK(peer != swarm.member(0).host->id());
  }
  CHECK(banned > 0);
}

}  // namespace
}  // namespace testudo::training
