// After how many rounds an attacker is banned: what swarms do against what the draws of validators let expect
// (docs/simulator.md, "How long until a ban").
#include <cmath>
#include <set>

#include "crypto/hash.h"
#include "tests/training/sim_testing.h"
#include "training/checks/validation.h"

namespace testudo::training {
namespace {

using swarm::PeerId;

// The mean of a sample and how far it is off by chance (one standard error).
struct Sample {
  double sum = 0;
  double squares = 0;
  double count = 0;

  void add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  double mean() const { return sum / count; }
  double error() const { return std::sqrt((squares / count - mean() * mean()) / (count - 1)); }
};

SwarmOptions swarm_of(std::size_t members, std::size_t hostile, std::uint64_t every, std::uint64_t seed) {
  return {.founders = members,
          .joiners = 0,
          .hostile = hostile,
          .attack_from = 2,
          .attack_every = every,
          .dimension = 16,
          .rounds = 1000,
          .validators = 1,
          .evaluate_every = 0,
          .seed = seed};
}

// Rounds from the first attacked one to the one that bans, both counted; of each attacker.
std::vector<std::uint64_t> rounds_to_ban(const SwarmOptions& options,
                                         swarm::Fault fault = swarm::Fault::wrong_contribution) {
  SimSwarm swarm(options);
  swarm.start_all();
  const auto& witness = swarm.member(0);
  REQUIRE(run_until(swarm, [&] { return witness.removals.size() == options.hostile; }, 100h));
  std::vector<std::uint64_t> rounds;
  for (std::size_t k = 0; k < options.hostile; ++k) {
    CHECK(witness.removals[k].fault == fault);
    rounds.push_back(witness.removal_rounds[k] + 1 - options.attack_from);
  }
  return rounds;
}

// Of a lone attacker among n, with m validators, that attacks in every k-th round, exactly. It is drawn to
// validate with the chance a = m / n, and contributes nothing then; it is a target with the chance q = m / n.
// An attack is found out if it is no validator in its round and a target in the next; the ban comes a round
// after that.
double expected_rounds(double members, double validators, double every) {
  const double a = validators / members;
  const double q = validators / members;
  const double found = q * (1 - a);
  if (every > 1) return every * (1 / found - 1) + 3;
  // The draw of one round ends one attack and begins the next: a target is no validator.
  return 1 / found + a / (1 - a) + 2;
}

TEST_CASE("a lone attacker is banned after as many rounds on average as the draws let expect") {
  for (const std::uint64_t every : {1U, 4U}) {
    Sample sample;
    for (std::uint64_t seed = 1; seed <= seeds(every == 1 ? 50 : 12); ++seed) {
      CAPTURE(seed);
      for (const std::uint64_t rounds : rounds_to_ban(swarm_of(4, 1, every, seed))) {
        sample.add(static_cast<double>(rounds));
      }
    }
    const double expected = expected_rounds(4, 1, static_cast<double>(every));
    // Of a geometric distribution; a sample's own spread is small just where its mean is.
    const double found = 0.25 * 0.75;
    const double error = static_cast<double>(every) * std::sqrt(1 - found) / found / std::sqrt(sample.count);
    CAPTURE(every);
    CAPTURE(expected);
    CAPTURE(sample.mean());
    CAPTURE(error);
    CHECK(std::abs(sample.mean() - expected) < 3 * error);
  }
}

// Of a lone reducer that shifts its part in every round: the part is drawn with the chance m / n, and its
// auditor is another member; the ban comes a round after that.
TEST_CASE("a lone reducer that shifts its results is banned after as many rounds as the draws let expect") {
  const double found = 0.25 * 0.75;
  Sample sample;
  for (std::uint64_t seed = 1; seed <= seeds(50); ++seed) {
    CAPTURE(seed);
    SwarmOptions options = swarm_of(4, 1, 1, seed);
    options.attacks = {"quiet_aggregate"};
    options.rule = "mean";  // whose results no sketch checks
    for (const std::uint64_t rounds : rounds_to_ban(options, swarm::Fault::wrong_aggregate)) {
      sample.add(static_cast<double>(rounds));
    }
  }
  const double expected = 1 / found + 2;
  const double error = std::sqrt(1 - found) / found / std::sqrt(sample.count);
  CAPTURE(expected);
  CAPTURE(sample.mean());
  CAPTURE(error);
  CHECK(std::abs(sample.mean() - expected) < 3 * error);
}

// The draws alone, of a run in which nobody does anything else: who is drawn, whom an honest validator finds.
std::vector<std::uint64_t> drawn_rounds(std::size_t members, std::size_t hostile, std::uint64_t seed) {
  std::vector<PeerId> ids;
  for (std::size_t i = 0; i < members; ++i) {
    ids.push_back(crypto::KeyPair::from_seed(crypto::Hasher("a member").integer(i).finish()).peer_id());
  }
  std::ranges::sort(ids);
  std::set<PeerId> liars(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(hostile));
  std::set<PeerId> attacked;                       // in the round before
  std::map<std::uint64_t, std::set<PeerId>> bans;  // by the round that bans
  std::vector<std::uint64_t> rounds;
  for (std::uint64_t round = 1; !liars.empty(); ++round) {
    const swarm::Roster roster(ids);
    const std::size_t count =
        validator_count(roster.size(), roster.greatest_hostile_count(swarm::Manifest().hostile_share), 1, 0);
    const auto drawn =
        draw_validations(ids, ids, count, crypto::Hasher("lot").integer(seed).integer(round).finish());
    std::set<PeerId> attacks = liars;
    for (const Validation& validation : drawn) {
      attacks.erase(validation.validator);
      if (attacked.contains(validation.target) && !liars.contains(validation.validator)) {
        bans[round + 1].insert(validation.target);
      }
    }
    for (const PeerId& banned : bans[round]) {
      if (liars.erase(banned) == 0) continue;
      attacks.erase(banned);
      std::erase(ids, banned);
      rounds.push_back(round);
    }
    attacked = attacks;
  }
  return rounds;
}

TEST_CASE("several attackers that shield one another are banned as the draws let expect, one after another") {
  Sample expected;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    for (const std::uint64_t rounds : drawn_rounds(6, 2, seed)) expected.add(static_cast<double>(rounds));
  }
  Sample sample;
  for (std::uint64_t seed = 1; seed <= seeds(10); ++seed) {
    CAPTURE(seed);
    for (const std::uint64_t rounds : rounds_to_ban(swarm_of(6, 2, 1, seed))) {
      sample.add(static_cast<double>(rounds));
    }
  }
  CAPTURE(expected.mean());
  CAPTURE(expected.error());
  CAPTURE(sample.mean());
  CAPTURE(sample.error());
  CHECK(std::abs(sample.mean() - expected.mean()) < 3 * (sample.error() + expected.error()));
}

TEST_CASE("the draws of a lone attacker are as long as the formula says") {
  for (const std::size_t members : {4U, 5U, 8U}) {
    Sample sample;
    for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
      sample.add(static_cast<double>(drawn_rounds(members, 1, seed).front()));
    }
    CHECK(std::abs(sample.mean() - expected_rounds(static_cast<double>(members), 1, 1)) < 3 * sample.error());
  }
}

}  // namespace
}  // namespace testudo::training
