#include "training/aggregation/column_sort.h"

#include <algorithm>

#include "crypto/base/vector_unit.h"

namespace testudo::training {

namespace {

using Comparator = std::pair<std::size_t, std::size_t>;

std::vector<Comparator> sorting_network(std::size_t count) {
  std::vector<Comparator> network;
  for (std::size_t p = 1; p < count; p *= 2) {
    for (std::size_t k = p; k >= 1; k /= 2) {
      for (std::size_t j = k % p; j + k < count; j += 2 * k) {
        for (std::size_t i = 0; i < k && i + j + k < count; ++i) {
          if ((i + j) / (2 * p) == (i + j + k) / (2 * p)) network.emplace_back(i + j, i + j + k);
        }
      }
    }
  }
  return network;
}

TESTUDO_KERNEL int sort_tile(const Comparator* network, std::size_t comparators, float* rows) {
  for (std::size_t c = 0; c < comparators; ++c) {
    float* __restrict low = rows + network[c].first * ColumnSort::tile;
    float* __restrict high = rows + network[c].second * ColumnSort::tile;
    for (std::size_t k = 0; k < ColumnSort::tile; ++k) {
      const float a = low[k];
      const float b = high[k];
      low[k] = b < a ? b : a;
      high[k] = b < a ? a : b;
    }
  }
  return 0;
}

}  // namespace

ColumnSort::ColumnSort(std::size_t members)
    : members_(members), network_(sorting_network(members)), rows_(members * tile) {}

void ColumnSort::sort(const PartsBlock& block, std::size_t begin, std::size_t count) {
  for (std::size_t i = 0; i < members_; ++i) {
    std::copy_n(block.row(i) + begin, count, rows_.data() + i * tile);
  }
  const Comparator* const network = network_.data();
  run_widest<sort_tile>(network, network_.size(), rows_.data());
}

void sorted_column(const PartsBlock& block, std::size_t k,
                   std::vector<std::pair<float, std::size_t>>& column) {
  for (std::size_t i = 0; i < column.size(); ++i) column[i] = {block.row(i)[k] + 0.0F, i};
  std::ranges::sort(column);
}

}  // namespace testudo::training
