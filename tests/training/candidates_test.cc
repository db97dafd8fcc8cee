// Members without a vote in whole swarms: the others wait for nothing of theirs, however many they are and
// whatever they say; and an honest one is looked at, however slow it is.
#include <algorithm>
#include <set>

#include "swarm/control.h"
#include "tests/training/sim_testing.h"
#include "training/round/part_exchange.h"

namespace testudo::training {
namespace {

constexpr std::size_t founders = swarm::founding_size;

std::vector<TamperedFrame> only(TamperedFrame frame) {
  std::vector<TamperedFrame> frames;
  frames.push_back(std::move(frame));
  return frames;
}

// Its contributions go out so much later.
Tamper slow_contributions(net::Duration by) {
  return [by](const swarm::PeerId&, const std::string& protocol, TamperedFrame frame) {
    const auto key =
        protocol.starts_with("/testudo/part/") ? PartExchange::key_in(frame.header) : std::nullopt;
    if (key && key->kind == PartKind::contribution) frame.hold = by;
    return only(std::move(frame));
  };
}

// An hour more since it began, so that who believes it has come too late for everything.
Tamper began_long_ago() {
  return [](const swarm::PeerId&, const std::string& protocol, TamperedFrame frame) {
    if (!protocol.starts_with("/testudo/round/")) return only(std::move(frame));
    auto control = swarm::decode_control(frame.header);
    auto* hello = control ? std::get_if<swarm::HelloFrame>(&*control) : nullptr;
    if (hello != nullptr && hello->begun_ms) {
      *hello->begun_ms += 3'600'000;
      frame.header = swarm::encode_control(*hello);
    }
    return only(std::move(frame));
  };
}

TEST_CASE(
    "a newcomer whose contributions come after the results is looked at all the same, and earns its vote") {
  SimSwarm swarm({.founders = founders,
                  .joiners = 1,
                  .dimension = 100,
                  .rounds = 400,
                  .validators = 4,
                  .evaluate_every = 0});
  swarm.member(founders).behaviour.tamper = slow_contributions(250ms);
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) == 50; }, 60min));
  const swarm::Roster roster = roster_of(swarm, 0);
  const swarm::PeerId& newcomer = swarm.member(founders).host->id();
  CHECK(roster.standing_of(newcomer).audits == swarm::audits_for_a_vote);
  CHECK(roster.votes(newcomer));
}

TEST_CASE("nobody waits for contributions of members without a vote, not even while they are hashed") {
  constexpr std::uint64_t last_round = 8;
  const auto longest_scatter = [](net::Duration by) {
    SimSwarm swarm({.founders = founders,
                    .joiners = 1,
                    .dimension = 100,
                    .rounds = last_round,
                    .start_members = founders + 1,
                    .validators = 4,
                    .evaluate_every = 0});
    swarm.member(founders).behaviour.tamper = slow_contributions(by);
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) == last_round; }, 30min));
    REQUIRE(roster_of(swarm, 0).contains(swarm.member(founders).host->id()));
    double longest = 0;
    for (const auto& [round, report] : swarm.member(0).reports) {
      if (round < 4) continue;  // where parts open their streams
      const auto scatter = std::ranges::find(report.phases, "scatter", &PhaseTime::phase);
      REQUIRE(scatter != report.phases.end());
      longest = std::max(longest, scatter->seconds);
    }
    return longest;
  };
  // A job of the pool takes 50 ms here; these come while the others' are hashed.
  CHECK(longest_scatter(40ms) < longest_scatter(0ms) + 0.01);
}

TEST_CASE("a flood of names takes nobody's line while a round has deadlines" * doctest::skip(slow_build)) {
  // They send no contributions, so that all that they cost is what the others send them.
  constexpr std::size_t names = 2 * founders;
  constexpr std::uint64_t last_round = 4;
  SimSwarm swarm({.founders = founders,
                  .joiners = names,
                  .hostile = names,
                  .attacks = {"no_parts"},
                  .attack_from = 1,
                  .dimension = 320'000,
                  .adjust =
                      [](swarm::Manifest& manifest) {
                        manifest.growth_cap = 1;
                        manifest.compute_deadline_ms = 60'000;  // names fetch what they do not follow
                      },
                  .rounds = last_round,
                  .start_members = founders + names,
                  .validators = 1,
                  .bandwidth = 300e3,
                  .evaluate_every = 0});
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) == last_round; }, 30min));
  std::vector<std::size_t> present;
  roster_of(swarm, 0, [&](const swarm::EvidenceContext& context) {
    present.push_back(context.outcome.present.size());
  });
  REQUIRE(present == std::vector<std::size_t>{founders, 2 * founders, founders + names, founders + names});
  const auto after_commit = [&](std::uint64_t round) {
    double seconds = 0;
    for (const PhaseTime& phase : swarm.member(0).reports.at(round).phases) {
      const bool earlier = phase.phase == "compute" || phase.phase == "commit" || phase.phase == "certify";
      if (!earlier) seconds += phase.seconds;
    }
    return seconds;
  };
  // What 32 results take a line: they go out when nothing else waits.
  constexpr double a_part = 320e3 / founders / 300e3;
  for (std::uint64_t round = 2; round <= last_round; ++round) {
    CAPTURE(round);
    CHECK(after_commit(round) < after_commit(1) + names * a_part / 4);
  }
  CHECK(swarm.member(0).removals.empty());
}

TEST_CASE("who comes believes only those with a vote when it asks since when a round goes on") {
  constexpr std::size_t names = 7;  // more than F
  constexpr std::size_t newcomer = founders + names;
  SimSwarm swarm({.founders = founders,
                  .joiners = names + 1,
                  .dimension = 100,
                  .rounds = 400,
                  .start_members = founders + names,
                  .validators = 4,
                  .work = 200ms,
                  .evaluate_every = 0});
  for (std::size_t i = founders; i < newcomer; ++i)
    swarm.member(i).behaviour = {.name = "began long ago", .tamper = began_long_ago()};
  for (std::size_t i = 0; i < newcomer; ++i) swarm.start(i);
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= 5; }, 10min));
  REQUIRE(roster_of(swarm, 0).size() == newcomer);
  swarm.start(newcomer);
  const auto& reports = swarm.member(newcomer).reports;
  const auto was_in_a_round = [&] {
    return std::ranges::any_of(reports, [](const auto& entry) { return !entry.second.phases.empty(); });
  };
  REQUIRE(run_until(swarm, was_in_a_round, 10min));
  // It did its work in the first that it was in, and sent it: it was not too late for that.
  const auto first =
      std::ranges::find_if(reports, [](const auto& entry) { return !entry.second.phases.empty(); });
  CHECK(std::ranges::count(first->second.phases, "scatter", &PhaseTime::phase) == 1);
}

}  // namespace
}  // namespace testudo::training
