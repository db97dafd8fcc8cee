// Members that break the rules on the wire: the honest ones end every round alike, and who can be shown to
// have lied is banned by all in the same round.
#include "swarm/control.h"
#include "tests/training/sim_swarm.h"
#include "training/round/payloads.h"

namespace testudo::training {
namespace {

using swarm::PeerId;
using swarm::Phase;

constexpr std::size_t liar = 4;  // of five members, three of them founders
constexpr std::uint64_t from_round = 4;

// Splits the members in two halves that are both inhabited for the seeds in use (checked below).
bool odd(const PeerId& peer) { return (peer.key().raw()[5] & 1) != 0; }

// The agreed-broadcast frame within a frame of the round's protocol, if it is one of this attack's rounds.
std::optional<swarm::BroadcastFrame> broadcast_in(const std::string& protocol, const TamperedFrame& frame) {
  if (!protocol.starts_with("/testudo/round/")) return std::nullopt;
  const auto control = swarm::decode_control(frame.header);
  if (!control) return std::nullopt;
  const auto* broadcast = std::get_if<swarm::BroadcastFrame>(&*control);
  if (broadcast == nullptr) return std::nullopt;
  const auto key = swarm::key_of(*broadcast);
  if (!key || key->round < swarm::RoundNumber(from_round)) return std::nullopt;
  return *broadcast;
}

bool in_phase(const std::string& protocol, const TamperedFrame& frame, Phase phase) {
  const auto broadcast = broadcast_in(protocol, frame);
  return broadcast && swarm::key_of(*broadcast)->phase == phase;
}

bool is_part(const std::string& protocol) { return protocol.starts_with("/testudo/part/"); }

struct Ending {
  std::vector<swarm::Removal> of_liar;  // as the first founder saw it
  std::uint64_t slowest_ms = 0;
};

// Runs five members, the last of which tampers, and checks what must hold for the honest.
Ending run_with(const Tamper& tamper, std::uint64_t seed = 1) {
  SimSwarm swarm({.founders = 3, .joiners = 2, .dimension = 200, .rounds = 14, .seed = seed});
  swarm.member(liar).tamper = tamper;
  std::size_t odd_members = 0;
  for (std::size_t i = 0; i < liar; ++i) odd_members += odd(swarm.member(i).host->id()) ? 1 : 0;
  REQUIRE_MESSAGE((seed != 1 || (odd_members > 0 && odd_members < liar)),
                  "choose another way to split the members");
  swarm.start_all();
  const auto honest_ended = [&] {
    for (std::size_t i = 0; i < liar; ++i) {
      if (!swarm.member(i).ended) return false;
    }
    return true;
  };
  REQUIRE(swarm.run_until(honest_ended, 60min));
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
  for (const auto& [round, report] : swarm.member(0).reports) {
    ending.slowest_ms = std::max(ending.slowest_ms, static_cast<std::uint64_t>(report.seconds * 1000));
  }
  return ending;
}

bool has(const Ending& ending, swarm::Fault fault) {
  return std::ranges::any_of(ending.of_liar, [fault](const auto& removal) { return removal.fault == fault; });
}

TEST_CASE("who signs two COMMITs and shows them to different members is banned on evidence") {
  crypto::SeededRng rng(1);
  SimSwarm names({.founders = 3, .joiners = 2, .dimension = 200, .rounds = 14});
  const swarm::RunId run = names.manifest().run_id();
  const auto key = names.member(liar).host->identity().clone();
  const Ending ending = run_with([&](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
    const auto broadcast = broadcast_in(protocol, frame);
    const auto* message = broadcast ? std::get_if<swarm::PhaseMessage>(&*broadcast) : nullptr;
    if (message != nullptr && message->key.phase == Phase::commit && odd(to)) {
      auto commit = CommitPayload::decode(message->payload);
      REQUIRE(commit.has_value());
      commit->loss = 1234;
      const auto other = swarm::PhaseMessage::sign(run, message->key, commit->encode(), key);
      frame.header = swarm::encode_control(swarm::BroadcastFrame(other));
    }
    return std::optional(std::move(frame));
  });
  REQUIRE(has(ending, swarm::Fault::equivocation));
  CHECK(is_ban(ending.of_liar.back().fault));  // and never came back
}

TEST_CASE(
    "who is silent in a phase, to everybody or to some, costs one slow round and its own seat at most") {
  for (const Phase phase : {Phase::commit, Phase::serve, Phase::reduce, Phase::gather}) {
    for (const bool everybody : {true, false}) {
      CAPTURE(name(phase));
      CAPTURE(everybody);
      const Ending ending = run_with([=](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
        if (in_phase(protocol, frame, phase) && (everybody || odd(to))) return std::optional<TamperedFrame>();
        return std::optional(std::move(frame));
      });
      if (everybody) CHECK_FALSE(ending.of_liar.empty());
      // compute 10 s + slow path, or the exchange phases at their deadlines.
      CHECK(ending.slowest_ms < 40'000);
    }
  }
}

TEST_CASE("parts that are withheld or changed are challenged, served, and nobody honest pays") {
  for (const bool change : {false, true}) {
    CAPTURE(change);
    run_with([=](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
      if (is_part(protocol) && odd(to)) {
        if (!change) return std::optional<TamperedFrame>();
        if (!frame.blob.empty()) frame.blob[0] ^= 1;
      }
      return std::optional(std::move(frame));
    });
  }
}

TEST_CASE("who neither sends its parts nor answers challenges loses its seat") {
  const Ending ending = run_with([](const PeerId&, const std::string& protocol, TamperedFrame frame) {
    if (is_part(protocol)) return std::optional<TamperedFrame>();
    if (in_phase(protocol, frame, Phase::serve_answer)) return std::optional<TamperedFrame>();
    if (in_phase(protocol, frame, Phase::gather_answer)) return std::optional<TamperedFrame>();
    return std::optional(std::move(frame));
  });
  CHECK_FALSE(ending.of_liar.empty());
}

TEST_CASE("garbage in place of frames changes nothing") {
  auto rng = std::make_shared<crypto::SeededRng>(7);
  run_with([rng](const PeerId&, const std::string&, TamperedFrame frame) {
    if (rng->below(4) == 0 && !frame.header.empty()) {
      frame.header[static_cast<std::size_t>(rng->below(frame.header.size()))] ^=
          static_cast<std::uint8_t>(1 + rng->below(255));
    }
    return std::optional(std::move(frame));
  });
}

TEST_CASE("random mixtures of silence, half-truths and changed bytes never make honest members diverge") {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    CAPTURE(seed);
    auto rng = std::make_shared<crypto::SeededRng>(seed);
    run_with(
        [rng](const PeerId&, const std::string& protocol, TamperedFrame frame) {
          const bool attacked = is_part(protocol) || broadcast_in(protocol, frame);
          if (attacked && rng->below(6) == 0) return std::optional<TamperedFrame>();
          if (attacked && rng->below(20) == 0 && !frame.blob.empty()) frame.blob[0] ^= 1;
          return std::optional(std::move(frame));
        },
        seed);
  }
}

}  // namespace
}  // namespace testudo::training
