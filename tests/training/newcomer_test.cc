// Newcomers, and what keeps them from a seat: members that answer late, wrongly or not at all, and slow
// lines.
#include <algorithm>
#include <map>

#include "crypto/base/log.h"
#include "swarm/sync_messages.h"
#include "tests/training/sim_testing.h"
#include "training/simulation/sync_attacks.h"

namespace testudo::training {
namespace {

using swarm::PeerId;
using swarm::sync::Kind;

constexpr std::size_t newcomer = 3;

SwarmOptions three_and_a_newcomer() {
  return {.founders = 3, .joiners = 1, .rounds = 100'000, .evaluate_every = 0};
}

std::size_t seats(SimSwarm& swarm) {
  const auto& reports = swarm.member(0).reports;
  return reports.empty() ? 0 : reports.rbegin()->second.members;
}

// From when the run has made so many rounds until the newcomer, which comes then, has a seat and has used it.
net::Duration time_to_a_seat(SimSwarm& swarm, std::uint64_t rounds, net::Duration limit) {
  for (std::size_t i = 0; i < newcomer; ++i) swarm.start(i);
  REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= rounds; }, 10min));
  const net::TimePoint begun = swarm.scheduler().now();
  swarm.start(newcomer);
  const bool seated = run_until(
      swarm, [&] { return seats(swarm) == newcomer + 1 && swarm.last_round(newcomer) > rounds; }, limit);
  CHECK(seated);
  return swarm.scheduler().now() - begun;
}

void check_that_nobody_lost_a_seat(SimSwarm& swarm) {
  for (std::size_t i = 0; i < swarm.size(); ++i) CHECK(swarm.member(i).removals.empty());
}

bool asks_for(Kind kind, const Bytes& question) {
  const auto request = net::unpack<swarm::sync::Request>(question);
  return request && request->kind == static_cast<std::uint8_t>(kind);
}

// The same answers; how often each peer asked for this is counted.
using Questions = std::map<PeerId, std::size_t>;
TamperAnswer counting(Kind kind, const std::shared_ptr<Questions>& asked, const TamperAnswer& inner) {
  return [=](const PeerId& from, const Bytes& question, Bytes answer) {
    if (asks_for(kind, question)) ++(*asked)[from];
    return inner(from, question, std::move(answer));
  };
}

AttackSetup setup_of(SimSwarm& swarm, std::size_t member) {
  return {.manifest = swarm.manifest(), .identity = swarm.member(member).host->identity()};
}

// Whichever of the founders answers so late, or never.
void check_that_late_answers_cost_little(Behaviour (*late)(net::Duration hold), net::Duration hold,
                                         net::Duration limit) {
  for (const net::Duration how_late : {hold, net::Duration(1h)}) {
    for (std::size_t liar = 0; liar < newcomer; ++liar) {
      CAPTURE(net::seconds(how_late));
      CAPTURE(liar);
      SimSwarm swarm(three_and_a_newcomer());
      swarm.member(liar).behaviour = late(how_late);
      CHECK(time_to_a_seat(swarm, 20, 4min) < limit);
      check_that_nobody_lost_a_seat(swarm);
    }
  }
}

TEST_CASE("a member that gives every step of the state late, or never, keeps no newcomer from a seat") {
  // How long depends on how many steps lie behind the snapshot when it comes: of nine rounds one after
  // another, 3 s to 69 s.
  check_that_late_answers_cost_little(slow_steps, 9s, 80s);
}

TEST_CASE("a member that claims a longer ledger and gives it late, or never, keeps no newcomer from a seat") {
  check_that_late_answers_cost_little(slow_ledger, 7s, 60s);
}

TEST_CASE("a member that says nothing about its states costs newcomers a moment and no seat") {
  SimSwarm swarm(three_and_a_newcomer());
  swarm.member(1).behaviour = {.name = "silent about paths",
                               .answer = [](const PeerId&, const Bytes& question, Bytes answer) {
                                 const net::Duration hold = asks_for(Kind::path, question) ? 1h : 0h;
                                 return TamperedAnswer{std::move(answer), hold};
                               }};
  CHECK(time_to_a_seat(swarm, 20, 2min) < 20s);
  check_that_nobody_lost_a_seat(swarm);
}

TEST_CASE("false claims of longer ledgers keep no newcomer from a seat, and are looked at less and less") {
  SimSwarm swarm(three_and_a_newcomer());
  const auto asked = std::make_shared<Questions>();
  swarm.member(1).behaviour = false_heights(setup_of(swarm, 1));
  swarm.member(1).behaviour.answer = counting(Kind::certificates, asked, swarm.member(1).behaviour.answer);
  CHECK(time_to_a_seat(swarm, 20, 2min) < 40s);
  const net::TimePoint begun = swarm.scheduler().now();
  asked->clear();
  run_until(swarm, [&] { return swarm.scheduler().now() - begun > 240s; }, 300s);
  // Members were with the liar all the time: after the 10 s, 20 s and 40 s each once in 80 s.
  for (const auto& [from, times] : *asked) CHECK(times <= 7);
  check_that_nobody_lost_a_seat(swarm);
}

TEST_CASE("ways by states that nobody certified are not gone") {
  for (const std::uint64_t rounds : {20U, 23U, 26U}) {
    CAPTURE(rounds);
    SimSwarm swarm(three_and_a_newcomer());
    const auto asked = std::make_shared<Questions>();
    // Two say the same, the honest one is alone.
    for (const std::size_t liar : {1U, 2U}) {
      swarm.member(liar).behaviour = false_paths();
      swarm.member(liar).behaviour.answer =
          counting(Kind::leaves, asked, swarm.member(liar).behaviour.answer);
    }
    CHECK(time_to_a_seat(swarm, rounds, 2min) < 20s);
    CHECK(asked->empty());
    check_that_nobody_lost_a_seat(swarm);
  }
}

TEST_CASE("who comes when a run begins keeps its seat on a line that is no faster than that of the others") {
  SimSwarm swarm({.founders = 3,
                  .joiners = 2,
                  .dimension = 1'000'000,
                  .rounds = 8,
                  .bandwidth = 1e6,
                  .evaluate_every = 0});
  swarm.start_all();
  REQUIRE(run_until(swarm, [&] { return swarm.all_ended(); }, 60min));
  check_that_nobody_lost_a_seat(swarm);
  CHECK(swarm.member(0).reports.at(8).members == 5);
}

TEST_CASE(
    "on a line that is slower than the rounds a newcomer says so once a minute, and nobody waits for it" *
    doctest::skip(slow_build)) {
  double rate = 0;
  SUBCASE("60 kB/s") { rate = 60e3; }
  SUBCASE("20 kB/s") { rate = 20e3; }
  SwarmOptions options = three_and_a_newcomer();
  options.dimension = 100'000;
  options.other_lines = {{newcomer, rate}};
  SimSwarm swarm(options);
  std::vector<std::string> said;
  {
    const log::Sink sink(LogLevel::warn, [&said](LogLevel, const std::string& line) {
      if (line.find("the line is too slow for this run") != std::string::npos) said.push_back(line);
    });
    for (std::size_t i = 0; i < newcomer; ++i) swarm.start(i);
    REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= 20; }, 10min));
    swarm.start(newcomer);
    REQUIRE(run_until(swarm, [&] { return !said.empty(); }, 3min));
    CHECK(swarm.member(newcomer).waiting.starts_with("the line is too slow for this run"));
    const net::TimePoint begun = swarm.scheduler().now();
    run_until(swarm, [&] { return swarm.scheduler().now() - begun > 3min; }, 4min);
  }
  CHECK(said.size() >= 2);
  CHECK(said.size() <= 4);
  CHECK(said.front().find("0.10 MB") != std::string::npos);
  CHECK(seats(swarm) == 3);
  check_that_nobody_lost_a_seat(swarm);
}

TEST_CASE("a whole state comes also on a line that does not bear two pieces of each member at a time") {
  // 1.2 MB in five pieces: at 80 kB/s all of them together take fifteen seconds, and no piece may take ten.
  SwarmOptions options = three_and_a_newcomer();
  options.dimension = 100'000;
  options.work = 800ms;
  options.other_lines = {{newcomer, 80e3}};
  SimSwarm swarm(options);
  CHECK(time_to_a_seat(swarm, 20, 10min) < 5min);
}

TEST_CASE("a line of 20 kB/s fetches a snapshot piece by piece, and bears a seat in a run of long rounds") {
  // 600 kB in three chunks, none of which the line carries in ten seconds; steps and parts of 50 kB.
  SwarmOptions options = three_and_a_newcomer();
  options.dimension = 50'000;
  options.work = 1500ms;
  options.other_lines = {{newcomer, 20e3}};
  SimSwarm swarm(options);
  CHECK(time_to_a_seat(swarm, 20, 10min) < 4min);
  CHECK(swarm.member(newcomer).fetched.size() > 10);  // told on the way
}

}  // namespace
}  // namespace testudo::training
