#include <algorithm>
#include <ranges>

#include "swarm/control.h"
#include "tests/training/sim_testing.h"

namespace testudo::training {
namespace {

void check_all_finished(SimSwarm& swarm, std::size_t members, std::uint64_t rounds) {
  for (std::size_t i = 0; i < members; ++i) {
    CAPTURE(i);
    auto& member = swarm.member(i);
    REQUIRE(member.ended.has_value());
    REQUIRE_MESSAGE(member.ended->has_value(),
                    (member.ended->has_value() ? "" : member.ended->error().message));
    CHECK(swarm.last_round(i) == rounds);
    CHECK(parameters_digest(member.participant->parameters()) ==
          swarm.member(0).reports.at(rounds).parameters);
  }
}

TEST_CASE("founders that are far apart, and find one another one by one, begin their first round together") {
  SimSwarm swarm(
      {.founders = 14, .joiners = 0, .rounds = 3, .start_members = 14, .latency = 150ms, .jitter = 20ms});
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 1h));
  CHECK(swarm.checker().attempts() == 3);
  CHECK(swarm.member(0).strikes.empty());
}

TEST_CASE("a founder that comes when the others have just begun has no more time than they have") {
  constexpr std::size_t late = 0;
  constexpr std::size_t liar = 3;
  SimSwarm swarm({.founders = 4, .joiners = 0, .rounds = 2, .linger = 1h});
  // The late one gets the liar's COMMIT from the others, at their T: what it then says came too late for
  // them.
  swarm.member(liar).behaviour = {
      .name = "nothing for one",
      .tamper = [to_whom = swarm.member(late).host->id()](const swarm::PeerId& to,
                                                          const std::string& protocol, TamperedFrame frame) {
        std::vector<TamperedFrame> frames;
        if (to != to_whom || !protocol.starts_with("/testudo/round/")) frames.push_back(std::move(frame));
        return frames;
      }};
  for (std::size_t i = 1; i < 4; ++i) swarm.start(i);
  // They do not wait for it any longer.
  REQUIRE(run_until(swarm, [&] { return swarm.member(1).started_round == 1; }, 5min));
  run_until(swarm, [] { return false; }, 2s);
  swarm.start(late);
  REQUIRE(
      run_until(swarm, [&] { return swarm.member(late).holds() == 2 && swarm.member(1).holds() == 2; }, 1h));
  CHECK(swarm.member(late).removals.empty());
}

bool is_commit(const std::string& protocol, const TamperedFrame& frame, std::uint64_t round) {
  if (!protocol.starts_with("/testudo/round/")) return false;
  const auto control = swarm::decode_control(frame.header);
  const auto* broadcast = control ? std::get_if<swarm::BroadcastFrame>(&*control) : nullptr;
  const auto* message = broadcast != nullptr ? std::get_if<swarm::PhaseMessage>(broadcast) : nullptr;
  return message != nullptr && message->key.phase == swarm::Phase::commit &&
         message->key.round == swarm::RoundNumber(round);
}

TEST_CASE("a member that has the certificate later than the others has no more time in the next round") {
  constexpr std::size_t late = 0;
  constexpr std::size_t liar = 3;
  constexpr std::uint64_t rounds = 4;
  SimSwarm swarm({.founders = 4, .joiners = 0, .rounds = rounds, .linger = 1h});
  // In round 3 its contribution is for the late one's eyes: with a T of its own that one counts it, and what
  // it relays then comes too late for the others.
  swarm.member(liar).behaviour = {
      .name = "commits to one",
      .tamper = [to_whom = swarm.member(late).host->id()](const swarm::PeerId& to,
                                                          const std::string& protocol, TamperedFrame frame) {
        std::vector<TamperedFrame> frames;
        if (to == to_whom || !is_commit(protocol, frame, 3)) frames.push_back(std::move(frame));
        return frames;
      }};
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.member(late).voted_round == 2; }, 5min));
  swarm.checker().not_calm();
  swarm.network().partition({{swarm.member(late).host}}, net::SimNetwork::Across::stalls);
  run_until(swarm, [] { return false; }, 4s);
  REQUIRE(swarm.member(late).started_round == 2);
  REQUIRE(swarm.member(1).started_round == 3);
  swarm.network().heal();
  swarm.checker().disturbed(swarm.scheduler().now());
  const auto all_hold = [&] {
    return std::ranges::all_of(std::views::iota(std::size_t{0}, liar),
                               [&](std::size_t i) { return swarm.member(i).holds() == rounds; });
  };
  CHECK(run_until(swarm, all_hold, 1h));
  CHECK(swarm.member(1).removals.empty());
  const net::PeerId liars_id = swarm.member(liar).host->id();
  for (const auto& [round, strike] : swarm.member(1).strikes) {
    const bool of_liar = strike.peer == liars_id || strike.other == liars_id;
    CHECK(of_liar);
  }
}

TEST_CASE("a lone founder trains by itself") {
  SimSwarm swarm({.founders = 1, .joiners = 0, .rounds = 5});
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 10min));
  check_all_finished(swarm, 1, 5);
}

TEST_CASE("founders and joiners find one another and end with the same parameters") {
  for (const char* codec : {"fp32", "fp16", "int8"}) {
    CAPTURE(codec);
    SimSwarm swarm({.founders = 3, .joiners = 4, .rounds = 15, .codec = codec});
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 20min));
    check_all_finished(swarm, 7, 15);
    CHECK(swarm.member(0).reports.at(15).members == 7);
    CHECK(swarm.member(0).removals.empty());
    CHECK(swarm.member(0).reports.at(15).evaluation.has_value());
  }
}

TEST_CASE("a round without faults takes ten one-way latencies") {
  constexpr net::Duration latency = 100ms;
  for (const std::uint32_t validators : {0U, 1U}) {
    CAPTURE(validators);
    SimSwarm swarm({.founders = 5,
                    .joiners = 0,
                    .rounds = 8,
                    .start_members = 5,
                    .validators = validators,
                    .latency = latency,
                    .jitter = 0ms,
                    .work = 0ms,
                    .evaluate_every = 0});
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 10min));
    const auto& reports = swarm.member(0).reports;
    // The first round waits for connections.
    for (std::uint64_t round = 3; round <= 8; ++round) {
      std::string phases;
      for (const PhaseTime& phase : reports.at(round).phases)
        phases += phase.phase + " " + std::to_string(phase.seconds) + " ";
      CAPTURE(phases);
      CHECK(reports.at(round).seconds < 10.5 * net::seconds(latency));
    }
  }
}

TEST_CASE("CenteredClip trains through three sign flippers of ten, plain averaging does not" *
          doctest::skip(slow_build)) {
  const auto final_loss = [](const std::string& rule) {
    SimSwarm swarm({.founders = 5, .joiners = 5, .hostile = 3, .rounds = 60, .rule = rule});
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 60min));
    // Under plain averaging everything grows until the attackers' values are refused: they need not be there
    // at the end.
    check_all_finished(swarm, rule == "mean" ? 7 : 10, 60);
    const auto evaluated = swarm.model()->evaluate(swarm.member(0).participant->parameters());
    REQUIRE(evaluated.has_value());
    return evaluated->loss;
  };
  const double clipped = final_loss("centered_clip");
  const double averaged = final_loss("mean");
  CHECK(clipped < 0.05);
  CHECK(averaged > 1.0);
}

TEST_CASE("a swarm of seven trains through as many sign flippers as its rule bears") {
  struct Case {
    std::string rule;
    std::size_t hostile;
  };
  // Seven members make four buckets, of which one may be spoilt.
  for (const auto& [rule, hostile] : {Case{"coordinate_median", 2},
                                      {"trimmed_mean", 2},
                                      {"geometric_median", 2},
                                      {"krum", 2},
                                      {"multi_krum", 2},
                                      {"nnm+trimmed_mean", 2},
                                      {"nnm+geometric_median", 2},
                                      {"nnm+centered_clip", 2},
                                      {"bucketing:2+geometric_median", 1},
                                      {"bucketing:2+nnm+trimmed_mean", 1}}) {
    CAPTURE(rule);
    SimSwarm swarm({.founders = 4, .joiners = 3, .hostile = hostile, .rounds = 15, .rule = rule});
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 20min));
    check_all_finished(swarm, 7, 15);
    const auto evaluated = swarm.model()->evaluate(swarm.member(0).participant->parameters());
    REQUIRE(evaluated.has_value());
    CHECK(evaluated->loss < 0.1);
  }
}

TEST_CASE("with the joiner killed in any phase the founder goes on within the round's worst time") {
  for (std::uint64_t seed = 1; seed <= seeds(12); ++seed) {
    CAPTURE(seed);
    SimSwarm swarm({.founders = 1, .joiners = 1, .rounds = 40, .seed = seed});
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.last_round(1) >= 3; }, 10min));
    swarm.scheduler().run_for(net::Duration(std::chrono::milliseconds(17 * seed)));
    const std::uint64_t before = swarm.last_round(0);
    swarm.crash(1);
    REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) > before + 1; }, 90s));
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 10min));
    CHECK(swarm.last_round(0) == 40);
  }
}

TEST_CASE("with the founder killed the joiner says that it waits, and both go on after its restart") {
  for (std::uint64_t seed = 1; seed <= seeds(12); ++seed) {
    CAPTURE(seed);
    SimSwarm swarm({.founders = 1, .joiners = 1, .rounds = 40, .seed = seed});
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.last_round(1) >= 3; }, 10min));
    swarm.scheduler().run_for(net::Duration(std::chrono::milliseconds(17 * seed)));
    swarm.crash(0);
    REQUIRE(run_until(
        swarm, [&] { return swarm.member(1).waiting.starts_with("waiting for the founders"); }, 60s));
    swarm.scheduler().run_for(net::Duration(std::chrono::seconds(seed * 3)));
    const std::uint64_t at = swarm.last_round(1);
    CHECK(at < 40);
    swarm.start(0);
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 10min));
    check_all_finished(swarm, 2, 40);
  }
}

TEST_CASE("members that die and come back at random never diverge, and the run ends") {
  for (std::uint64_t seed = 1; seed <= seeds(6); ++seed) {
    CAPTURE(seed);
    crypto::SeededRng rng(seed);
    SimSwarm swarm({.founders = 3, .joiners = 4, .dimension = 100, .rounds = 25, .seed = seed});
    swarm.start_all();
    for (int fault = 0; fault < 8; ++fault) {
      run_until(swarm, [] { return false; }, net::Duration(std::chrono::milliseconds(rng.below(15'000))));
      const auto victim = static_cast<std::size_t>(rng.below(7));
      if (swarm.member(victim).running() && !swarm.member(victim).ended) {
        swarm.crash(victim);
        run_until(swarm, [] { return false; }, net::Duration(std::chrono::milliseconds(rng.below(8'000))));
        swarm.start(victim);
      }
    }
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 60min));
    for (std::size_t i = 0; i < 7; ++i) {
      REQUIRE(swarm.member(i).ended.has_value());
      REQUIRE(swarm.member(i).ended->has_value());
      for (const auto& removal : swarm.member(i).removals) CHECK_FALSE(is_ban(removal.fault));
    }
  }
}

TEST_CASE("founders that die at any moment, alone or together, and come back do not lock the run") {
  for (std::uint64_t seed = 1; seed <= seeds(60); ++seed) {
    CAPTURE(seed);
    crypto::SeededRng rng(seed);
    const std::size_t founders = 2 + static_cast<std::size_t>(seed % 3);
    SimSwarm swarm({.founders = founders, .joiners = 1, .dimension = 50, .rounds = 30, .seed = seed});
    swarm.start_all();
    REQUIRE(run_until(swarm, [&] { return swarm.last_round(founders) >= 2; }, 10min));
    for (int fault = 0; fault < 3; ++fault) {
      run_until(swarm, [] { return false; }, net::Duration(std::chrono::milliseconds(rng.below(1500))));
      std::vector<std::size_t> victims;
      for (std::size_t i = 0; i <= founders; ++i) {
        if (rng.below(2) == 0 && !swarm.member(i).ended) victims.push_back(i);
      }
      for (std::size_t i : victims) {
        swarm.crash(i);
        run_until(swarm, [] { return false; }, net::Duration(std::chrono::milliseconds(rng.below(200))));
      }
      for (std::size_t i : victims) {
        run_until(swarm, [] { return false; }, net::Duration(std::chrono::milliseconds(rng.below(5000))));
        swarm.start(i);
      }
    }
    REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 60min));
    for (std::size_t i = 0; i <= founders; ++i) {
      REQUIRE(swarm.member(i).ended->has_value());
      for (const auto& removal : swarm.member(i).removals) CHECK_FALSE(is_ban(removal.fault));
    }
  }
}

TEST_CASE("founders without a seat have it back when those that are left cannot certify anything") {
  // Two honest founders are left with one that is never where they are: three of five have to sign.
  SimSwarm swarm({.founders = 5,
                  .joiners = 0,
                  .hostile = 1,
                  .attacks = {"unconfirmed"},
                  .attack_from = 2,
                  .survive = 0.45,
                  .rounds = 3});
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.member(0).started_round == 2; }, 5min));
  for (const std::size_t i : {2U, 3U}) swarm.crash(i);
  REQUIRE(run_until(swarm, [&] { return swarm.member(0).removals.size() == 2; }, 10min));
  for (const std::size_t i : {2U, 3U}) swarm.start(i);
  const auto all_hold = [&] {
    return std::ranges::all_of(std::views::iota(std::size_t{0}, std::size_t{4}),
                               [&](std::size_t i) { return swarm.member(i).holds() == 3; });
  };
  CHECK(run_until(swarm, all_hold, 1h));
}

TEST_CASE("a newcomer whose download takes longer than a round's work applies when it has the state") {
  // 12 MB of state on a line of 1 MB/s that the rounds use, too: a download of more than the ten seconds that
  // COMMIT waits.
  SimSwarm swarm({.founders = 3,
                  .joiners = 1,
                  .dimension = 1'000'000,
                  .rounds = 36,
                  .bandwidth = 1e6,
                  .evaluate_every = 0});
  for (std::size_t i = 0; i < 3; ++i) swarm.start(i);
  // Until there is a second snapshot: the steps from the initial state are gone.
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= 14; }, 10min));
  const std::uint64_t before = swarm.last_round(0);
  swarm.start(3);
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(3) > 0; }, 10min));
  CHECK(swarm.last_round(3) > before + 5);  // the run went on meanwhile
  const auto& fetched = swarm.member(3).fetched;
  REQUIRE(fetched.size() > 5);
  for (std::size_t i = 1; i < fetched.size(); ++i) {
    CHECK(fetched[i].bytes <= fetched[i].total);
    // Of one way: it goes on, and nobody is told more than once a second.
    if (fetched[i].seconds > fetched[i - 1].seconds) {
      CHECK(fetched[i].bytes > fetched[i - 1].bytes);
      CHECK(fetched[i].seconds >= fetched[i - 1].seconds + 1);
    }
  }
  CHECK(fetched.front().total > 12'000'000);
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 60min));
  check_all_finished(swarm, 4, 36);
  for (std::size_t i = 0; i < 4; ++i) CHECK(swarm.member(i).removals.empty());
  CHECK(swarm.member(0).reports.at(36).members == 4);
}

TEST_CASE("lost packets slow a run and change nothing else") {
  SimSwarm swarm({.founders = 3, .joiners = 3, .rounds = 10, .loss = 0.02});
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 60min));
  check_all_finished(swarm, 6, 10);
}

// How long ten rounds of nine members take when nobody can connect to so many of them.
net::Duration ten_rounds_with(std::size_t clients) {
  SwarmOptions options{.founders = 5, .joiners = 4, .rounds = 1000, .evaluate_every = 0};
  options.clients = clients;
  options.start_members = 9;
  SimSwarm swarm(options);
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= 5; }, 30min));
  const net::TimePoint begun = swarm.scheduler().now();
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= 15; }, 30min));
  CHECK(swarm.member(0).reports.rbegin()->second.contributors == 9);
  return swarm.scheduler().now() - begun;
}

TEST_CASE("members that nobody can connect to make no round longer") {
  const net::Duration without = ten_rounds_with(0);
  CHECK(ten_rounds_with(2) < 2 * without);
  CHECK(ten_rounds_with(4) < 2 * without);
}

}  // namespace
}  // namespace testudo::training
