// What members say in the phases of a round, and the training state that they hand to newcomers.
#include "training/round/payloads.h"

#include <algorithm>
#include <cmath>

#include "tests/fuzz/fuzz.h"
#include "training/round/state.h"

namespace testudo::fuzz {
namespace {

using namespace training;

constexpr TrainingState::Sizes sizes{.parameters = 9, .optimizer = 9, .aggregate = 9};

Bytes encoded_state(std::uint64_t round, const TrainingState::Sizes& with, float value) {
  TrainingState state(swarm::RoundNumber(round), with);
  std::ranges::fill(state.parameters(), value);
  std::ranges::fill(state.optimizer(), 0.1F);
  std::ranges::fill(state.aggregate(), -2.0F);
  return to_bytes(state.encoded());
}

void run(ByteView input) {
  check_one_encoding<CommitPayload>(input);
  check_one_encoding<AnswerPayload>(input);
  check_one_encoding<ReducePayload>(input);
  check_one_encoding<RevealPayload>(input);
  check_one_encoding<CheckPayload>(input);
  if (const auto commit = CommitPayload::decode(input)) {
    TESTUDO_CHECK(commit->parts.size() <= part_limit && commit->applications.size() <= application_limit &&
                  commit->accusations.size() <= accusation_limit && std::isfinite(commit->loss));
  }
  if (const auto answer = AnswerPayload::decode(input); answer && !answer->parts.empty()) {
    TESTUDO_CHECK(answer->find(answer->parts[0].first) == &answer->parts[0].second);
  }
  if (const auto state = TrainingState::decode(Buffer::copy_of(input), sizes)) {
    TESTUDO_CHECK(equal(state->encoded(), input) && input.size() <= TrainingState::encoded_bytes(sizes));
    for (const float value : state->parameters()) TESTUDO_CHECK(std::isfinite(value));
  }
}

std::vector<Bytes> seeds() {
  using swarm::PhaseKey, swarm::PhaseMessage;
  const PhaseKey phase{swarm::RoundNumber(3), swarm::Attempt(0), swarm::Phase::commit};
  CommitPayload commit;
  commit.parts = {Digest{1}, Digest{2}};
  commit.distances = {0.5, 3};
  commit.samples = 64;
  commit.loss = 2.5F;
  commit.applications = {{key(3).peer_id(), true}};
  commit.accusations = {swarm::Equivocation::between(PhaseMessage::sign({}, phase, Bytes{1}, key(1)),
                                                     PhaseMessage::sign({}, phase, Bytes{2}, key(1)))};
  const std::vector<PartOf> missing{{PartIndex(2), key(1).peer_id()}};
  const AnswerPayload answer{
      {{PartOf{PartIndex(0), key(1).peer_id()}, Bytes(20, 1)}, {PartOf{PartIndex(7), key(2).peer_id()}, {}}}};
  CheckPayload audit;
  audit.audit = AuditStatement{{key(1).peer_id()}};
  audit.audits = {{key(1).peer_id(), PartIndex(2)}};
  audit.right = {key(2).peer_id()};
  const ReducePayload reduce{{{PartIndex(0), Digest{5}}, {PartIndex(1), std::nullopt}}, missing};
  return {commit.encode(),
          CommitPayload{}.encode(),
          answer.encode(),
          reduce.encode(),
          RevealPayload{{Digest{1}, Digest{2}}, missing}.encode(),
          CheckPayload{{{2.5, {1, -2}}, {}}}.encode(),
          audit.encode(),
          encoded_state(4, sizes, 1.5F),
          encoded_state(0, {.parameters = 9, .optimizer = 9}, 0)};
}

const Registered target({"payloads", run, seeds, 2});

}  // namespace
}  // namespace testudo::fuzz
