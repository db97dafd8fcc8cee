// Members that slow rounds down without a fault that anybody could prove: they have strikes and rest, honest
// ones do not pay more than they do, and nobody loses a seat.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "swarm/control.h"
#include "tests/training/sim_testing.h"
#include "training/round/payloads.h"
#include "training/simulation/wire_attacks.h"

namespace testudo::training {
namespace {

using swarm::PeerId;
using swarm::Phase;
using swarm::StrikeReason;

SwarmOptions seven_with(std::vector<std::string> attacks, std::uint64_t seed = 1) {
  return {.founders = 7,
          .joiners = 0,
          .hostile = attacks.empty() ? std::size_t{0} : std::size_t{2},
          .attacks = std::move(attacks),
          .dimension = 100,
          .rounds = 12,
          .validators = 1,
          .evaluate_every = 0,
          .seed = seed};
}

using Seen = std::tuple<std::uint64_t, PeerId, StrikeReason, std::optional<PeerId>>;

struct Ending {
  std::vector<Seen> strikes;
  std::size_t rested_hostile = 0;
  std::size_t rested_honest = 0;
  std::set<StrikeReason> reasons;
};

// To the end, with everything that the checkers ask; what honest members saw, which is the same.
Ending run_to_end(SimSwarm& swarm) {
  const std::size_t honest = swarm.size() - swarm.options().hostile;
  swarm.start_all();
  const auto ended = [&] {
    for (std::size_t i = 0; i < honest; ++i) {
      if (!swarm.member(i).ended) return false;
    }
    return true;
  };
  REQUIRE(run_until(swarm, ended, 240min));
  std::set<PeerId> hostile;
  for (std::size_t i = honest; i < swarm.size(); ++i) hostile.insert(swarm.member(i).host->id());
  Ending ending;
  for (std::size_t i = 0; i < honest; ++i) {
    const auto& member = swarm.member(i);
    CHECK(member.holds() == swarm.manifest().last_round);
    for (const auto& removal : member.removals)
      CHECK_MESSAGE(hostile.contains(removal.peer), name(removal.fault));
    std::vector<Seen> seen;
    for (const auto& [round, strike] : member.strikes)
      seen.emplace_back(round.value(), strike.peer, strike.reason, strike.other);
    if (i == 0) ending.strikes = seen;
    CHECK(seen == ending.strikes);
  }
  for (const PeerId& peer : swarm.member(0).rested)
    ++(hostile.contains(peer) ? ending.rested_hostile : ending.rested_honest);
  for (const Seen& seen : ending.strikes) ending.reasons.insert(std::get<2>(seen));
  return ending;
}

TEST_CASE("honest members have no strikes, with validators and without, and say nothing about it") {
  for (const std::uint32_t validators : {0U, 1U}) {
    SwarmOptions options = seven_with({});
    options.validators = validators;
    SimSwarm swarm(options);
    const Ending ending = run_to_end(swarm);
    CHECK(ending.strikes.empty());
  }
}

TEST_CASE("whoever slows rounds has strikes for it, and rests, and not more honest members with it") {
  struct Case {
    std::string attack;
    StrikeReason reason;
  };
  std::uint64_t seed = 0;
  Picked picked;
  for (const Case& entry : {Case{"challenges", StrikeReason::answered_challenge},
                            {"give_up", StrikeReason::given_up},
                            {"keep_results", StrikeReason::kept_result},
                            {"late_parts", StrikeReason::answered_challenge},
                            {"unconfirmed", StrikeReason::unconfirmed},
                            {"idle_checks", StrikeReason::silent_reducer}}) {
    ++seed;
    if (!picked.next()) continue;
    CAPTURE(entry.attack);
    SimSwarm swarm(seven_with({entry.attack}, seed));
    const Ending ending = run_to_end(swarm);
    CHECK(ending.reasons.contains(entry.reason));
    CHECK(ending.rested_hostile == 2);
    CHECK(ending.rested_honest <= 2);
  }
}

TEST_CASE("several ways to slow rounds at once do not make honest members pay more than those that do it") {
  const std::vector<std::vector<std::string>> mixtures = {{"challenges", "late"},
                                                          {"late_parts", "half_answers"},
                                                          {"challenge_flood", "challenges"},
                                                          {"unconfirmed", "withhold_parts"}};
  std::uint64_t seed = 10;
  for (const auto& attacks : mixtures) {
    CAPTURE(attacks.front());
    SwarmOptions options = seven_with(attacks, ++seed);
    SimSwarm swarm(options);
    swarm.start_all();
    const auto ended = [&] {
      return std::ranges::all_of(std::vector<std::size_t>{0, 1, 2, 3, 4},
                                 [&](std::size_t i) { return swarm.member(i).ended.has_value(); });
    };
    REQUIRE(run_until(swarm, ended, 240min));
    std::set<PeerId> hostile{swarm.member(5).host->id(), swarm.member(6).host->id()};
    for (const auto& removal : swarm.member(0).removals) CHECK(hostile.contains(removal.peer));
  }
}

// Challenges one victim's contribution to its own part, in its turn.
class PicksOn final : public Misconduct {
 public:
  PicksOn(PeerId victim, std::uint64_t turn, std::uint64_t turns)
      : victim_(std::move(victim)), turn_(turn), turns_(turns) {}
  void on_gradient(const ContributionView& view, std::span<float>) override { parts_ = view.reduces; }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.phase != Phase::reduce || key.round.value() % turns_ != turn_ || parts_.empty()) return;
    auto reduce = ReducePayload::decode(payload);
    if (!reduce) return;
    reduce->missing = {{PartIndex(static_cast<std::uint32_t>(parts_.front())), victim_}};
    payload = reduce->encode();
  }

 private:
  PeerId victim_;
  std::uint64_t turn_;
  std::uint64_t turns_;
  std::vector<std::size_t> parts_;
};

TEST_CASE("attackers that pick on one member by turns do not make it rest alone") {
  SwarmOptions options = seven_with({"zero"});
  options.founders = 9;
  options.hostile = 3;
  options.validators = 0;
  options.rounds = 16;
  SimSwarm swarm(options);
  const PeerId victim = swarm.member(0).host->id();
  for (std::uint64_t k = 0; k < 3; ++k) {
    swarm.member(6 + k).behaviour = {.name = "picks on one",
                                     .misconduct = std::make_shared<PicksOn>(victim, k, 3)};
  }
  const Ending ending = run_to_end(swarm);
  CHECK(ending.reasons == std::set<StrikeReason>{StrikeReason::answered_challenge});
  CHECK(swarm.member(0).rested.contains(victim));
  CHECK(ending.rested_honest == 1);
  CHECK(ending.rested_hostile >= 1);
}

// An honest member that is busy: its REVEAL comes in the last slot before T, time and again.
Behaviour busy(const swarm::Manifest& manifest, std::uint64_t before_round = 1000) {
  const net::Duration hold = 2 * manifest.exchange_deadline() - 3 * manifest.delta() / 2;
  return {.tamper = [hold, before_round](const PeerId&, const std::string&, TamperedFrame frame) {
    const auto control = swarm::decode_control(frame.header);
    const auto* broadcast = control ? std::get_if<swarm::BroadcastFrame>(&*control) : nullptr;
    const auto* message = broadcast != nullptr ? std::get_if<swarm::PhaseMessage>(broadcast) : nullptr;
    const bool revealed = message != nullptr && message->key.phase == Phase::reveal;
    if (revealed && message->key.round.value() < before_round) frame.hold = hold;
    std::vector<TamperedFrame> frames;
    frames.push_back(std::move(frame));
    return frames;
  }};
}

TEST_CASE("an honest member that is slow reduces nothing after a while, and keeps its seat") {
  for (const bool parts : {false, true}) {
    CAPTURE(parts);
    SimSwarm swarm(seven_with({}));
    swarm.member(3).behaviour = busy(swarm.manifest());
    if (parts) {
      swarm.member(3).behaviour =
          late_parts({.manifest = swarm.manifest(), .identity = swarm.member(3).host->identity(), .seed = 5});
      swarm.member(3).behaviour.name.clear();
    }
    swarm.checker().not_calm();
    const Ending ending = run_to_end(swarm);
    CHECK(ending.reasons ==
          std::set<StrikeReason>{parts ? StrikeReason::answered_challenge : StrikeReason::late});
    CHECK(swarm.member(0).resting == std::vector<PeerId>{swarm.member(3).host->id()});
    CHECK(swarm.member(0).reports.at(12).members == 7);
    CHECK(ending.rested_honest <= 2);  // for a moment somebody may have rested with it
  }
}

// Breaks nothing: the rounds in which everybody answers challenges of results.
class AnswersSeen final : public Misconduct {
 public:
  void on_payload(const swarm::PhaseKey& key, Bytes&) override {
    if (key.phase == Phase::reveal_answer) rounds.insert(key.round.value());
  }
  std::set<std::uint64_t> rounds;
};

TEST_CASE("the challenges of members that rest cost the others no phase any more") {
  SwarmOptions options = seven_with({"challenges"}, 3);
  options.rounds = 20;
  SimSwarm swarm(options);
  const auto answers = std::make_shared<AnswersSeen>();
  swarm.member(0).behaviour.misconduct = answers;
  const Ending ending = run_to_end(swarm);
  CHECK(ending.rested_hostile == 2);
  REQUIRE_FALSE(answers->rounds.empty());
  CHECK(*answers->rounds.rbegin() < 12);  // they go on until the end
}

// A reducer that sends one member no results.
Behaviour leaves_out(const PeerId& victim, std::uint64_t from_round) {
  return {.name = "leaves one out",
          .tamper = [=](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
            std::vector<TamperedFrame> frames;
            const bool part = protocol.starts_with("/testudo/part/");
            const auto key = part ? PartExchange::key_in(frame.header) : std::nullopt;
            const bool dropped =
                key && key->kind == PartKind::result && key->round.value() >= from_round && to == victim;
            if (!dropped) frames.push_back(std::move(frame));
            return frames;
          }};
}

TEST_CASE("an honest member that rests is helped by another to what a reducer keeps from it") {
  for (const char* const rule : {"centered_clip", "mean"}) {
    CAPTURE(rule);
    SwarmOptions options = seven_with({"zero"});
    options.hostile = 1;
    options.rule = rule;
    options.rounds = 20;
    SimSwarm swarm(options);
    constexpr std::size_t victim = 3;
    constexpr std::uint64_t from_round = 10;
    swarm.member(victim).behaviour = busy(swarm.manifest(), from_round);
    swarm.member(6).behaviour = leaves_out(swarm.member(victim).host->id(), from_round);
    const auto answers = std::make_shared<AnswersSeen>();
    swarm.member(0).behaviour.misconduct = answers;
    swarm.checker().not_calm();  // the victim is slow
    run_to_end(swarm);
    CHECK(swarm.member(0).removals.empty());
    CHECK(swarm.member(0).resting == std::vector<PeerId>{swarm.member(victim).host->id()});
    CHECK(answers->rounds.empty());
    // It ended each round itself.
    for (const auto& [round, report] : swarm.member(victim).reports) {
      CAPTURE(round);
      CHECK(std::ranges::find(report.phases, "step", &PhaseTime::phase) != report.phases.end());
    }
  }
}

// As a reducer: a result that does not decode, which it sends to all but one; then two CHECKs.
Behaviour proves_two_faults(const SimSwarm& swarm, const crypto::KeyPair& identity, const PeerId& victim,
                            std::uint64_t in_round) {
  class Undecodable final : public Misconduct {
   public:
    explicit Undecodable(std::uint64_t in_round) : in_(in_round) {}
    void on_result(swarm::RoundNumber round, const PartRange&, Buffer& encoded) override {
      if (round.value() == in_) std::ranges::fill(encoded, std::uint8_t{0xff});
    }

   private:
    std::uint64_t in_;
  };
  Behaviour behaviour = leaves_out(victim, in_round);
  behaviour.misconduct = std::make_shared<Undecodable>(in_round);
  behaviour.tamper = [key = std::make_shared<crypto::KeyPair>(identity.clone()), in_round,
                      run = swarm.manifest().run_id(), leave_out = std::move(behaviour.tamper)](
                         const PeerId& to, const std::string& protocol, TamperedFrame frame) {
    const auto control = swarm::decode_control(frame.header);
    const auto* broadcast = control ? std::get_if<swarm::BroadcastFrame>(&*control) : nullptr;
    const auto* message = broadcast != nullptr ? std::get_if<swarm::PhaseMessage>(broadcast) : nullptr;
    if (message != nullptr && message->key.phase == Phase::check && message->key.round.value() == in_round &&
        in_other_half(to)) {
      Bytes other = message->payload;
      other.push_back(0);
      const auto signed_again = swarm::PhaseMessage::sign(run, message->key, other, *key);
      frame.header = swarm::encode_control(swarm::BroadcastFrame(signed_again));
    }
    return leave_out(to, protocol, std::move(frame));
  };
  return behaviour;
}

TEST_CASE("who learns of two faults in another order than the others signs the same outcome") {
  SwarmOptions options = seven_with({"zero"});
  options.hostile = 1;
  options.rounds = 12;
  SimSwarm swarm(options);
  constexpr std::size_t victim = 3;
  constexpr std::uint64_t in_round = 10;
  const net::Host& liar = *swarm.member(6).host;
  swarm.member(victim).behaviour = busy(swarm.manifest(), in_round);
  swarm.member(6).behaviour =
      proves_two_faults(swarm, liar.identity(), swarm.member(victim).host->id(), in_round);
  std::map<PeerId, std::set<Digest>> signed_by;  // in that round
  swarm.member(0).behaviour.hear = [&](const PeerId&, const std::string& protocol, TamperedFrame frame) {
    if (!protocol.starts_with("/testudo/round/")) return;
    const auto control = swarm::decode_control(frame.header);
    const auto* vote = control ? std::get_if<swarm::VoteFrame>(&*control) : nullptr;
    if (vote == nullptr || vote->outcome.round.value() != in_round) return;
    signed_by[vote->vote.signer].insert(vote->outcome.digest());
  };
  swarm.checker().not_calm();  // the victim is slow
  run_to_end(swarm);
  CHECK(swarm.member(0).removals.size() == 1);
  CHECK(swarm.member(0).removals.front().fault == swarm::Fault::equivocation);
  REQUIRE(signed_by.contains(swarm.member(victim).host->id()));
  for (const auto& [signer, outcomes] : signed_by) {
    if (signer != liar.id()) CHECK(outcomes == signed_by.at(swarm.member(victim).host->id()));
  }
}

}  // namespace
}  // namespace testudo::training
