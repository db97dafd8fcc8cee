// Signatures, derived seeds and commitments of our own protocol.
#include "crypto/commitment.h"
#include "crypto/derive.h"
#include "crypto/hash.h"
#include "crypto/signing.h"
#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::KeyPair;

TEST_CASE("a signature for one domain does not hold in another, nor as a plain signature") {
  const auto pair = KeyPair::from_seed(Digest{1}), other = KeyPair::from_seed(Digest{2});
  const auto signature = crypto::sign(pair, "commit", as_bytes("message"));
  CHECK(crypto::verify(pair.public_key(), "commit", as_bytes("message"), signature));
  CHECK_FALSE(crypto::verify(pair.public_key(), "reveal", as_bytes("message"), signature));
  CHECK_FALSE(crypto::verify(pair.public_key(), "commit", as_bytes("massage"), signature));
  CHECK_FALSE(crypto::verify(pair.public_key(), "commi", as_bytes("tmessage"), signature));
  CHECK_FALSE(crypto::verify(other.public_key(), "commit", as_bytes("message"), signature));
  CHECK_FALSE(pair.public_key().verify(as_bytes("message"), signature));
  crypto::SeededRng rng(61);
  for (int i = 0; i < 100; ++i) {
    crypto::Signature garbage;
    rng.fill(garbage);
    CHECK_FALSE(crypto::verify(pair.public_key(), "commit", as_bytes("message"), garbage));
  }
}

TEST_CASE("a derived seed depends on each of its parts") {
  const Digest run{1}, beacon{2};
  const auto peer = KeyPair::from_seed(Digest{3}).peer_id(), other = KeyPair::from_seed(Digest{4}).peer_id();
  const Digest seed = crypto::derive_seed("batch", run, 5, 6, beacon, peer);
  CHECK(seed == crypto::derive_seed("batch", run, 5, 6, beacon, peer));
  CHECK(seed == crypto::derive_seed("batch", run, 5, 6, beacon, ByteView(peer.to_multihash())));
  CHECK(seed != crypto::derive_seed("signs", run, 5, 6, beacon, peer));
  CHECK(seed != crypto::derive_seed("batch", Digest{9}, 5, 6, beacon, peer));
  CHECK(seed != crypto::derive_seed("batch", run, 6, 5, beacon, peer));
  CHECK(seed != crypto::derive_seed("batch", run, 5, 7, beacon, peer));
  CHECK(seed != crypto::derive_seed("batch", run, 5, 6, Digest{9}, peer));
  CHECK(seed != crypto::derive_seed("batch", run, 5, 6, beacon, other));
  CHECK(seed != crypto::derive_seed("batch", run, 5, 6, beacon, ByteView{}));
}

TEST_CASE("a derived seed is BLAKE2b over its fields as the protocol page writes them") {
  const Digest run{1}, beacon{2};
  Bytes fields;
  append_be(fields, 5, 8);
  append(fields, as_bytes("batch"));
  append_be(fields, 32, 8);
  append(fields, run);
  append_be(fields, 7, 8);
  append_be(fields, 8, 8);
  append_be(fields, 32, 8);
  append(fields, beacon);
  append_be(fields, 2, 8);
  append(fields, as_bytes("id"));
  CHECK(crypto::derive_seed("batch", run, 7, 8, beacon, as_bytes("id")) == crypto::blake2b(fields));
}

TEST_CASE("a commitment opens only for its author, round, attempt, coin and salt") {
  crypto::SeededRng rng(62);
  const auto peer = KeyPair::generate(rng).peer_id(), other = KeyPair::generate(rng).peer_id();
  const auto opening = crypto::Opening::draw(rng);
  const Digest commitment = crypto::commit(peer, 3, 1, opening);
  CHECK(crypto::verify_commitment(commitment, peer, 3, 1, opening));
  CHECK_FALSE(crypto::verify_commitment(commitment, other, 3, 1, opening));
  CHECK_FALSE(crypto::verify_commitment(commitment, peer, 4, 1, opening));
  CHECK_FALSE(crypto::verify_commitment(commitment, peer, 3, 2, opening));
  CHECK_FALSE(crypto::verify_commitment(commitment, peer, 1, 3, opening));
  auto wrong = opening;
  wrong.coin[31] ^= 1;
  CHECK_FALSE(crypto::verify_commitment(commitment, peer, 3, 1, wrong));
  wrong = opening;
  wrong.salt[0] ^= 1;
  CHECK_FALSE(crypto::verify_commitment(commitment, peer, 3, 1, wrong));
  CHECK_FALSE(crypto::verify_commitment(commitment, peer, 3, 1, {opening.salt, opening.coin}));
}
