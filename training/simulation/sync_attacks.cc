#include "training/simulation/sync_attacks.h"

#include <optional>
#include <utility>
#include <variant>

#include "swarm/ballot.h"
#include "swarm/control.h"
#include "swarm/sync_messages.h"

namespace testudo::training {

namespace {

using swarm::sync::Kind;

constexpr std::uint64_t invented_rounds = 1000;

std::optional<swarm::sync::Request> asks_for(Kind kind, const Bytes& question) {
  const auto request = net::unpack<swarm::sync::Request>(question);
  if (!request || request->kind != static_cast<std::uint8_t>(kind)) return std::nullopt;
  return *request;
}

// Frames in which its ledger is so much longer.
Tamper claims_more(std::uint64_t rounds) {
  return [rounds](const crypto::PeerId&, const std::string& protocol, TamperedFrame frame) {
    if (protocol.starts_with("/testudo/round/")) {
      const auto control = swarm::decode_control(frame.header);
      const auto* hello = control ? std::get_if<swarm::HelloFrame>(&*control) : nullptr;
      if (hello != nullptr) {
        swarm::HelloFrame longer = *hello;
        longer.height += rounds;
        frame.header = swarm::encode_control(longer);
      }
    }
    std::vector<TamperedFrame> frames;
    frames.push_back(std::move(frame));
    return frames;
  };
}

TamperAnswer late_answers(Kind kind, net::Duration hold) {
  return [=](const crypto::PeerId&, const Bytes& question, Bytes answer) {
    return TamperedAnswer{std::move(answer), asks_for(kind, question) ? hold : net::Duration{}};
  };
}

// It decodes, and that is all.
Bytes invented_certificate(const swarm::RunId& run, const crypto::KeyPair& key) {
  auto outcome = swarm::plain_void(run, swarm::RoundNumber(invented_rounds), swarm::Attempt(0), Digest{});
  swarm::Certificate certificate{std::move(outcome), {}};
  certificate.votes.push_back({key.peer_id(), swarm::sign_outcome(key, certificate.outcome)});
  return certificate.encode();
}

}  // namespace

Behaviour slow_steps(net::Duration hold) {
  return {.name = "slow_steps", .answer = late_answers(Kind::step, hold)};
}

Behaviour false_heights(const AttackSetup& setup) {
  const Bytes invented = invented_certificate(setup.manifest.run_id(), setup.identity);
  const Bytes many = net::pack(swarm::sync::CertificatesReply{
      .status = static_cast<std::uint8_t>(swarm::sync::Status::ok),
      .certificates = std::vector<Bytes>(swarm::sync::certificates_per_reply, invented)});
  return {.name = "false_heights",
          .tamper = claims_more(invented_rounds),
          .answer = [many](const crypto::PeerId&, const Bytes& question, Bytes answer) {
            return TamperedAnswer{asks_for(Kind::certificates, question) ? many : std::move(answer), {}};
          }};
}

Behaviour slow_ledger(net::Duration hold) {
  return {.name = "slow_ledger", .tamper = claims_more(1), .answer = late_answers(Kind::certificates, hold)};
}

Behaviour false_paths() {
  return {.name = "false_paths", .answer = [](const crypto::PeerId&, const Bytes& question, Bytes answer) {
            if (const auto request = asks_for(Kind::path, question)) {
              Digest invented = request->root;
              invented[0] ^= 1;
              answer = net::pack(
                  swarm::sync::PathReply{.status = static_cast<std::uint8_t>(swarm::sync::Status::ok),
                                         .roots = {invented, request->root},
                                         .whole = 0});
            }
            return TamperedAnswer{std::move(answer), {}};
          }};
}

}  // namespace testudo::training
