// v = base + Σ a_i (g_i − base), element by element: the pass that forms a result. Written order: the element
// of base as double (+0 without a base), then + a_i · double(float(g_i − base)) for every member in roster
// order, then the quotient by `divisor`, then one rounding to float. A result of −0 becomes +0.
#pragma once

#include <span>

#include "training/aggregation/rule.h"

namespace testudo::training {

// REQUIRES: a coefficient a member; base empty or of the parts' size.
void combine(const Parts& parts, std::span<const double> coefficients, std::span<const float> base,
             double divisor, const BlockSink& sink);

// The same over rows as they lie in memory, a row a coefficient. base may be null. REQUIRES: rows and base as
// long as `out`. Sets no float environment: the caller does.
void combine_rows(const float* const* rows, std::span<const double> coefficients, const float* base,
                  double divisor, std::span<float> out);

}  // namespace testudo::training
