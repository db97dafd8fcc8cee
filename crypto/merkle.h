// Merkle trees over chunks of state: a certified root lets every chunk be checked alone, whoever sent it.
//
// leaf = BLAKE2b("testudo merkle leaf", chunk); node = BLAKE2b("testudo merkle node", left, right), so that a
// node never passes for a chunk; root = BLAKE2b("testudo merkle root", number of leaves, top), so that one
// root has one number of leaves. Leaves pair up from the left on every level; a last one without a partner
// moves up as it is. Values; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "crypto/base/bytes.h"

namespace testudo::crypto {

Digest merkle_leaf(ByteView chunk);
Digest merkle_root(std::span<const Digest> leaves);

class MerkleTree {
 public:
  explicit MerkleTree(std::span<const Digest> leaves);
  std::size_t size() const { return levels_.front().size(); }
  Digest root() const;
  // The partners on the way from leaf `index` to the top, the lowest first. REQUIRES: index < size().
  std::vector<Digest> proof(std::size_t index) const;

 private:
  std::vector<std::vector<Digest>> levels_;  // leaves first
};

// Whether `leaf` stands at `index` of the `count` leaves under `root`.
[[nodiscard]] bool verify_merkle_proof(const Digest& root, std::uint64_t count, std::uint64_t index,
                                       const Digest& leaf, std::span<const Digest> proof);

}  // namespace testudo::crypto
