// What the tests of this floor share: key pairs, manifests with given founders, signed outcomes.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "crypto/peer_id.h"
#include "swarm/ledger.h"
#include "swarm/manifest.h"
#include "swarm/outcome.h"
#include "swarm/roster.h"

namespace testudo::testing {

using crypto::KeyPair;
using crypto::PeerId;

inline Digest digest_of(std::string_view text) { return crypto::blake2b(as_bytes(text)); }

// Key pairs in the ascending order of their ids, the roster's order. Other `seed`s make other people.
inline std::vector<KeyPair> make_keys(std::size_t count, std::uint64_t seed = 1) {
  crypto::SeededRng rng(seed);
  std::vector<KeyPair> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(KeyPair::generate(rng));
  std::ranges::sort(keys, {}, [](const KeyPair& key) { return key.peer_id(); });
  return keys;
}

inline std::vector<PeerId> ids_of(const std::vector<KeyPair>& keys) {
  std::vector<PeerId> ids;
  for (const KeyPair& key : keys) ids.push_back(key.peer_id());
  std::ranges::sort(ids);
  return ids;
}

// A valid manifest of a synthetic run; its author is the first founder.
inline swarm::Manifest make_manifest(std::vector<PeerId> founders) {
  swarm::Manifest manifest;
  std::ranges::sort(founders);
  manifest.name = "test run";
  manifest.author = founders.front();
  manifest.founders = std::move(founders);
  manifest.model = "synthetic";
  manifest.seed = digest_of("seed");
  manifest.initial_parameters = digest_of("x(0)");
  manifest.parameter_count = 1000;
  manifest.learning_rate = {{0, 0.1F}};
  return manifest;
}

// Signed by `keys.front()`, who is its author; all `keys` are founders.
inline swarm::SignedManifest make_signed_manifest(const std::vector<KeyPair>& keys) {
  return swarm::SignedManifest::sign(make_manifest(ids_of(keys)), keys.front());
}

// The outcome that continues `chain`, with every member of its roster present. Change it, then sign it.
inline swarm::Outcome next_outcome(const swarm::Chain& chain, const swarm::RunId& run,
                                   swarm::OutcomeKind kind = swarm::OutcomeKind::apply) {
  swarm::Outcome outcome;
  outcome.run = run;
  outcome.round = chain.next_round();
  outcome.attempt = chain.next_attempt();
  outcome.kind = kind;
  outcome.previous = chain.head();
  if (kind == swarm::OutcomeKind::apply) {
    for (const swarm::Member& member : chain.roster().members()) outcome.present.push_back(member.id);
    outcome.state = digest_of("state " + std::to_string(chain.height()));
    outcome.parameters = digest_of("parameters " + std::to_string(chain.height()));
    outcome.samples = 64 * outcome.present.size();
    outcome.loss = 1.5F;
  }
  return outcome;
}

// With the signatures of all `signers`, in the order that certificates demand.
inline swarm::Certificate certify(swarm::Outcome outcome, const std::vector<const KeyPair*>& signers) {
  swarm::Certificate certificate{std::move(outcome), {}};
  for (const KeyPair* key : signers) {
    certificate.votes.push_back({key->peer_id(), swarm::sign_outcome(*key, certificate.outcome)});
  }
  std::ranges::sort(certificate.votes, {}, &swarm::Vote::signer);
  return certificate;
}
inline swarm::Certificate certify(swarm::Outcome outcome, std::initializer_list<const KeyPair*> signers) {
  return certify(std::move(outcome), std::vector<const KeyPair*>(signers));
}
inline swarm::Certificate certify(swarm::Outcome outcome, const std::vector<KeyPair>& keys) {
  std::vector<const KeyPair*> signers;
  for (const KeyPair& key : keys) signers.push_back(&key);
  return certify(std::move(outcome), signers);
}

// A message in the next round that no rule allows, as evidence against who signed it.
inline swarm::Evidence evidence_against(const KeyPair& offender, const swarm::Chain& chain,
                                        const swarm::RunId& run) {
  swarm::Evidence evidence;
  evidence.offender = offender.peer_id();
  evidence.fault = swarm::Fault::malformed;
  evidence.messages.push_back(swarm::PhaseMessage::sign(
      run, {chain.next_round(), chain.next_attempt(), swarm::Phase::reduce}, Bytes{0xc1}, offender));
  evidence.name = evidence.messages[0].digest(run);
  return evidence;
}

// The next certificate, with that ban.
inline swarm::Certificate ban_on(const swarm::Evidence& evidence, const swarm::Chain& chain,
                                 const swarm::RunId& run, const std::vector<const KeyPair*>& signers) {
  swarm::Outcome outcome = next_outcome(chain, run);
  outcome.removed.push_back({evidence.offender, evidence.fault, evidence.name});
  return certify(std::move(outcome), signers);
}

}  // namespace testudo::testing
