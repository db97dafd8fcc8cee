#include "training/arithmetic/reproducible.h"

#include <doctest/doctest.h>

#include <bit>

#include "support.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace testudo;
using namespace testudo::training;

namespace {

// The order that the header writes down, in plain code.
double reference_dot(std::span<const float> a, std::span<const float> b) {
  double lanes[16] = {};
  for (std::size_t i = 0; i < a.size(); ++i)
    lanes[i % 16] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (std::size_t width = 8; width > 0; width /= 2) {
    for (std::size_t k = 0; k < width; ++k) lanes[k] += lanes[k + width];
  }
  return lanes[0];
}

}  // namespace

TEST_CASE("dot follows the written order for every size and every vector unit") {
  for (std::size_t size = 0; size < 70; ++size) {
    const auto a = random_floats(size, size, 3);
    const auto b = random_floats(size + 1000, size, 5);
    for (const VectorUnit unit : all_units) {
      const ScopedVectorUnit limit(unit);
      CAPTURE(size);
      CHECK(std::bit_cast<std::uint64_t>(dot(a, b)) == std::bit_cast<std::uint64_t>(reference_dot(a, b)));
    }
  }
}

TEST_CASE("sums, norms and distances have golden bits") {
  const auto a = random_floats(1, 100'003);
  const auto b = random_floats(2, 100'003);
  for (const VectorUnit unit : all_units) {
    const ScopedVectorUnit limit(unit);
    CHECK(std::bit_cast<std::uint64_t>(dot(a, b)) == 0x4040643bdc944ea4ULL);
    CHECK(std::bit_cast<std::uint64_t>(sum_of_squares(a)) == 0x40e0417fea915e74ULL);
    CHECK(std::bit_cast<std::uint64_t>(norm(a)) == 0x4066cec01517dbb7ULL);
    CHECK(std::bit_cast<std::uint64_t>(distance(a, b)) == 0x40701c0ee3b3e182ULL);
  }
}

TEST_CASE("axpy and scale have the same bits with every vector unit") {
  const auto x = random_floats(3, 1003);
  for (const VectorUnit unit : all_units) {
    const ScopedVectorUnit limit(unit);
    auto y = random_floats(4, 1003);
    axpy(0.1, x, y);
    scale(1.0 / 3.0, y);
    CHECK(fingerprint(y) == "cec8abffba9293ad");
  }
}

#if defined(__x86_64__)
TEST_CASE("flush-to-zero and another rounding mode set outside change nothing and are restored") {
  const std::vector<float> tiny(100, 0x1p-140F);
  auto y = tiny;
  axpy(1, tiny, y);
  const auto expected = random_floats(5, 1000);
  const double expected_dot = dot(expected, expected);

  const unsigned before = _mm_getcsr();
  const unsigned hostile = before | 0x8040U | 0x6000U;  // FTZ, DAZ, round toward zero
  _mm_setcsr(hostile);
  auto z = tiny;
  axpy(1, tiny, z);
  const double hostile_dot = dot(expected, expected);
  const double tiny_norm = norm(tiny);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);

  CHECK((after & ~0x3FU) == (hostile & ~0x3FU));  // but for the sticky flags
  CHECK(z == y);
  CHECK(z[0] == 0x1p-139F);
  CHECK(tiny_norm == 10 * 0x1p-140);
  CHECK(std::bit_cast<std::uint64_t>(hostile_dot) == std::bit_cast<std::uint64_t>(expected_dot));
}
#endif
