// A run that few found and many join: from the rounds in which the founders decide to those in which whoever
// earned a vote does.
#include <algorithm>

#include "tests/training/sim_testing.h"

namespace testudo::training {
namespace {

constexpr std::size_t everybody = 20;

// Nothing happens to anybody on the way, and in the end all have a vote. How many rounds the founders decide.
std::uint64_t rounds_of_founding(std::size_t founders, std::uint32_t validators, std::uint64_t seed) {
  CAPTURE(founders);
  CAPTURE(validators);
  CAPTURE(seed);
  SimSwarm swarm({.founders = founders,
                  .joiners = everybody - founders,
                  .dimension = 50,
                  .rounds = 1000,
                  .validators = validators,
                  .evaluate_every = 0,
                  .seed = seed});
  swarm.start_all();
  const auto all_hold = [&](std::uint64_t round) {
    for (std::size_t i = 0; i < swarm.size(); ++i) {
      if (swarm.last_round(i) < round) return false;
    }
    return true;
  };
  std::uint64_t founded = 0;  // the first round that ends without the founders
  const auto is_founded = [&] {
    const auto& reports = swarm.member(0).reports;
    const auto first =
        std::ranges::find_if(reports, [](const auto& entry) { return !entry.second.founding; });
    if (first != reports.end()) founded = first->first;
    return founded > 0;
  };
  REQUIRE(run_until(swarm, is_founded, 4h));
  // Those that have no vote then go on earning it.
  std::uint64_t now = founded;
  do {
    now += 5;
    REQUIRE(run_until(swarm, [&] { return all_hold(now); }, 1h));
  } while (roster_of(swarm, 0).total_weight() < everybody && now < founded + 300);

  const swarm::Roster roster = roster_of(swarm, 0);
  CHECK_FALSE(roster.founding());
  CHECK(roster.size() == everybody);
  CHECK(roster.total_weight() == everybody);
  for (std::size_t i = 0; i < swarm.size(); ++i) {
    CHECK(swarm.member(i).removals.empty());
    CHECK(swarm.member(i).strikes.empty());
    for (std::uint64_t round = founded; round <= now; ++round) {
      const RoundReport& report = swarm.member(i).reports.at(round);
      CHECK(report.parameters == swarm.member(0).reports.at(round).parameters);
      CHECK(report.attempt == swarm::Attempt(0));
    }
    CHECK(swarm.member(i).holds() >= now);
  }
  // Some had none at first: they were there, and did not count.
  std::size_t fewest = everybody;
  roster_of(swarm, 0, [&](const swarm::EvidenceContext& context) {
    if (!context.roster->founding())
      fewest = std::min(fewest, static_cast<std::size_t>(context.roster->total_weight()));
  });
  CHECK(fewest >= swarm::founding_size);
  CHECK(fewest < everybody);
  return founded;
}

TEST_CASE("a run with few founders becomes one in which all that worked decide, and nobody notices") {
  rounds_of_founding(2, 4, 1);
  if (!slow_build) rounds_of_founding(1, 1, 1);
}

}  // namespace
}  // namespace testudo::training
