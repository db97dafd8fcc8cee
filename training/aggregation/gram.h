// The Gram matrix G_ij = ⟨u_i, u_j⟩ of the centred parts u_i = float(g_i − c) (u_i = g_i without a centre).
//
// The differences are rounded to float once, which moves an input by at most 2^-24 of its distance to c: the
// size of the error that any float result has anyway; in return every product is exact in double. Written
// order of each entry: 8 lanes of double, element k to lane k mod 8, ascending; then the tree of
// reproducible.h (4, 2, 1).
#pragma once

#include <span>
#include <vector>

#include "training/aggregation/parts.h"

namespace testudo::training {

// Row-major n × n, symmetric. One pass over the parts. REQUIRES: centre empty or of the parts' size.
std::vector<double> gram_matrix(const Parts& parts, std::span<const float> centre);

}  // namespace testudo::training
