// The Gram matrix G_ij = ⟨u_i, u_j⟩ of the centred parts u_i = float(g_i − c) (u_i = g_i without a centre).
//
// The differences are rounded to float once, which moves an input by at most 2^-24 of its distance to c: the
// size of the error that any float result has anyway; in return every product is exact in double. Written
// order of each entry: 8 lanes of double, element k to lane k mod 8, ascending; then the tree of
// reproducible.h (4, 2, 1).
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "training/aggregation/parts.h"

namespace testudo::training {

// Row-major n × n, symmetric. One pass over the parts. REQUIRES: centre empty or of the parts' size.
std::vector<double> gram_matrix(const Parts& parts, std::span<const float> centre);

// ‖u_i − u_j‖² = max(0, (G_ii + G_jj) − 2 G_ij): the same bits for (j, i) and wherever in the roster the two
// are, exactly 0 for equal parts. What is below about 2^-50 (‖u_i‖ + ‖u_j‖)² is noise of the subtraction.
inline double square_distance(std::span<const double> gram, std::size_t members, std::size_t i,
                              std::size_t j) {
  const double sum = gram[i * members + i] + gram[j * members + j];
  return std::max(0.0, sum - 2 * gram[i * members + j]);
}

}  // namespace testudo::training
