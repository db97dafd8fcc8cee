// The simulator: its checkers catch lies, its runs replay from their seed, faults happen and are survived.
#include "tests/training/sim_testing.h"
#include "training/simulation/round_simulation.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {
namespace {

constexpr std::size_t honest_members = 3;

struct Checked {
  explicit Checked(bool calm = true) : checker(manifest(), ids(), calm) {
    for (std::size_t i = 0; i < honest_members; ++i) checker.started(i, net::TimePoint{});
  }
  static std::vector<swarm::PeerId> ids() {
    crypto::SeededRng rng(1);
    std::vector<swarm::PeerId> ids;
    for (std::size_t i = 0; i < honest_members; ++i) {
      ids.push_back(crypto::KeyPair::generate(rng).peer_id());
    }
    std::ranges::sort(ids);
    return ids;
  }
  static swarm::Manifest manifest() {
    swarm::Manifest manifest;
    manifest.founders = ids();
    manifest.last_round = 10;
    return manifest;
  }
  static RoundReport report(std::uint64_t round, std::uint8_t parameters, double seconds = 1) {
    RoundReport report;
    report.round = swarm::RoundNumber(round);
    report.parameters.fill(parameters);
    report.seconds = seconds;
    return report;
  }
  static Digest digest(std::uint8_t byte) {
    Digest out;
    out.fill(byte);
    return out;
  }
  void at_second(int second, std::size_t member, const RoundReport& what, std::uint8_t held) {
    checker.reported(member, what, digest(held), net::TimePoint{} + std::chrono::seconds(second));
  }
  // The one broken property, or what there is instead.
  std::string broken() const {
    const auto& found = checker.violations();
    return found.size() == 1 ? found[0].property : std::to_string(found.size()) + " violations";
  }

  SwarmChecker checker;
};

TEST_CASE("checkers are content with a run in which nothing is wrong") {
  Checked checked;
  for (std::uint64_t round = 1; round <= 10; ++round) {
    for (std::size_t i = 0; i < honest_members; ++i) {
      checked.at_second(static_cast<int>(round), i, Checked::report(round, 7), 7);
    }
    checked.checker.recovered(1, swarm::RoundNumber(round + 1), swarm::Attempt(0));
  }
  checked.checker.tick(net::TimePoint{} + 1h);
  checked.checker.finished({10, 10, 10}, net::TimePoint{} + 1h);
  CHECK(checked.broken() == "0 violations");
  CHECK(checked.checker.attempts() == 10);
}

TEST_CASE("checkers catch members that diverge, in what is certified and in what they hold") {
  Checked certified;
  certified.at_second(1, 0, Checked::report(1, 7), 7);
  certified.at_second(1, 1, Checked::report(1, 8), 8);
  CHECK(certified.broken() == "same_parameters");
  CHECK(certified.checker.violations()[0].member == 1);
  CHECK(certified.checker.violations()[0].round == 1);

  Checked held;
  held.at_second(1, 0, Checked::report(1, 7), 7);
  held.at_second(1, 1, Checked::report(1, 7), 9);
  CHECK(held.broken() == "same_parameters");
}

TEST_CASE("checkers catch two outcomes of one attempt") {
  Checked checked;
  checked.at_second(1, 0, Checked::report(1, 7), 7);
  RoundReport other = Checked::report(1, 0);
  other.kind = swarm::OutcomeKind::voided;
  checked.checker.reported(1, other, std::nullopt, net::TimePoint{} + 1s);
  CHECK(checked.broken() == "one_outcome");
}

TEST_CASE("checkers catch a ban of an honest member, and a lost seat where nothing was broken") {
  const auto after = [](swarm::Fault fault, bool calm, bool hostile) {
    Checked checked(calm);
    if (hostile) checked.checker.set_hostile(2);
    checked.checker.removed(0, {.peer = Checked::ids()[2], .fault = fault}, swarm::RoundNumber(3));
    return checked.broken();
  };
  CHECK(after(swarm::Fault::equivocation, false, false) == "no_honest_ban");
  CHECK(after(swarm::Fault::absent, true, false) == "kept_seat");
  CHECK(after(swarm::Fault::absent, false, false) == "0 violations");
  CHECK(after(swarm::Fault::equivocation, false, true) == "0 violations");
}

TEST_CASE("checkers catch strikes among honest members, and more of them that rest than hostile ones") {
  const auto ids = Checked::ids();
  const auto struck = [&](const swarm::Strike& strike, bool calm) {
    Checked checked(calm);
    checked.checker.set_hostile(2);
    checked.checker.struck(0, strike, swarm::RoundNumber(3));
    return checked.broken();
  };
  using swarm::StrikeReason;
  CHECK(struck({ids[0], StrikeReason::late, ids[1]}, true) == "fair_strikes");
  CHECK(struck({ids[0], StrikeReason::silent_validator, std::nullopt}, true) == "fair_strikes");
  CHECK(struck({ids[0], StrikeReason::late, ids[1]}, false) == "0 violations");
  CHECK(struck({ids[0], StrikeReason::late, ids[2]}, true) == "0 violations");
  CHECK(struck({ids[2], StrikeReason::silent_validator, std::nullopt}, true) == "0 violations");
  const auto rest = [&](const std::vector<swarm::PeerId>& resting) {
    Checked checked;
    checked.checker.set_hostile(2);
    checked.checker.rests(0, resting, swarm::RoundNumber(3));
    return checked.broken();
  };
  CHECK(rest({}) == "0 violations");
  CHECK(rest({ids[1], ids[2]}) == "0 violations");
  CHECK(rest({ids[1]}) == "fair_strikes");
  CHECK(rest(ids) == "fair_strikes");
}

TEST_CASE("checkers catch certified rounds that are lost, or reported twice") {
  Checked lost;
  lost.at_second(1, 0, Checked::report(1, 7), 7);
  lost.checker.recovered(0, swarm::RoundNumber(1), swarm::Attempt(0));
  CHECK(lost.broken() == "nothing_lost");

  Checked twice;
  twice.at_second(1, 0, Checked::report(1, 7), 7);
  twice.at_second(2, 0, Checked::report(1, 7), 7);
  CHECK(twice.broken() == "nothing_lost");
}

TEST_CASE("checkers catch members that sign two things in one place, or send garbage") {
  const auto after = [](std::uint8_t second, std::string_view place, std::uint32_t attempt) {
    Checked checked;
    const auto signer = Checked::ids()[1];
    checked.checker.signed_by(signer, swarm::RoundNumber(2), swarm::Attempt(0), "commit", Checked::digest(1));
    checked.checker.signed_by(signer, swarm::RoundNumber(2), swarm::Attempt(attempt), place,
                              Checked::digest(second));
    return checked.broken();
  };
  CHECK(after(1, "commit", 0) == "0 violations");
  CHECK(after(2, "commit", 1) == "0 violations");
  CHECK(after(2, "reduce", 0) == "0 violations");
  CHECK(after(2, "commit", 0) == "one_signature");
  Checked garbled;
  garbled.checker.garbled(0, {ErrorCode::protocol, "a frame of no kind"});
  CHECK(garbled.broken() == "one_signature");
}

TEST_CASE("checkers catch attempts that are too slow, unless somebody was killed in them") {
  const net::Duration worst = worst_attempt(Checked::manifest(), honest_members);
  CHECK(worst == 10s + 14 * 5s + 10 * 2 * 2 * 500ms);  // one of three may be hostile
  const auto after = [&](bool killed) {
    Checked checked;
    if (killed) checked.checker.killed(2, net::TimePoint{} + 50s);
    checked.checker.reported(0, Checked::report(1, 7, net::seconds(worst) + 1), Checked::digest(7),
                             net::TimePoint{} + worst + 10s);
    return checked.broken();
  };
  CHECK(after(false) == "worst_time");
  CHECK(after(true) == "0 violations");
}

TEST_CASE("checkers catch a run that stands still, but not one whose founders are away") {
  const auto after = [](bool killed) {
    Checked checked;
    checked.at_second(1, 0, Checked::report(1, 7), 7);
    if (killed) {
      checked.checker.killed(1, net::TimePoint{} + 2s);
      checked.checker.killed(2, net::TimePoint{} + 2s);
    }
    for (int second = 2; second < 600 && checked.checker.violations().empty(); ++second) {
      checked.checker.tick(net::TimePoint{} + std::chrono::seconds(second));
    }
    return checked.broken();
  };
  CHECK(after(false) == "progress");
  CHECK(after(true) == "0 violations");
}

TEST_CASE(
    "where votes are earned a run may stand still when as many are away as could be most of the votes") {
  crypto::SeededRng rng(2);
  std::vector<swarm::PeerId> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(crypto::KeyPair::generate(rng).peer_id());
  std::ranges::sort(ids);
  const auto after = [&](bool founding, std::size_t founders, std::size_t away) {
    swarm::Manifest manifest = Checked::manifest();
    manifest.founders.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(founders));
    manifest.validators = 1;
    SwarmChecker checker(manifest, ids, true);
    for (std::size_t i = 0; i < ids.size(); ++i) checker.started(i, net::TimePoint{});
    RoundReport report = Checked::report(1, 7);
    report.founding = founding;
    checker.reported(0, report, std::nullopt, net::TimePoint{} + 1s);
    for (std::size_t i = ids.size() - away; i < ids.size(); ++i) checker.killed(i, net::TimePoint{} + 2s);
    for (int second = 2; second < 900 && checker.violations().empty(); ++second)
      checker.tick(net::TimePoint{} + std::chrono::seconds(second));
    return checker.violations().empty() ? std::string("content") : checker.violations()[0].property;
  };
  // While the founders decide those that came later do not.
  CHECK(after(true, 2, 0) == "progress");
  CHECK(after(true, 2, 9) == "progress");
  CHECK(after(true, 2, 10) == "content");
  // Then sixteen had a vote, or all the founders.
  CHECK(after(false, 2, 7) == "progress");
  CHECK(after(false, 2, 8) == "content");
  CHECK(after(false, 18, 8) == "progress");
  CHECK(after(false, 18, 9) == "content");
}

TEST_CASE("checkers catch queues beyond their bounds, members that end early, and runs that do not end") {
  Checked queue;
  queue.checker.measured(1, {"open streams", 10, 10});
  CHECK(queue.broken() == "0 violations");
  queue.checker.measured(1, {"open streams", 11, 10});
  CHECK(queue.broken() == "bounded");

  Checked early;
  early.checker.ended(1, Result<void>{});
  CHECK(early.broken() == "0 violations");
  early.checker.ended(1, fail(ErrorCode::corrupt, "a broken ledger"));
  CHECK(early.broken() == "no_early_end");

  Checked dead;
  dead.checker.killed(0, net::TimePoint{});
  dead.checker.finished({0, 10, 10}, net::TimePoint{} + 1h);
  CHECK(dead.broken() == "last_round");
  CHECK(to_text(dead.checker.violations()[0]) == "member 0, last_round: after 3600.0 s it is down");

  Checked late;
  late.checker.finished({10, 9, 10}, net::TimePoint{} + 1h);
  CHECK(late.broken() == "last_round");
  CHECK(to_text(late.checker.violations()[0]) ==
        "round 9, member 1, last_round: after 3600.0 s it holds round 9 of 10");
}

RoundSimulationOptions small(std::uint64_t seed) {
  return {.swarm = {
              .founders = 3, .joiners = 3, .dimension = 100, .rounds = 8, .evaluate_every = 0, .seed = seed}};
}

TEST_CASE("a liar that is taken for honest breaks a property: the checkers see the whole swarm") {
  // It equivocates in round 4 and is banned for it, which must not happen to an honest member.
  SwarmOptions options = small(1).swarm;
  SimSwarm swarm(options);
  Behaviour lie = equivocate(
      {.manifest = swarm.manifest(), .identity = swarm.member(5).host->identity(), .from_round = 4});
  lie.name.clear();  // so it counts as honest, but for its host
  swarm.member(5).behaviour = lie;
  swarm.start_all();
  CHECK_FALSE(swarm.run_until([&] { return swarm.all_ended(); }, 10min));
  REQUIRE_FALSE(swarm.checker().violations().empty());
  CHECK(swarm.checker().violations()[0].property == "no_honest_ban");
  CHECK(swarm.checker().violations()[0].member == 5);
}

TEST_CASE("a run that is not given the time to end says who is missing what") {
  RoundSimulationOptions options = small(1);
  options.within = 2s;
  const auto report = simulate_round(options);
  REQUIRE_FALSE(report.violations.empty());
  CHECK(report.violations[0].property == "last_round");
}

TEST_CASE("where faults let no round through, all rounds come once they are over") {
  for (const double kills_per_minute : {60.0, 6000.0}) {
    for (const net::Duration downtime : {net::Duration(5s), net::Duration(10min)}) {
      CAPTURE(kills_per_minute);
      CAPTURE(net::seconds(downtime));
      RoundSimulationOptions options = small(1);
      options.swarm.rounds = 3;
      options.faults = {.kills_per_minute = kills_per_minute, .downtime = downtime};
      const auto report = simulate_round(options);
      for (const Violation& violation : report.violations) FAIL_CHECK(to_text(violation));
      CHECK(report.applied == 3);
      CHECK(report.kills > 20);
    }
  }
}

TEST_CASE("a run that ends while everybody is dead has not held its last round") {
  RoundSimulationOptions options = small(1);
  options.faults = {.kills_per_minute = 6000, .downtime = 1h};
  options.within = 30s;
  const auto report = simulate_round(options);
  CHECK(report.applied == 0);
  REQUIRE_FALSE(report.violations.empty());
  CHECK(report.violations[0].property == "last_round");
}

TEST_CASE("a simulated run is a function of its seed, and its faults happen") {
  RoundSimulationOptions options = small(3);
  options.swarm.loss = 0.01;
  options.faults = {.kills_per_minute = 20, .downtime = 3s, .late = 1, .partitions_per_minute = 2};
  const auto first = simulate_round(options);
  const auto second = simulate_round(options);
  for (const Violation& violation : first.violations) FAIL_CHECK(to_text(violation));
  CHECK(first.applied == 8);
  CHECK(first.kills > 0);
  CHECK(first.round_seconds.size() > 8);
  CHECK(first.trace == second.trace);
  CHECK(first.round_seconds == second.round_seconds);
  options.swarm.seed = 4;
  CHECK(simulate_round(options).trace != first.trace);
}

TEST_CASE("a quantile is the value that so many do not exceed") {
  const std::vector<double> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  CHECK(quantile(values, 0.5) == 5);
  CHECK(quantile(values, 0.99) == 10);
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile({}, 0.5) == 0);
}

}  // namespace
}  // namespace testudo::training
