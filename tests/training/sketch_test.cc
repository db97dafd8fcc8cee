// Deviations and their sketches: against a reference written from the specification, and what the checks let
// pass.
#include "training/checks/sketch.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "crypto/base/vector_unit.h"
#include "crypto/rng.h"
#include "tests/repetitions.h"
#include "training/aggregation/rule.h"
#include "training/arithmetic/reproducible.h"

namespace testudo::training {
namespace {

constexpr double without_limit = std::numeric_limits<double>::infinity();

std::vector<float> random_values(crypto::Rng& rng, std::size_t size, double scale = 1) {
  std::vector<float> values(size);
  for (float& value : values) value = static_cast<float>(scale * (2 * rng.unit() - 1));
  return values;
}

Deviation deviation_of(const std::vector<float>& g, const std::vector<float>& v, const Digest& seed,
                       double tau) {
  const std::span<const float> gs[] = {g};
  const std::span<const float> vs[] = {v};
  return deviations(DecodedParts(gs), DecodedParts(vs), seed, tau).front();
}

// Rules 1 to 4 of the specification, one after another.
Deviation reference(const std::vector<float>& g, const std::vector<float>& v, const Digest& seed,
                    double tau) {
  crypto::SeededRng rng(seed);
  Bytes lots(g.size());
  rng.fill(lots);
  double lanes[16] = {};
  double by_byte[256] = {};
  for (std::size_t k = 0; k < g.size(); ++k) {
    const double r = static_cast<double>(g[k]) - static_cast<double>(v[k]);
    lanes[k % 16] += r * r;
    by_byte[lots[k]] += r;
  }
  for (std::size_t width : {8U, 4U, 2U, 1U}) {
    for (std::size_t k = 0; k < width; ++k) lanes[k] += lanes[k + width];
  }
  Deviation deviation;
  deviation.norm = std::sqrt(lanes[0]);
  const double lambda = deviation.norm > tau ? tau / deviation.norm : 1;
  for (std::size_t c = 0; c < 64; ++c) {
    const double sum = by_byte[c] + by_byte[64 + c] - by_byte[128 + c] - by_byte[192 + c];
    deviation.sketch[c] = static_cast<float>(lambda * sum) + 0.0F;
  }
  return deviation;
}

double length(const Sketch& sketch) { return norm(std::span<const float>(sketch)); }

TEST_CASE("deviations have the bits of the specification, on every vector unit and at every size") {
  crypto::SeededRng rng(1);
  Digest seed{5};
  for (const std::size_t size : {1U, 15U, 16U, 17U, 4095U, 4096U, 4097U, 10'000U}) {
    const auto g = random_values(rng, size);
    const auto v = random_values(rng, size);
    for (const double tau : {0.25, without_limit}) {
      const Deviation expected = reference(g, v, seed, tau);
      for (const VectorUnit unit : {VectorUnit::baseline, VectorUnit::avx2, VectorUnit::avx512}) {
        const ScopedVectorUnit scope(unit);
        CHECK(deviation_of(g, v, seed, tau) == expected);
      }
    }
  }
}

TEST_CASE("several contributions at once give what each gives alone, and another seed another sketch") {
  crypto::SeededRng rng(2);
  const auto a = random_values(rng, 9000);
  const auto b = random_values(rng, 9000, 50);
  const auto v = random_values(rng, 9000);
  const std::span<const float> both[] = {a, b};
  const std::span<const float> result[] = {v};
  const auto found = deviations(DecodedParts(both), DecodedParts(result), Digest{1}, 10);
  REQUIRE(found.size() == 2);
  CHECK(found[0] == deviation_of(a, v, Digest{1}, 10));
  CHECK(found[1] == deviation_of(b, v, Digest{1}, 10));
  CHECK(found[0].sketch != deviation_of(a, v, Digest{2}, 10).sketch);
  CHECK(found[1].norm == doctest::Approx(distance(b, v)));
}

TEST_CASE("a sketch keeps lengths: none of a thousand vectors looks twice as long or implausible") {
  crypto::SeededRng rng(3);
  double squares = 0;
  for (int i = 0; i < 1000; ++i) {
    Digest seed{};
    rng.fill(seed);
    // Dense ones, and ones with a few great values.
    auto g = random_values(rng, 500);
    if (i % 2 == 0) {
      for (std::size_t k = 3; k < g.size(); ++k) g[k] = 0;
    }
    const Deviation deviation = deviation_of(g, std::vector<float>(500), seed, 1);
    CHECK(is_plausible(deviation, 1));
    const double expected = std::min(deviation.norm, 1.0);
    squares += std::pow(length(deviation.sketch) / expected, 2);
  }
  CHECK(squares / 1000 == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("a report that is longer than its norm or τ allows is implausible") {
  Deviation deviation{.norm = 1};
  deviation.sketch[0] = 2.5F;
  CHECK_FALSE(is_plausible(deviation, 10));
  deviation.norm = 100;
  CHECK(is_plausible(deviation, 10));
  CHECK_FALSE(is_plausible(deviation, 1));
}

struct Round {  // of one part
  std::vector<std::vector<float>> contributions;
  std::vector<float> result;
  double tau = 1;

  explicit Round(std::uint64_t seed, std::size_t members = 10, std::size_t size = 3000) {
    crypto::SeededRng rng(seed);
    for (std::size_t i = 0; i < members; ++i)
      contributions.push_back(random_values(rng, size, i < 3 ? 30 : 0.1));
    tau = 2;
    result.resize(size);
    const std::vector<std::span<const float>> views(contributions.begin(), contributions.end());
    const DecodedParts parts(views);
    const std::vector<double> weights(members, 1.0);
    const auto rule = make_rule("centered_clip");
    const auto aggregate = (*rule)->aggregate({parts, weights, {}, tau}, [&](std::size_t begin, auto values) {
      std::ranges::copy(values, result.begin() + static_cast<std::ptrdiff_t>(begin));
    });
    REQUIRE(aggregate.converged);
  }
  bool passes(const std::vector<float>& v, std::size_t unreported = 0) const {
    std::vector<Deviation> all;
    for (std::size_t i = unreported; i < contributions.size(); ++i) {
      all.push_back(deviation_of(contributions[i], v, Digest{9}, tau));
    }
    std::vector<const Deviation*> pointers;
    for (const Deviation& one : all) pointers.push_back(&one);
    const std::vector<double> weights(all.size(), 1.0);
    const auto total = static_cast<double>(contributions.size());
    return sums_to_nothing(pointers, weights,
                           {.weights = total,
                            .unreported = static_cast<double>(unreported),
                            .tau = tau,
                            .coding = float_rounding_norm(v),
                            .stop = RuleOptions().relative_stop * total * tau});
  }
};

TEST_CASE("honest results pass the sum check, shifted ones do not, whoever is missing") {
  for (std::uint64_t seed = 1; seed <= seeds(20); ++seed) {
    const Round round(seed);
    CHECK(round.passes(round.result));
    // What three missing members could have added is allowed for.
    CHECK(round.passes(round.result, 3));
    auto shifted = round.result;
    for (float& value : shifted) value += 0.001F;
    CHECK_FALSE(round.passes(shifted));
    auto far = round.result;
    far[17] += 1000;
    CHECK_FALSE(round.passes(far));
    CHECK_FALSE(round.passes(far, 1));
  }
}

TEST_CASE("the distance from the last result, or from zero, is that of the parts") {
  crypto::SeededRng rng(4);
  const auto g = random_values(rng, 5000);
  const auto start = random_values(rng, 5000);
  const std::span<const float> view[] = {g};
  CHECK(distance_from(DecodedParts(view), start) == distance(g, start));
  CHECK(distance_from(DecodedParts(view), {}) == norm(g));
}

}  // namespace
}  // namespace testudo::training
