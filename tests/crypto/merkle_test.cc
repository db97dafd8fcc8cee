#include "crypto/merkle.h"

#include <set>

#include "crypto/base/vector_unit.h"
#include "crypto/hash.h"
#include "crypto/rng.h"
#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::MerkleTree;
using crypto::verify_merkle_proof;

namespace {

std::vector<Digest> leaves(std::size_t count) {
  std::vector<Digest> out;
  for (std::size_t i = 0; i < count; ++i) {
    Bytes chunk;
    append_be(chunk, i, 8);
    out.push_back(crypto::tree_hash(chunk));
  }
  return out;
}

}  // namespace

TEST_CASE("every leaf of every small tree proves its place, and no other") {
  for (std::size_t count = 1; count <= 33; ++count) {
    const auto all = leaves(count);
    const MerkleTree tree(all);
    CHECK(tree.root() == crypto::merkle_root(all));
    for (std::size_t i = 0; i < count; ++i) {
      const auto proof = tree.proof(i);
      CHECK(verify_merkle_proof(tree.root(), count, i, all[i], proof));
      for (std::size_t j = 0; j <= count; ++j) {
        if (j != i) CHECK_FALSE(verify_merkle_proof(tree.root(), count, j, all[i], proof));
      }
      CHECK_FALSE(verify_merkle_proof(tree.root(), count + 1, i, all[i], proof));
      CHECK_FALSE(verify_merkle_proof(tree.root(), count - 1, i, all[i], proof));
    }
  }
}

TEST_CASE("a proof that is cut, longer or changed proves nothing") {
  const auto all = leaves(13);
  const MerkleTree tree(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto proof = tree.proof(i);
    for (std::size_t size = 0; size < proof.size(); ++size) {
      CHECK_FALSE(verify_merkle_proof(tree.root(), 13, i, all[i], std::span(proof).first(size)));
    }
    auto longer = proof;
    longer.push_back(Digest{});
    CHECK_FALSE(verify_merkle_proof(tree.root(), 13, i, all[i], longer));
    for (std::size_t at = 0; at < proof.size(); ++at) {
      auto wrong = proof;
      wrong[at][5] ^= 1;
      CHECK_FALSE(verify_merkle_proof(tree.root(), 13, i, all[i], wrong));
    }
    CHECK_FALSE(verify_merkle_proof(tree.root(), 13, i, Digest{}, proof));
  }
}

TEST_CASE("roots differ for every number of leaves, and a node is no leaf") {
  std::set<Digest> roots;
  for (std::size_t count = 0; count < 40; ++count) roots.insert(crypto::merkle_root(leaves(count)));
  CHECK(roots.size() == 40);
  // The upper level offered as leaves: the same top, yet not the same root.
  const auto four = leaves(4);
  const MerkleTree tree(four);
  const std::vector<Digest> upper{tree.proof(2)[1], tree.proof(0)[1]};
  CHECK(crypto::merkle_root(upper) != tree.root());
  // The bytes of two leaves as one chunk are not their parent.
  Bytes both = to_bytes(ByteView(four[0]));
  append(both, four[1]);
  CHECK(crypto::tree_hash(both) != upper[0]);
}

TEST_CASE("an empty tree has a root and nothing to prove; absurd counts and garbage are refused") {
  CHECK(MerkleTree({}).root() == crypto::merkle_root({}));
  CHECK_FALSE(verify_merkle_proof(crypto::merkle_root({}), 0, 0, Digest{}, {}));
  CHECK_FALSE(verify_merkle_proof(Digest{}, ~std::uint64_t{0}, 0, Digest{}, {}));
  crypto::SeededRng rng(71);
  for (int i = 0; i < 500; ++i) {
    std::vector<Digest> proof(rng.below(70));
    for (auto& part : proof) rng.fill(part);
    const auto count = rng.next_u64() >> rng.below(64);
    CHECK_FALSE(verify_merkle_proof(Digest{1}, count, rng.below(count + 1), Digest{2}, proof));
  }
}

TEST_CASE("the hash of a tree is the same for every vector unit and every length around a piece") {
  crypto::SeededRng rng(Digest{7});
  Bytes data(20 * crypto::tree_leaf_bytes + 129);
  rng.fill(data);
  std::set<Digest> seen;
  for (const std::size_t pieces : {0U, 1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 12U, 16U, 20U}) {
    for (const std::size_t more : {0U, 1U, 127U, 128U, 129U}) {
      const ByteView view = ByteView(data).first(pieces * crypto::tree_leaf_bytes + more);
      const Digest widest = crypto::tree_hash(view);
      CHECK(seen.insert(widest).second);
      for (const VectorUnit unit : {VectorUnit::baseline, VectorUnit::avx2}) {
        const ScopedVectorUnit limit(unit);
        CHECK(crypto::tree_hash(view) == widest);
      }
    }
  }
}
