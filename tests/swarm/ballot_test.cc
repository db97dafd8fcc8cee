#include "swarm/ballot.h"

#include <doctest/doctest.h>

#include "tests/swarm/testing.h"

namespace testudo::swarm {
namespace {

using namespace testudo::testing;

struct Fixture {
  std::vector<KeyPair> keys = make_keys(3);
  SignedManifest manifest = make_signed_manifest(keys);
  RunId run = manifest.manifest.run_id();
  Chain chain{manifest.manifest};
  Ballot ballot;

  VoteFrame vote(const KeyPair& key, const Outcome& outcome) const {
    return {outcome, {key.peer_id(), sign_outcome(key, outcome)}};
  }
  std::optional<Certificate> certificate() const {
    return ballot.certificate(chain.roster(), chain.next_round(), chain.next_attempt(), chain.head());
  }
};

TEST_CASE_FIXTURE(Fixture, "votes make a certificate when a quorum signed the same outcome") {
  const Outcome outcome = next_outcome(chain, run);
  CHECK(ballot.add(vote(keys[0], outcome)));
  CHECK_FALSE(certificate().has_value());
  CHECK(ballot.add(vote(keys[2], outcome)));
  const auto made = certificate();
  REQUIRE(made.has_value());
  CHECK(chain.append(*made).has_value());
}

TEST_CASE_FIXTURE(Fixture, "a second vote for the same attempt does not count, a forged one is refused") {
  const Outcome outcome = next_outcome(chain, run);
  const Outcome nothing = plain_void(run, chain.next_round(), chain.next_attempt(), chain.head());
  CHECK(ballot.add(vote(keys[0], outcome)));
  CHECK(ballot.add(vote(keys[1], nothing)));
  CHECK(ballot.add(vote(keys[1], outcome)));
  CHECK_FALSE(certificate().has_value());
  VoteFrame forged = vote(keys[0], outcome);
  forged.vote.signer = keys[2].peer_id();
  CHECK_FALSE(ballot.add(forged));
  CHECK(ballot.tallies(chain.roster(), chain.next_round(), chain.next_attempt(), chain.head()).size() == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "two signed outcomes of one attempt are an equivocation, of two attempts are not") {
  const Outcome outcome = next_outcome(chain, run);
  const Outcome nothing = plain_void(run, chain.next_round(), chain.next_attempt(), chain.head());
  const Outcome later = plain_void(run, chain.next_round(), chain.next_attempt().next(), chain.head());
  REQUIRE(ballot.add(vote(keys[1], outcome)));
  CHECK_FALSE(ballot.contradiction(vote(keys[1], outcome)).has_value());
  CHECK_FALSE(ballot.contradiction(vote(keys[0], nothing)).has_value());
  CHECK_FALSE(ballot.contradiction(vote(keys[1], later)).has_value());
  VoteFrame forged = vote(keys[0], nothing);
  forged.vote.signer = keys[1].peer_id();
  CHECK_FALSE(ballot.contradiction(forged).has_value());
  const auto found = ballot.contradiction(vote(keys[1], nothing));
  REQUIRE(found.has_value());
  CHECK(found->offender == keys[1].peer_id());
  CHECK(found->verify(run));
  const auto again = Equivocation::decode(found->encode());
  REQUIRE(again.has_value());
  CHECK(again->verify(run));
  CHECK_FALSE(again->verify(digest_of("another run")));
}

TEST_CASE_FIXTURE(Fixture,
                  "who lost its own work follows only those among whom somebody honest has verified") {
  const Outcome outcome = next_outcome(chain, run);
  Ballot::Tally tally{outcome, {vote(keys[0], outcome).vote}};
  CHECK_FALSE(Ballot::may_follow(tally, 1));
  CHECK(Ballot::may_follow(tally, 0));
  tally.votes.push_back(vote(keys[1], outcome).vote);
  CHECK(Ballot::may_follow(tally, 1));
}

}  // namespace
}  // namespace testudo::swarm
