#include "training/arithmetic/reproducible.h"

#include <cmath>
#include <cstddef>
#include <cstring>

#include "crypto/base/check.h"
#include "crypto/base/vector_unit.h"

namespace testudo::training {

namespace {

constexpr std::size_t lane_count = 16;
using Floats = float __attribute__((vector_size(lane_count * sizeof(float))));
using Doubles = double __attribute__((vector_size(lane_count * sizeof(double))));

// Loads count ≤ 16 floats; lanes beyond are +0, and adding +0 to a lane (never −0) changes nothing.
TESTUDO_KERNEL void load(const float* from, std::size_t count, Doubles& to) {
  Floats floats{};
  if (count == lane_count) {
    std::memcpy(&floats, from, sizeof(floats));
  } else {
    for (std::size_t lane = 0; lane < count; ++lane) floats[lane] = from[lane];
  }
  to = __builtin_convertvector(floats, Doubles);
}

TESTUDO_KERNEL double tree(const Doubles& sums) {
  double lanes[lane_count];
  std::memcpy(lanes, &sums, sizeof(lanes));
  for (std::size_t width = lane_count / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

TESTUDO_KERNEL double dot_kernel(const float* a, const float* b, std::size_t size) {
#if defined(__clang__)
#pragma clang fp contract(fast)  // exact products: fusing them changes no bit
#endif
  Doubles sums{};
  Doubles x;
  Doubles y;
  std::size_t i = 0;
  for (; i + lane_count <= size; i += lane_count) {
    load(a + i, lane_count, x);
    load(b + i, lane_count, y);
    sums += x * y;
  }
  if (i < size) {
    load(a + i, size - i, x);
    load(b + i, size - i, y);
    sums += x * y;
  }
  return tree(sums);
}

TESTUDO_KERNEL double squared_distance_kernel(const float* a, const float* b, std::size_t size) {
  Doubles sums{};
  Doubles x;
  Doubles y;
  std::size_t i = 0;
  for (; i + lane_count <= size; i += lane_count) {
    load(a + i, lane_count, x);
    load(b + i, lane_count, y);
    x -= y;
    sums += x * x;
  }
  if (i < size) {
    load(a + i, size - i, x);
    load(b + i, size - i, y);
    x -= y;
    sums += x * x;
  }
  return tree(sums);
}

TESTUDO_KERNEL int axpy_kernel(double a, const float* x, float* y, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    y[i] = static_cast<float>(static_cast<double>(y[i]) + a * static_cast<double>(x[i]));
  }
  return 0;
}

TESTUDO_KERNEL int scale_kernel(double a, float* y, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) y[i] = static_cast<float>(a * static_cast<double>(y[i]));
  return 0;
}

TESTUDO_KERNEL double norm_kernel(const float* a, std::size_t size) {
  return std::sqrt(dot_kernel(a, a, size));
}
TESTUDO_KERNEL double distance_kernel(const float* a, const float* b, std::size_t size) {
  return std::sqrt(squared_distance_kernel(a, b, size));
}

}  // namespace

double dot(std::span<const float> a, std::span<const float> b) {
  TESTUDO_CHECK(a.size() == b.size());
  const ScopedFloatEnvironment environment;
  return run_widest<dot_kernel>(a.data(), b.data(), a.size());
}

double sum_of_squares(std::span<const float> a) { return dot(a, a); }

double norm(std::span<const float> a) {
  const ScopedFloatEnvironment environment;
  return run_widest<norm_kernel>(a.data(), a.size());
}

double distance(std::span<const float> a, std::span<const float> b) {
  TESTUDO_CHECK(a.size() == b.size());
  const ScopedFloatEnvironment environment;
  return run_widest<distance_kernel>(a.data(), b.data(), a.size());
}

void axpy(double a, std::span<const float> x, std::span<float> y) {
  TESTUDO_CHECK(x.size() == y.size());
  const ScopedFloatEnvironment environment;
  run_widest<axpy_kernel>(a, x.data(), y.data(), x.size());
}

void scale(double a, std::span<float> y) {
  const ScopedFloatEnvironment environment;
  run_widest<scale_kernel>(a, y.data(), y.size());
}

}  // namespace testudo::training
