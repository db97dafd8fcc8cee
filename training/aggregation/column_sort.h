// The members' values of every coordinate in ascending order, for the rules that pick by rank. Owner: one
// call of aggregate().
//
// ColumnSort: all ranks of a tile of coordinates at once, without weights. Batcher's odd–even merge sort over
// the members, a fixed network whose every comparator runs over the whole tile. sorted_column: one coordinate
// with who sent what, some ten times slower.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "training/aggregation/parts.h"

namespace testudo::training {

class ColumnSort {
 public:
  static constexpr std::size_t tile = 64;  // coordinates: 64 members of a tile take 16 KiB

  explicit ColumnSort(std::size_t members);
  // Sorts values [begin, begin + count) of the block. REQUIRES: count ≤ tile.
  void sort(const PartsBlock& block, std::size_t begin, std::size_t count);
  // The values of that rank, 0 the smallest, a coordinate each; valid until the next sort(). −0 and +0 stand
  // in either order.
  const float* rank(std::size_t rank) const { return rows_.data() + rank * tile; }

 private:
  using Comparator = std::pair<std::size_t, std::size_t>;

  std::size_t members_;
  std::vector<Comparator> network_;
  std::vector<float> rows_;
};

// Fills `column` with (value, member) of value k of the block, ascending, equal values in roster order; −0
// counts as +0. REQUIRES: column has an entry a member.
void sorted_column(const PartsBlock& block, std::size_t k,
                   std::vector<std::pair<float, std::size_t>>& column);

}  // namespace testudo::training
