// What members send one another in a round: broadcast frames, votes, certificates, hellos; and the outcomes,
// certificates and evidence by themselves. Everything that decodes has one encoding.
#include "swarm/control.h"
#include "tests/fuzz/fuzz.h"
#include "tests/swarm/testing.h"

namespace testudo::fuzz {
namespace {

using namespace swarm;

const RunId run_id{7};
const PhaseKey phase{RoundNumber(7), Attempt(1), Phase::reduce};

void run(ByteView input) {
  check_one_encoding<Outcome>(input);
  check_one_encoding<Certificate>(input);
  check_one_encoding<Equivocation>(input);
  if (const auto message = decode_message(input)) TESTUDO_CHECK(equal(encode_message(*message), input));
  if (const auto evidence = Equivocation::decode(input)) (void)evidence->verify(run_id);
  if (const auto outcome = Outcome::decode(input))
    TESTUDO_CHECK(outcome->remaining().size() <= outcome->present.size());
  if (const auto frame = decode_broadcast_frame(input)) {
    if (const auto* bundle = std::get_if<RelayBundle>(&*frame)) {
      TESTUDO_CHECK(bundle->size() <= bundle_limit && key_of(*frame).has_value() == !bundle->empty());
    }
    // Signatures travel in the order of their signers after the first hop, whatever order they came in.
    const auto again = decode_broadcast_frame(encode(*frame));
    TESTUDO_CHECK(again && encode(*again) == encode(*frame));
  }
  if (const auto frame = decode_control(input)) {
    const Bytes encoded = encode_control(*frame);
    const auto again = decode_control(encoded);
    TESTUDO_CHECK(again && encode_control(*again) == encoded);
    if (!std::holds_alternative<BroadcastFrame>(*frame)) TESTUDO_CHECK(equal(encoded, input));
  }
}

std::vector<Bytes> seeds() {
  const auto keys = testing::make_keys(3);
  const auto manifest = testing::make_signed_manifest(keys);
  const Chain chain(manifest.manifest);
  Outcome outcome = testing::next_outcome(chain, manifest.manifest.run_id());
  outcome.results = {Digest{1}, Digest{}};
  outcome.removed = {{keys[0].peer_id(), Fault::unserved, {}},
                     {keys[1].peer_id(), Fault::equivocation, Digest{3}}};
  outcome.admitted = {{key(9).peer_id(), true}};
  const Certificate certificate = testing::certify(outcome, keys);

  const PhaseMessage first = PhaseMessage::sign(run_id, phase, Bytes(20, 1), keys[0]);
  const PhaseMessage second = PhaseMessage::sign(run_id, phase, Bytes(20, 2), keys[0]);
  const HeldMessage held = HeldMessage::sign(run_id, phase, Digest{5}, keys[1]);
  Relayed item{first, {}};
  item.add_relay(run_id, keys[1]);
  item.add_relay(run_id, keys[2]);
  Relayed proof{FastProof{phase, Digest{5}, {{keys[1].peer_id(), held.signature}}}, {}};
  const RelayBundle bundle{item, proof};

  return {outcome.encode(),
          certificate.encode(),
          Equivocation::between(first, second).encode(),
          encode_message(first),
          encode(BroadcastFrame(first)),
          encode(BroadcastFrame(held)),
          encode(BroadcastFrame(bundle)),
          encode_control(BroadcastFrame(bundle)),
          encode_control(VoteFrame{outcome, certificate.votes[0]}),
          encode_control(certificate),
          encode_control(HelloFrame{3, true, false, true, 250})};
}

const Registered target({"frames", run, seeds, 3});

}  // namespace
}  // namespace testudo::fuzz
