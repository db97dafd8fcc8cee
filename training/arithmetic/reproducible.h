// Sums over floats with the same bits on every machine, compiler and vector width.
//
// The written order (part of the protocol): 16 lanes of double, all +0 at first; element i is added to lane
// i mod 16, in ascending order; then the tree l[k] += l[k + 8] for k < 8, l[k] += l[k + 4] for k < 4,
// l[k] += l[k + 2], l[0] += l[1]. Only + − × ÷ √ in IEEE double, nearest-even.
// A product of two floats is exact in double (48 bits, exponents far inside), so a fused multiply-add gives
// the same bits as multiply-then-add in dot and sum_of_squares, and is allowed there and in the Gram matrix,
// nowhere else.
//
// All functions are pure, single-threaded, callable from any thread; they set the float environment
// themselves. Spans of one call have equal sizes (a caller's duty, checked). Infinities and NaNs give what
// IEEE gives; the callers refuse them at the door.
#pragma once

#include <span>

#include "training/arithmetic/float_environment.h"

namespace testudo::training {

double dot(std::span<const float> a, std::span<const float> b);
double sum_of_squares(std::span<const float> a);
double norm(std::span<const float> a);  // √ sum_of_squares
// ‖a − b‖: the difference is taken in double before it is squared (each rounded once).
double distance(std::span<const float> a, std::span<const float> b);

// y[k] ← float(double(y[k]) + a · double(x[k])): rounded in double after × and after +, then to float.
void axpy(double a, std::span<const float> x, std::span<float> y);
// y[k] ← float(a · double(y[k]))
void scale(double a, std::span<float> y);

}  // namespace testudo::training
