// Merkle proofs: nothing but the leaf at its index, with its own proof, stands under a root.
#include "crypto/merkle.h"

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

void run(ByteView input) {
  Script script(input);
  std::vector<Digest> leaves(1 + script.below(20));
  for (std::size_t i = 0; i < leaves.size(); ++i)
    leaves[i] = crypto::tree_hash(Bytes{static_cast<std::uint8_t>(i)});
  const crypto::MerkleTree tree(leaves);
  TESTUDO_CHECK(tree.root() == crypto::merkle_root(leaves));
  const std::size_t index = script.below(leaves.size());
  const auto honest = tree.proof(index);
  TESTUDO_CHECK(crypto::verify_merkle_proof(tree.root(), leaves.size(), index, leaves[index], honest));

  // A claim near the truth.
  auto proof = honest;
  std::uint64_t claimed_count = leaves.size();
  std::uint64_t claimed_index = index;
  Digest leaf = leaves[index];
  while (!script.done()) {
    switch (script.below(6)) {
      case 0:
        claimed_count = script.number(8);
        break;
      case 1:
        claimed_index = script.number(8);
        break;
      case 2:
        leaf[script.below(32)] ^= script.byte();
        break;
      case 3:
        if (!proof.empty()) proof[script.below(proof.size())][script.below(32)] ^= script.byte();
        break;
      case 4:
        if (!proof.empty()) proof.pop_back();
        break;
      default:
        if (proof.size() < 100) proof.push_back(leaf);
    }
  }
  if (crypto::verify_merkle_proof(tree.root(), claimed_count, claimed_index, leaf, proof)) {
    TESTUDO_CHECK(claimed_count == leaves.size() && claimed_index == index && leaf == leaves[index] &&
                  proof == honest);
  }
}

std::vector<Bytes> seeds() { return {{7, 3, 2, 0, 1}, {19, 18, 1, 0, 0, 0, 0, 0, 0, 0, 17}, {0, 0, 5, 4}}; }

const Registered target({"merkle", run, seeds});

}  // namespace
}  // namespace testudo::fuzz
