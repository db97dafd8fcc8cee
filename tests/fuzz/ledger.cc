// The chain of certificates: outcomes of every kind, signed by whom the input chooses. What is appended had a
// quorum; what was stored loads again to the same chain; and a store with anything in it opens or says that
// it is corrupt.
#include "swarm/ledger.h"

#include "net/storage/memory_storage.h"
#include "swarm/ballot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/swarm/testing.h"

namespace testudo::fuzz {
namespace {

using namespace swarm;

struct Run {
  std::vector<crypto::KeyPair> keys = testing::make_keys(6);
  // Three founders; the others may be admitted.
  SignedManifest manifest = SignedManifest::sign(
      testing::make_manifest({keys[0].peer_id(), keys[2].peer_id(), keys[4].peer_id()}), keys[0]);
};
const Run& the_run() {
  static const Run run;
  return run;
}

// The outcome that would continue the chain, changed a little.
Outcome make_outcome(const Chain& chain, Script& script) {
  const Run& run = the_run();
  Outcome outcome = testing::next_outcome(chain, run.manifest.manifest.run_id(),
                                          script.below(4) == 0 ? OutcomeKind::voided : OutcomeKind::apply);
  for (const auto& pair : run.keys) {
    const PeerId id = pair.peer_id();
    const std::uint8_t choice = script.byte();
    if (choice % 8 == 1) outcome.removed.push_back({id, Fault::silent, {}});
    if (choice % 8 == 2) outcome.removed.push_back({id, Fault::malformed, Digest{1}});
    if (choice % 8 == 3) outcome.admitted.push_back({id, choice > 128});
    if (choice % 8 == 4) std::erase(outcome.present, id);
  }
  switch (script.byte()) {
    case 255:
      outcome.round = RoundNumber(script.number(8));
      break;
    case 254:
      outcome.attempt = Attempt(static_cast<std::uint32_t>(script.number(4)));
      break;
    case 253:
      outcome.previous[0] ^= script.byte();
      break;
    case 252:
      outcome.run[0] ^= script.byte();
      break;
    default:
      break;
  }
  return outcome;
}

void check_append(Ledger& ledger, Script& script) {
  const Run& run = the_run();
  const Outcome outcome = make_outcome(ledger.chain(), script);
  const std::uint8_t signing = script.byte();
  std::vector<const crypto::KeyPair*> signers;
  std::vector<PeerId> ids;
  for (std::size_t i = 0; i < run.keys.size(); ++i) {
    if ((signing >> i & 1) == 0) continue;
    signers.push_back(&run.keys[i]);
    ids.push_back(run.keys[i].peer_id());
  }
  Certificate certificate = testing::certify(outcome, signers);
  bool forged = false;
  if (signing >= 192 && !certificate.votes.empty()) {
    const std::uint8_t flip = script.byte();
    certificate.votes[0].signature[script.below(64)] ^= flip;
    forged = flip != 0;
  }
  const Roster before = ledger.chain().roster();
  const std::uint64_t height = ledger.chain().height();
  const Digest head = ledger.chain().head();
  if (ledger.append(certificate)) {
    TESTUDO_CHECK(!forged && is_quorum(before, outcome.remaining(), ids));
    TESTUDO_CHECK(ledger.chain().height() == height + 1 && ledger.chain().head() == outcome.digest());
    for (const PeerId& banned : before.banned()) TESTUDO_CHECK(!ledger.chain().roster().contains(banned));
    TESTUDO_CHECK(std::ranges::is_sorted(ledger.chain().roster().members(), {}, &Member::id));
  } else {
    TESTUDO_CHECK(ledger.chain().height() == height && ledger.chain().head() == head);
  }
  // The same votes one by one make a certificate exactly if they are enough.
  Ballot ballot;
  for (const Vote& vote : certificate.votes) (void)ballot.add({outcome, vote});
  if (const auto made = ballot.certificate(ledger.chain().roster(), ledger.chain().next_round(),
                                           ledger.chain().next_attempt(), ledger.chain().head())) {
    Chain next = ledger.chain();
    (void)next.append(*made);
  }
}

void run(ByteView input) {
  const SignedManifest& manifest = the_run().manifest;
  Script script(input);
  net::MemoryStorage storage;
  auto ledger = Ledger::open(storage, manifest);
  TESTUDO_CHECK(ledger.has_value());
  for (std::size_t count = script.below(6); count-- > 0;) check_append(**ledger, script);
  (void)(*ledger)->remember_entered({RoundNumber(script.below(256)), Attempt(0)});
  (void)(*ledger)->remember_vote(make_outcome((*ledger)->chain(), script));
  const auto again = Ledger::open(storage, manifest);
  TESTUDO_CHECK(again && (*again)->chain().head() == (*ledger)->chain().head());
  TESTUDO_CHECK((*again)->entered() == (*ledger)->entered());
  TESTUDO_CHECK((*again)->chain().roster().banned() == (*ledger)->chain().roster().banned());

  // Somebody wrote into the database.
  const auto stored = *storage.list("");
  const std::string victim = stored[script.below(stored.size())].first;
  Bytes value = *(*storage.get(victim));
  const Bytes before = value;
  value[script.below(value.size())] ^= script.byte();
  if (script.flag()) append(value, script.rest());
  TESTUDO_CHECK(storage.put(victim, value).has_value());
  const auto damaged = Ledger::open(storage, manifest);
  if (damaged) {
    TESTUDO_CHECK(value == before);
  } else {
    TESTUDO_CHECK(damaged.error().code == ErrorCode::corrupt);
  }
  // A certificate from anybody.
  if (const auto certificate = Certificate::decode(input)) {
    Chain chain(manifest.manifest);
    (void)chain.append(*certificate);
  }
}

std::vector<Bytes> seeds() {
  const Run& run = the_run();
  const Chain chain(run.manifest.manifest);
  Bytes rounds{5};
  for (int i = 0; i < 5; ++i) append(rounds, Bytes{1, 0, 3, 0, 0, 0, 0, 0, 63});
  Bytes departures{4};
  for (int i = 0; i < 4; ++i) append(departures, Bytes{1, 0, 3, 0, 2, 0, 3, 0, 21});
  append(departures, Bytes{1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 5, 1});
  return {rounds, departures,
          testing::certify(testing::next_outcome(chain, run.manifest.manifest.run_id()), run.keys).encode()};
}

const Registered target({"ledger", run, seeds, 50});

}  // namespace
}  // namespace testudo::fuzz
