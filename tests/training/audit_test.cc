// Audits: which parts are drawn; and in whole swarms, that a reducer whose result the contributions do not
// give is banned whatever the rule, that auditors who lie are banned themselves, and that nobody else loses
// its seat.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "crypto/hash.h"
#include "tests/training/sim_testing.h"
#include "training/checks/validation.h"
#include "training/round/payloads.h"
#include "training/simulation/covered_aggregate.h"
#include "training/simulation/false_statements.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {
namespace {

using swarm::Fault;
using swarm::PeerId;
using swarm::Phase;

TEST_CASE(
    "every part is drawn as often as any other, and no two auditors have the same while there are more") {
  std::vector<Validation> validators(3);
  for (std::size_t k = 0; k < validators.size(); ++k) {
    Digest seed{};
    seed[0] = static_cast<std::uint8_t>(k);
    validators[k].validator = crypto::KeyPair::from_seed(seed).peer_id();
  }
  constexpr std::size_t parts = 8;
  constexpr std::size_t draws = 4000;
  std::map<std::uint32_t, std::size_t> drawn;
  for (std::uint64_t k = 0; k < draws; ++k) {
    const Digest lot = crypto::Hasher("a lot").integer(k).finish();
    const auto audits = draw_audits(validators, parts, lot);
    REQUIRE(audits.size() == 3);
    CHECK(audits == draw_audits(validators, parts, lot));
    CHECK(std::set<PartIndex>{audits[0].part, audits[1].part, audits[2].part}.size() == 3);
    for (std::size_t i = 0; i < audits.size(); ++i) {
      CHECK(audits[i].auditor == validators[i].validator);
      ++drawn[audits[i].part.value()];
    }
  }
  // Binomial: three in eight of 4000, at most one of a draw; five σ.
  CHECK(drawn.size() == parts);
  for (const auto& [part, count] : drawn) CHECK(std::abs(static_cast<double>(count) - 1500) < 5 * 31);
  CHECK(draw_audits(validators, 2, Digest{}).size() == 3);
  CHECK(draw_audits(validators, 0, Digest{}).empty());
}

// Breaks nothing: counts what an honest member says.
class Listener final : public Misconduct {
 public:
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.phase == Phase::evidence) disputed.insert(key.round.value());
    if (key.phase != Phase::check) return;
    const auto check = CheckPayload::decode(payload);
    if (check && check->audit && check->audit->is_wrong()) ++wrong;
    if (check && check->audit && !check->audit->is_wrong()) ++unserved;
  }
  std::set<std::uint64_t> disputed;  // rounds
  std::size_t wrong = 0;
  std::size_t unserved = 0;
};

SwarmOptions swarm_with(std::vector<std::string> attacks, std::uint64_t seed, std::string rule = "mean") {
  const std::size_t hostile = attacks.size();
  if (attacks.empty()) attacks = {"sign_flip"};
  return {.founders = hostile > 1 ? 7U : 6U,
          .joiners = 0,
          .hostile = hostile,
          .attacks = std::move(attacks),
          .dimension = 200,
          .rounds = 60,
          .rule = std::move(rule),
          .validators = 1,
          .evaluate_every = 0,
          .seed = seed};
}

// A swarm whose last members are hostile, watched by its honest ones.
struct Watched {
  // `make`: what the hostile do, if it is not the attack of the options.
  using Make = std::function<Behaviour(SimSwarm& swarm, std::size_t liar)>;
  explicit Watched(const SwarmOptions& options, const Make& make = {})
      : swarm(options), honest(swarm.size() - options.hostile) {
    for (std::size_t i = 0; i < honest; ++i) swarm.member(i).behaviour.misconduct = listener;
    for (std::size_t i = honest; i < swarm.size(); ++i) {
      liars.insert(swarm.member(i).host->id());
      if (make) swarm.member(i).behaviour = make(swarm, i);
    }
    swarm.start_all();
  }
  // Until the last round, or until all the hostile are banned; by then the honest have seen the same.
  void run() {
    const auto finished = [this] {
      for (std::size_t i = 0; i < honest; ++i) {
        const auto bans = std::ranges::count_if(
            swarm.member(i).removals, [](const auto& removal) { return swarm::is_ban(removal.fault); });
        const bool all_banned = !liars.empty() && static_cast<std::size_t>(bans) == liars.size();
        if (!swarm.member(i).ended && !all_banned) return false;
      }
      return true;
    };
    REQUIRE(run_until(swarm, finished, 240min));
    for (std::size_t i = 0; i < honest; ++i) {
      CAPTURE(i);
      const auto& member = swarm.member(i);
      for (const auto& removal : member.removals) {
        CHECK_MESSAGE(liars.contains(removal.peer), "an honest member lost its seat: ", name(removal.fault));
      }
      CHECK(member.removals == swarm.member(0).removals);
      CHECK(member.removal_rounds == swarm.member(0).removal_rounds);
    }
  }
  const std::vector<swarm::Removal>& removals() { return swarm.member(0).removals; }

  SimSwarm swarm;
  std::size_t honest;
  std::set<PeerId> liars;
  std::shared_ptr<Listener> listener = std::make_shared<Listener>();
};

TEST_CASE("honest members that audit one another find nothing, and dispute nothing") {
  for (const char* rule : {"mean", "coordinate_median", "krum", "centered_clip"}) {
    CAPTURE(rule);
    SwarmOptions options = swarm_with({}, 1, rule);
    options.rounds = 20;
    Watched watched(options);
    watched.run();
    CHECK(watched.removals().empty());
    CHECK(watched.swarm.member(0).strikes.empty());
    CHECK(watched.listener->wrong == 0);
    CHECK(watched.listener->unserved == 0);
    CHECK(watched.listener->disputed.empty());
  }
}

TEST_CASE("a reducer whose result the contributions do not give is banned, whatever the rule") {
  for (const char* rule : {"mean", "coordinate_median", "krum", "centered_clip", "nnm+trimmed_mean"}) {
    CAPTURE(rule);
    Watched watched(swarm_with({"quiet_aggregate"}, 2, rule));
    watched.run();
    REQUIRE(watched.removals().size() == 1);
    CHECK(watched.removals()[0].fault == Fault::wrong_aggregate);
    CHECK(watched.swarm.member(0).removal_rounds[0] >= watched.swarm.options().attack_from + 2);
    CHECK(watched.listener->wrong > 0);
  }
}

TEST_CASE("an auditor that says of a right result that it is wrong is banned, not the reducer") {
  for (const char* rule : {"mean", "centered_clip"}) {
    CAPTURE(rule);
    Watched watched(swarm_with({"false_audit"}, 3, rule));
    watched.run();
    REQUIRE(watched.removals().size() == 1);
    CHECK(watched.removals()[0].fault == Fault::false_accusation);
  }
}

// Those that cannot hide a result: they were found, or rest because of what they did to hide, and reduce
// nothing.
void check_stopped(Watched& watched) {
  std::set<PeerId> stopped = watched.swarm.member(0).rested;
  for (const auto& removal : watched.removals()) {
    CHECK((removal.fault == Fault::unserved || removal.fault == Fault::wrong_aggregate));
    stopped.insert(removal.peer);
  }
  for (const PeerId& liar : watched.liars) CHECK(stopped.contains(liar));
}

TEST_CASE("a reducer that keeps its bytes from auditors and everybody loses its seat, or rests for it") {
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    Watched watched(swarm_with({"hidden_audit"}, 50 + seed));
    watched.run();
    check_stopped(watched);
    CHECK(watched.listener->unserved > 0);
  }
}

TEST_CASE("a reducer and a contributor that keep their bytes together hide nothing for long") {
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    Watched watched(swarm_with({"hidden_audit", "withheld_audit"}, 60 + seed, "centered_clip"));
    watched.run();
    check_stopped(watched);
  }
}

// Eight members, the last two of which keep to `attack`; two validators a round.
SwarmOptions eight_with(const std::string& attack, std::uint64_t seed) {
  SwarmOptions options = swarm_with({attack, attack}, seed);
  options.founders = 8;
  options.validators = 2;
  return options;
}

// Strikes in three rounds until a member rests; what it says meanwhile is heard two rounds later.
constexpr std::size_t disputes_of_one = 5;

// What comes of those that open disputes for nothing: two strikes for each, until they rest; no seat is lost.
void check_struck(Watched& watched) {
  CHECK_FALSE(watched.listener->disputed.empty());
  CHECK(watched.listener->disputed.size() <= disputes_of_one * watched.liars.size());
  std::set<PeerId> resting;
  for (const PeerId& peer : watched.swarm.member(0).rested) {
    if (watched.liars.contains(peer)) resting.insert(peer);
  }
  CHECK(resting == watched.liars);
  std::size_t struck = 0;
  for (const auto& [round, strike] : watched.swarm.member(0).strikes)
    struck += strike.reason == swarm::StrikeReason::unserved_audit ? 1U : 0U;
  CHECK(struck >= swarm::strike_limit);
}

TEST_CASE(
    "an auditor that says it got nothing has strikes until it rests, and opens no disputes from then on" *
    doctest::skip(slow_build)) {
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    Watched watched(eight_with("unserved_audit", 30 + seed));
    watched.run();
    CHECK(watched.removals().empty());
    check_struck(watched);
  }
}

TEST_CASE("who is struck out and has no room to rest opens no disputes for nothing either" *
          doctest::skip(slow_build)) {
  for (const char* attack : {"unserved_audit", "withheld_audit"}) {
    CAPTURE(attack);
    // Of seven three may rest: one of the two, and whom it takes with it.
    Watched watched(swarm_with({attack, attack}, 5));
    watched.run();
    CHECK(watched.swarm.member(0).rested.size() < 2 * watched.liars.size());
    CHECK_FALSE(watched.listener->disputed.empty());
    // Where it reduced the part nobody else has its bytes: it loses its seat, and has no strike for that
    // dispute.
    for (const auto& removal : watched.removals()) {
      CHECK(removal.fault == Fault::unserved);
      CHECK(watched.liars.contains(removal.peer));
    }
    CHECK(watched.listener->disputed.size() <=
          disputes_of_one * watched.liars.size() + watched.removals().size());
  }
}

TEST_CASE(
    "a contributor that keeps its bytes from auditors has strikes until it rests, and from then on reducers "
    "send them") {
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    Watched watched(eight_with("withheld_audit", 40 + seed));
    watched.run();
    // Where it reduced the part nobody else has its bytes.
    for (const auto& removal : watched.removals()) CHECK(removal.fault == Fault::unserved);
    if (watched.removals().empty()) check_struck(watched);
    CHECK(watched.listener->disputed.size() <=
          disputes_of_one * watched.liars.size() + watched.removals().size());
  }
}

TEST_CASE("what comes to an auditor late hides no result" * doctest::skip(slow_build)) {
  // By the end of REVEAL, when the rule still runs in CHECK; and after it.
  for (const net::Duration hold : {0ms, 40ms, 80ms, 400ms, 1000ms}) {
    CAPTURE(hold.count());
    SwarmOptions options = swarm_with({"late_audit", "late_audit"}, 7);
    options.rounds = 100;
    options.work = 100ms;  // jobs that take longer than a phase
    Watched watched(options, [&](SimSwarm&, std::size_t) {
      return late_audit(CodecKind::int8, 0.01, hold, options.attack_from);
    });
    watched.run();
    check_stopped(watched);
    if (hold > 100ms) {
      CHECK(watched.listener->unserved > 0);
      continue;
    }
    CHECK(watched.removals().size() == watched.liars.size());
    for (const auto& removal : watched.removals()) CHECK(removal.fault == Fault::wrong_aggregate);
  }
}

TEST_CASE("what comes to an auditor late hides no result where the rule takes longer than CHECK waits" *
          doctest::skip(slow_build)) {
  SwarmOptions options = swarm_with({"late_audit", "late_audit"}, 9);
  options.adjust = [](swarm::Manifest& manifest) { manifest.exchange_deadline_ms = 3000; };
  options.work = 600ms;  // to check what came, and then to reduce: more than CHECK waits, 3 s − 4Δ
  // The results are on their way for 20 ms and checked for 600 ms, then REVEAL takes 40 ms.
  constexpr net::Duration by_the_end_of_reveal = 600ms;
  Watched watched(options, [&](SimSwarm&, std::size_t) {
    return late_audit(CodecKind::int8, 0.01, by_the_end_of_reveal, options.attack_from);
  });
  watched.run();
  CHECK(watched.listener->unserved > 0);
  CHECK_FALSE(watched.removals().empty());
  check_stopped(watched);
}

TEST_CASE("a shift that the reducer's own sketch hides from everybody is found by an audit") {
  constexpr double shift = 0.1;
  const SwarmOptions options = swarm_with({"zero"}, 8, "centered_clip");
  const std::uint64_t from = options.attack_from;
  const auto banned_in = [&](const Watched::Make& make) {
    Watched watched(options, make);
    watched.run();
    REQUIRE(watched.removals().size() == 1);
    CHECK(watched.removals()[0].fault == Fault::wrong_aggregate);
    return watched.swarm.member(0).removal_rounds[0];
  };
  CHECK(banned_in([&](SimSwarm&, std::size_t) { return wrong_aggregate(CodecKind::int8, shift, from); }) ==
        from);
  CHECK(banned_in([&](SimSwarm& swarm, std::size_t liar) {
          return covered_aggregate(swarm.manifest(), swarm.member(liar).host->id(), shift, from);
        }) >= from + 2);
}

TEST_CASE("a reducer that shows nothing when it is found is banned all the same: its auditor has the bytes") {
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    const SwarmOptions options = swarm_with({"zero"}, 70 + seed);
    Watched watched(options, [&](SimSwarm&, std::size_t) {
      Behaviour hiding = hidden_audit(CodecKind::int8, 0.01, options.attack_from);
      hiding.tamper = {};  // but auditors get what they are to get
      return hiding;
    });
    watched.run();
    REQUIRE(watched.removals().size() == 1);
    CHECK(watched.removals()[0].fault == Fault::wrong_aggregate);
  }
}

// Shifts results in every fifth round, after which flee() gives up the seat.
class ShiftsAndFlees final : public Misconduct {
 public:
  explicit ShiftsAndFlees(std::uint64_t from_round)
      : from_(from_round), shift_(wrong_aggregate(CodecKind::int8, 0.01, from_round).misconduct) {}
  void on_result(swarm::RoundNumber round, const PartRange& range, Buffer& encoded) override {
    if (round.value() % 5 == from_ % 5) shift_->on_result(round, range, encoded);
  }

 private:
  std::uint64_t from_;
  std::shared_ptr<Misconduct> shift_;
};

TEST_CASE("a reducer that gives up its seat when it hears that it is found is banned all the same") {
  std::size_t banned = 0;
  for (std::uint64_t seed = 1; seed <= seeds(12); ++seed) {
    CAPTURE(seed);
    SwarmOptions options = swarm_with({"zero"}, 80 + seed);
    options.rounds = 20;
    Watched watched(options, [&](SimSwarm&, std::size_t) {
      Behaviour fleeing = flee(options.attack_from);
      fleeing.misconduct = std::make_shared<ShiftsAndFlees>(options.attack_from);
      return fleeing;
    });
    watched.run();
    const auto& rounds = watched.swarm.member(0).removal_rounds;
    REQUIRE_FALSE(rounds.empty());
    const std::size_t last = rounds.size() - 1;
    for (std::size_t k = 0; k < last; ++k) CHECK(watched.removals()[k].fault == Fault::silent);
    if (watched.removals()[last].fault == Fault::silent)
      continue;  // not drawn before its strikes let it rest
    CHECK(watched.removals()[last].fault == Fault::wrong_aggregate);
    REQUIRE(last > 0);
    CHECK(rounds[last] == rounds[last - 1] + 1);
    ++banned;
  }
  if (!slow_build) CHECK(banned > 0);
}

TEST_CASE("of contributors that died, the reducer has the bytes: nothing is disputed") {
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    SwarmOptions options = swarm_with({}, 10 + seed);
    options.rounds = 16;
    SimSwarm swarm(options);
    const auto listener = std::make_shared<Listener>();
    for (std::size_t i = 0; i < swarm.size(); ++i) swarm.member(i).behaviour.misconduct = listener;
    swarm.start_all();
    for (const std::size_t victim : {5U, 4U}) {
      const std::uint64_t round = victim == 5 ? 4 : 9;
      REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= round; }, 60min));
      swarm.crash(victim);
    }
    const auto ended = [&] {
      for (std::size_t i = 0; i < 4; ++i) {
        if (!swarm.member(i).ended) return false;
      }
      return true;
    };
    REQUIRE(run_until(swarm, ended, 60min));
    CHECK(listener->wrong == 0);
    CHECK(listener->disputed.empty());
  }
}

// Nine members, three of which nobody can connect to.
SwarmOptions with_clients(const std::vector<std::string>& attacks, std::uint64_t seed) {
  SwarmOptions options = swarm_with(attacks, seed);
  options.founders = 5;
  options.joiners = 4;
  options.clients = 3;
  options.start_members = 9;
  options.validators = 2;
  options.delta = 200ms;
  options.adjust = [](swarm::Manifest& manifest) {
    manifest.compute_deadline_ms = 3000;
    manifest.exchange_deadline_ms = 2000;
  };
  return options;
}

TEST_CASE("members that nobody can connect to audit and are audited, and have no strikes for that") {
  SwarmOptions options = with_clients({}, 91);
  options.rounds = 20;
  Watched honest(options);
  honest.run();
  CHECK(honest.removals().empty());
  CHECK(honest.listener->wrong == 0);
  CHECK(honest.listener->unserved == 0);
  CHECK(honest.listener->disputed.empty());
  Watched attacked(with_clients({"quiet_aggregate"}, 92));
  attacked.run();
  REQUIRE(attacked.removals().size() == 1);
  CHECK(attacked.removals()[0].fault == Fault::wrong_aggregate);
  CHECK(attacked.listener->unserved == 0);
}

TEST_CASE("members that are restarted again and again neither lose by audits nor save who is found by them") {
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    SwarmOptions options = swarm_with({"quiet_aggregate"}, 20 + seed);
    options.rounds = 100;
    SimSwarm swarm(options);
    swarm.start_all();
    const auto banned = [&] {
      return std::ranges::any_of(swarm.member(0).removals,
                                 [](const auto& removal) { return swarm::is_ban(removal.fault); });
    };
    for (std::uint64_t round = 3; round < 90 && !banned(); round += 3) {
      REQUIRE(run_until(swarm, [&] { return swarm.last_round(0) >= round || banned(); }, 60min));
      const std::size_t victim = 1 + round / 3 % 4;
      swarm.crash(victim);
      swarm.start(victim);
    }
    REQUIRE(banned());
    for (const auto& removal : swarm.member(0).removals) {
      if (!swarm::is_ban(removal.fault)) continue;
      CHECK(removal.peer == swarm.member(5).host->id());
      CHECK(removal.fault == Fault::wrong_aggregate);
    }
  }
}

}  // namespace
}  // namespace testudo::training
