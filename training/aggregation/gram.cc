#include "training/aggregation/gram.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "crypto/base/vector_unit.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr std::size_t lane_count = 8;
static_assert(Parts::block % 256 == 0);
constexpr std::size_t tile = 256;  // values of each part that are centred at once: 16 members take 32 KiB
using Lanes = double __attribute__((vector_size(lane_count * sizeof(double))));

// Rows [i, i + rows) × columns [j, j + columns) over one tile. Every entry's lanes are their own chain, so
// the shape of the block, chosen for the registers of the unit, does not show in the bits.
template <std::size_t rows, std::size_t columns>
TESTUDO_KERNEL void add_block(const double* centred, std::size_t i, std::size_t j, std::size_t members,
                              double* sums) {
#if defined(__clang__)
#pragma clang fp contract(fast)  // exact products: fusing them changes no bit
#endif
  Lanes block[rows][columns];
#pragma unroll
  for (std::size_t r = 0; r < rows; ++r) {
#pragma unroll
    for (std::size_t c = 0; c < columns; ++c) {
      std::memcpy(&block[r][c], sums + ((i + r) * members + j + c) * lane_count, sizeof(Lanes));
    }
  }
  for (std::size_t k = 0; k < tile; k += lane_count) {
    Lanes left[rows];
    Lanes right[columns];
#pragma unroll
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(&left[r], centred + (i + r) * tile + k, sizeof(Lanes));
#pragma unroll
    for (std::size_t c = 0; c < columns; ++c)
      std::memcpy(&right[c], centred + (j + c) * tile + k, sizeof(Lanes));
#pragma unroll
    for (std::size_t r = 0; r < rows; ++r) {
#pragma unroll
      for (std::size_t c = 0; c < columns; ++c) block[r][c] += left[r] * right[c];
    }
  }
#pragma unroll
  for (std::size_t r = 0; r < rows; ++r) {
#pragma unroll
    for (std::size_t c = 0; c < columns; ++c) {
      std::memcpy(sums + ((i + r) * members + j + c) * lane_count, &block[r][c], sizeof(Lanes));
    }
  }
}

// All blocks that touch the upper triangle. Entries below the diagonal that a block covers are computed too
// and equal their mirror (a product commutes); entries that no block covers are never read.
template <std::size_t side>
TESTUDO_KERNEL int add_tile(const double* centred, std::size_t members, double* sums) {
  for (std::size_t i = 0; i < members; i += side) {
    for (std::size_t j = i; j < members; j += side) {
      if (i + side <= members && j + side <= members) {
        add_block<side, side>(centred, i, j, members, sums);
        continue;
      }
      for (std::size_t r = i; r < std::min(i + side, members); ++r) {
        for (std::size_t c = j; c < std::min(j + side, members); ++c)
          add_block<1, 1>(centred, r, c, members, sums);
      }
    }
  }
  return 0;
}

int add_tile_widest(const double* centred, std::size_t members, double* sums) {
#if defined(__x86_64__)
  if (vector_unit() == VectorUnit::avx512) return run_avx512<add_tile<4>>(centred, members, sums);
  if (vector_unit() == VectorUnit::avx2) return run_avx2<add_tile<2>>(centred, members, sums);
#endif
  return run_baseline<add_tile<2>>(centred, members, sums);
}

TESTUDO_KERNEL int widen(const float* __restrict part, double* __restrict out, std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) out[k] = static_cast<double>(part[k]);
  return 0;
}

TESTUDO_KERNEL int widen_difference(const float* __restrict part, const float* __restrict centre,
                                    double* __restrict out, std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) {
    const float difference = part[k] - centre[k];
    out[k] = static_cast<double>(difference);
  }
  return 0;
}

double tree(const double* sums) {
  double lanes[lane_count];
  std::copy_n(sums, lane_count, lanes);
  for (std::size_t width = lane_count / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

}  // namespace

std::vector<double> gram_matrix(const Parts& parts, std::span<const float> centre) {
  const ScopedFloatEnvironment environment;
  const std::size_t members = parts.members();
  PartsBlock block(parts);
  std::vector<double> centred(members * tile);
  std::vector<double> sums(members * members * lane_count);
  for (std::size_t begin = 0; begin < parts.size(); begin += Parts::block) {
    const std::size_t size = block.read(begin);
    for (std::size_t at = 0; at < size; at += tile) {
      const std::size_t count = std::min(tile, size - at);
      for (std::size_t i = 0; i < members; ++i) {
        double* const row = centred.data() + i * tile;
        if (centre.empty()) {
          run_widest<widen>(block.row(i) + at, row, count);
        } else {
          run_widest<widen_difference>(block.row(i) + at, centre.data() + begin + at, row, count);
        }
        std::fill(row + count, row + tile, 0.0);  // adding +0 to a lane changes nothing
      }
      add_tile_widest(centred.data(), members, sums.data());
    }
  }
  std::vector<double> gram(members * members);
  for (std::size_t i = 0; i < members; ++i) {
    for (std::size_t j = i; j < members; ++j) {
      gram[i * members + j] = gram[j * members + i] = tree(sums.data() + (i * members + j) * lane_count);
    }
  }
  return gram;
}

}  // namespace testudo::training
