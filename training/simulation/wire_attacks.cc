#include "training/simulation/wire_attacks.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "crypto/rng.h"
#include "swarm/ballot.h"
#include "swarm/control.h"
#include "training/round/part_exchange.h"
#include "training/round/payloads.h"

namespace testudo::training {

namespace {

using crypto::PeerId;
using swarm::Phase;

// A loss that no honest member claims: it makes the second COMMIT another message.
constexpr float invented_loss = 1234;

// The agreed-broadcast frame within a frame of the round's protocol, if it is one of this attack's rounds.
std::optional<swarm::BroadcastFrame> broadcast_in(const std::string& protocol, const TamperedFrame& frame,
                                                  std::uint64_t from_round) {
  if (!protocol.starts_with("/testudo/round/")) return std::nullopt;
  const auto control = swarm::decode_control(frame.header);
  if (!control) return std::nullopt;
  const auto* broadcast = std::get_if<swarm::BroadcastFrame>(&*control);
  if (broadcast == nullptr) return std::nullopt;
  const auto key = swarm::key_of(*broadcast);
  if (!key || key->round < swarm::RoundNumber(from_round)) return std::nullopt;
  return *broadcast;
}

bool in_phase(const std::string& protocol, const TamperedFrame& frame, Phase phase,
              std::uint64_t from_round) {
  const auto broadcast = broadcast_in(protocol, frame, from_round);
  return broadcast && swarm::key_of(*broadcast)->phase == phase;
}

bool is_part(const std::string& protocol) { return protocol.starts_with("/testudo/part/"); }

std::vector<TamperedFrame> only(TamperedFrame frame) {
  std::vector<TamperedFrame> frames;
  frames.push_back(std::move(frame));
  return frames;
}

// T of a phase, from when the one before it ended.
net::Duration deadline_of(Phase phase, const swarm::Manifest& manifest) {
  switch (phase) {
    case Phase::commit:
    case Phase::measure:
      return manifest.compute_deadline();
    case Phase::reduce:
    case Phase::reduce_again:
    case Phase::reveal:
    case Phase::evidence:
    case Phase::evidence_again:
      return 2 * manifest.exchange_deadline();
    default:
      return manifest.exchange_deadline();
  }
}

// Within Δ of T, before or after, another moment for everybody.
net::Duration near_deadline(net::Duration deadline, const swarm::Manifest& manifest, crypto::Rng& rng) {
  const auto span = static_cast<std::uint64_t>(2 * manifest.delta().count());
  return deadline - manifest.delta() + net::Duration(static_cast<net::Duration::rep>(rng.below(span)));
}

// Frames that were once seen, the last ones.
class Recording {
 public:
  void add(const std::string& protocol, const TamperedFrame& frame) {
    if (frames_.size() == limit) frames_.pop_front();
    frames_.emplace_back(protocol, frame);
  }
  std::optional<TamperedFrame> any(const std::string& protocol, crypto::Rng& rng) const {
    const auto& [of, frame] = frames_[static_cast<std::size_t>(rng.below(frames_.size()))];
    return of == protocol ? std::optional(frame) : std::nullopt;
  }

 private:
  // Of three rounds or so: enough for other rounds and other attempts.
  static constexpr std::size_t limit = 1024;
  std::deque<std::pair<std::string, TamperedFrame>> frames_;
};

TamperedFrame frame_of(const swarm::PhaseMessage& message) {
  return {swarm::encode_control(swarm::BroadcastFrame(message)), {}, {}};
}

// In every fifth round another gradient; of the round after it nothing where `silent` says so.
Behaviour fleeing(std::string name, std::uint64_t from_round, std::shared_ptr<Collusion> collusion,
                  bool (*silent)(const swarm::PhaseKey&)) {
  constexpr std::uint64_t every = 5;  // it takes three rounds to have its seat back
  auto wrong = make_gradient_attack(
      {.from_round = from_round, .every = every, .collusion = std::move(collusion), .flipped = nullptr});
  return {.name = std::move(name),
          .tamper = silent_where([=](const swarm::PhaseKey& key) {
            const std::uint64_t round = key.round.value();
            return round > from_round && (round - from_round) % every == 1 && silent(key);
          }),
          .misconduct = wrong.value()};
}

}  // namespace

bool in_other_half(const PeerId& peer) { return (peer.key().raw()[5] & 1) != 0; }

Behaviour equivocate(const AttackSetup& setup) {
  const auto key = std::make_shared<crypto::KeyPair>(setup.identity.clone());
  return {.name = "equivocate",
          .tamper = [key, run = setup.manifest.run_id(), from = setup.from_round](
                        const PeerId& to, const std::string& protocol, TamperedFrame frame) {
            const auto broadcast = broadcast_in(protocol, frame, from);
            const auto* message = broadcast ? std::get_if<swarm::PhaseMessage>(&*broadcast) : nullptr;
            if (message == nullptr || message->key.phase != Phase::commit || !in_other_half(to)) {
              return only(std::move(frame));
            }
            auto commit = CommitPayload::decode(message->payload);
            if (!commit) return only(std::move(frame));
            commit->loss = invented_loss;
            const auto other = swarm::PhaseMessage::sign(run, message->key, commit->encode(), *key);
            frame.header = swarm::encode_control(swarm::BroadcastFrame(other));
            return only(std::move(frame));
          }};
}

Behaviour two_votes(const AttackSetup& setup) {
  const auto key = std::make_shared<crypto::KeyPair>(setup.identity.clone());
  return {.name = "two_votes",
          .tamper = [key, from = setup.from_round](const PeerId&, const std::string& protocol,
                                                   TamperedFrame frame) {
            std::vector<TamperedFrame> frames = only(std::move(frame));
            if (!protocol.starts_with("/testudo/round/")) return frames;
            const auto control = swarm::decode_control(frames.front().header);
            const auto* vote = control ? std::get_if<swarm::VoteFrame>(&*control) : nullptr;
            if (vote == nullptr || vote->outcome.round.value() < from) return frames;
            swarm::VoteFrame other = *vote;
            other.outcome.loss = invented_loss;
            other.vote.signature = swarm::sign_outcome(*key, other.outcome);
            frames.push_back({swarm::encode_control(other), {}, {}});
            return frames;
          }};
}

Behaviour silent_in(Phase phase, bool everybody, std::uint64_t from_round) {
  return {.name = "silent",
          .tamper = [=](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
            const bool told = everybody || in_other_half(to);
            if (told && in_phase(protocol, frame, phase, from_round)) return std::vector<TamperedFrame>();
            return only(std::move(frame));
          }};
}

Tamper silent_where(std::function<bool(const swarm::PhaseKey&)> silent) {
  return [silent = std::move(silent)](const PeerId&, const std::string& protocol, TamperedFrame frame) {
    const auto broadcast = broadcast_in(protocol, frame, 0);
    const auto key = broadcast ? swarm::key_of(*broadcast) : std::nullopt;
    if (key && silent(*key)) return std::vector<TamperedFrame>();
    return only(std::move(frame));
  };
}

Behaviour flee(std::uint64_t from_round, std::shared_ptr<Collusion> collusion) {
  return fleeing("flee", from_round, std::move(collusion),
                 [](const swarm::PhaseKey& key) { return key.phase >= Phase::check; });
}

Behaviour flee_by_void(std::uint64_t from_round, std::shared_ptr<Collusion> collusion) {
  return fleeing("flee_by_void", from_round, std::move(collusion), [](const swarm::PhaseKey& key) {
    return key.phase >= Phase::reveal && key.attempt == swarm::Attempt(0);
  });
}

Behaviour withhold_parts() {
  return {.name = "withhold_parts",
          .tamper = [](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
            if (is_part(protocol) && in_other_half(to)) return std::vector<TamperedFrame>();
            return only(std::move(frame));
          }};
}

Behaviour no_parts(std::uint64_t from_round) {
  return {.name = "no_parts", .tamper = [=](const PeerId&, const std::string& protocol, TamperedFrame frame) {
            const auto key = is_part(protocol) ? PartExchange::key_in(frame.header) : std::nullopt;
            if (key && key->round.value() >= from_round) return std::vector<TamperedFrame>();
            return only(std::move(frame));
          }};
}

Behaviour corrupt_parts() {
  return {.name = "corrupt_parts",
          .tamper = [](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
            if (is_part(protocol) && in_other_half(to) && !frame.blob.empty()) frame.blob[0] ^= 1;
            return only(std::move(frame));
          }};
}

Behaviour mute(std::uint64_t from_round) {
  return {.name = "mute", .tamper = [=](const PeerId&, const std::string& protocol, TamperedFrame frame) {
            if (is_part(protocol) || in_phase(protocol, frame, Phase::serve, from_round) ||
                in_phase(protocol, frame, Phase::reveal_answer, from_round)) {
              return std::vector<TamperedFrame>();
            }
            return only(std::move(frame));
          }};
}

Behaviour garbage(std::uint64_t seed) {
  const auto rng = std::make_shared<crypto::SeededRng>(seed);
  return {.name = "garbage", .tamper = [rng](const PeerId&, const std::string&, TamperedFrame frame) {
            if (rng->below(4) == 0 && !frame.header.empty()) {
              frame.header[static_cast<std::size_t>(rng->below(frame.header.size()))] ^=
                  static_cast<std::uint8_t>(1 + rng->below(255));
            }
            return only(std::move(frame));
          }};
}

Behaviour mixture(std::uint64_t seed, std::uint64_t from_round) {
  const auto rng = std::make_shared<crypto::SeededRng>(seed);
  return {.name = "mixture", .tamper = [=](const PeerId&, const std::string& protocol, TamperedFrame frame) {
            const bool attacked = is_part(protocol) || broadcast_in(protocol, frame, from_round);
            if (attacked && rng->below(6) == 0) return std::vector<TamperedFrame>();
            if (attacked && rng->below(20) == 0 && !frame.blob.empty()) frame.blob[0] ^= 1;
            return only(std::move(frame));
          }};
}

Behaviour late(const AttackSetup& setup) {
  const auto rng = std::make_shared<crypto::SeededRng>(setup.seed);
  return {
      .name = "late",
      .tamper = [rng, manifest = setup.manifest, self = setup.identity.peer_id(), from = setup.from_round](
                    const PeerId&, const std::string& protocol, TamperedFrame frame) {
        const auto broadcast = broadcast_in(protocol, frame, from);
        const auto* message = broadcast ? std::get_if<swarm::PhaseMessage>(&*broadcast) : nullptr;
        if (message != nullptr && message->author == self) {
          frame.hold = near_deadline(deadline_of(message->key.phase, manifest), manifest, *rng);
        }
        return only(std::move(frame));
      }};
}

Behaviour late_parts(const AttackSetup& setup) {
  const auto rng = std::make_shared<crypto::SeededRng>(setup.seed);
  return {.name = "late_parts",
          .tamper = [rng, manifest = setup.manifest](const PeerId&, const std::string& protocol,
                                                     TamperedFrame frame) {
            if (is_part(protocol)) {
              frame.hold = near_deadline(manifest.exchange_deadline(), manifest, *rng);
            }
            return only(std::move(frame));
          }};
}

Behaviour unconfirmed(const AttackSetup& setup) {
  return {.name = "unconfirmed",
          .tamper = [self = setup.identity.peer_id(), from = setup.from_round](
                        const PeerId&, const std::string& protocol, TamperedFrame frame) {
            const auto broadcast = broadcast_in(protocol, frame, from);
            if (!broadcast) return only(std::move(frame));
            const auto* held = std::get_if<swarm::HeldMessage>(&*broadcast);
            const auto* bundle = std::get_if<swarm::RelayBundle>(&*broadcast);
            const bool proof = bundle != nullptr && std::ranges::any_of(*bundle, [](const auto& relayed) {
                                 return std::holds_alternative<swarm::FastProof>(relayed.item);
                               });
            if (proof || (held != nullptr && held->holder == self)) return std::vector<TamperedFrame>();
            return only(std::move(frame));
          }};
}

Behaviour half_answers(std::uint64_t from_round) {
  return {.name = "half_answers",
          .tamper = [=](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
            const bool answer = in_phase(protocol, frame, Phase::serve, from_round) ||
                                in_phase(protocol, frame, Phase::reveal_answer, from_round);
            const bool kept_back = in_other_half(to) ? is_part(protocol) : answer;
            if (kept_back) return std::vector<TamperedFrame>();
            return only(std::move(frame));
          }};
}

Behaviour sybil_votes(const AttackSetup& setup) {
  const auto key = std::make_shared<crypto::KeyPair>(setup.identity.clone());
  // What honest members signed last: all accomplices hear the same, and so make the same of it.
  const auto heard = std::make_shared<swarm::Outcome>();
  const auto voted_in = std::make_shared<std::map<PeerId, std::pair<swarm::RoundNumber, swarm::Attempt>>>();
  const auto outvoting = [=, collusion = setup.collusion](const swarm::PhaseKey& at) {
    swarm::Outcome outcome = swarm::plain_void(heard->run, at.round, at.attempt, heard->digest());
    for (const PeerId& member : heard->remaining()) {
      if (!collusion->knows(member)) outcome.removed.push_back({member, swarm::Fault::silent, {}});
    }
    return outcome;
  };
  auto lazy = make_gradient_attack({.kind = "zero", .from_round = setup.from_round});
  return {
      .name = "sybil_votes",
      .tamper =
          [=, from = setup.from_round](const PeerId& to, const std::string& protocol, TamperedFrame frame) {
            const auto broadcast = broadcast_in(protocol, frame, from);
            std::vector<TamperedFrame> frames = only(std::move(frame));
            if (!broadcast) return frames;
            const auto at = *swarm::key_of(*broadcast);
            const bool applied = heard->kind == swarm::OutcomeKind::apply;
            const bool next = at.attempt == swarm::Attempt(0) ? applied && heard->round.next() == at.round
                                                              : !applied && heard->round == at.round;
            auto& last = (*voted_in)[to];
            if (!next || last == std::pair(at.round, at.attempt)) return frames;
            last = {at.round, at.attempt};
            const swarm::Outcome outcome = outvoting(at);
            const swarm::VoteFrame vote{outcome, {key->peer_id(), swarm::sign_outcome(*key, outcome)}};
            frames.push_back({swarm::encode_control(vote), {}, {}});
            return frames;
          },
      .hear =
          [heard, collusion = setup.collusion](const PeerId& from, const std::string& protocol,
                                               TamperedFrame frame) {
            if (!protocol.starts_with("/testudo/round/") || collusion->knows(from)) return;
            const auto control = swarm::decode_control(frame.header);
            const auto* vote = control ? std::get_if<swarm::VoteFrame>(&*control) : nullptr;
            if (vote == nullptr) return;
            const auto place = [](const swarm::Outcome& outcome) {
              return std::pair(outcome.round, outcome.attempt);
            };
            if (place(vote->outcome) > place(*heard)) *heard = vote->outcome;
          },
      .misconduct = lazy ? std::move(*lazy) : nullptr};
}

Behaviour replay(const AttackSetup& setup) {
  const auto rng = std::make_shared<crypto::SeededRng>(setup.seed);
  const auto recording = std::make_shared<Recording>();
  const auto key = std::make_shared<crypto::KeyPair>(setup.identity.clone());
  swarm::RunId other_run = setup.manifest.run_id();
  other_run[0] ^= 1;
  return {.name = "replay",
          .tamper =
              [=, from = setup.from_round](const PeerId&, const std::string& protocol, TamperedFrame frame) {
                recording->add(protocol, frame);
                std::vector<TamperedFrame> frames = only(std::move(frame));
                const auto old = recording->any(protocol, *rng);
                if (!old) return frames;
                const auto now = broadcast_in(protocol, frames.front(), from);
                const auto* message = now ? std::get_if<swarm::PhaseMessage>(&*now) : nullptr;
                if (rng->below(2) == 0) frames.push_back(*old);
                if (message == nullptr) return frames;
                // The same in another run; and what somebody said before, as if it were said now.
                frames.push_back(
                    frame_of(swarm::PhaseMessage::sign(other_run, message->key, message->payload, *key)));
                const auto before = broadcast_in(protocol, *old, 0);
                const auto* said = before ? std::get_if<swarm::PhaseMessage>(&*before) : nullptr;
                if (said == nullptr) return frames;
                swarm::PhaseMessage moved = *said;
                moved.key = message->key;
                frames.push_back(frame_of(moved));
                return frames;
              },
          .hear = [recording](const PeerId&, const std::string& protocol,
                              TamperedFrame frame) { recording->add(protocol, frame); }};
}

}  // namespace testudo::training
