#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "support.h"
#include "training/aggregation/centered_clip.h"
#include "training/aggregation/gram.h"
#include "training/aggregation/rule.h"
#include "training/arithmetic/reproducible.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace testudo;
using namespace testudo::training;

namespace {

using Vectors = std::vector<std::vector<float>>;

// Honest members around a common mean; the last `hostile` ones send −1000 times theirs.
Vectors swarm(std::uint64_t seed, std::size_t members, std::size_t hostile, std::size_t size,
              double spread = 1) {
  const auto mean = random_floats(seed, size, 0.5);
  Vectors parts;
  for (std::size_t i = 0; i < members; ++i) {
    auto part = random_floats(seed * 1000 + i + 1, size, spread);
    for (std::size_t k = 0; k < size; ++k) {
      part[k] += mean[k];
      if (i + hostile >= members) part[k] *= -1000;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<double> ones(std::size_t n) { return std::vector<double>(n, 1.0); }

struct Collected : Aggregate {
  std::vector<float> value;
};

Collected collect(const AggregationRule& rule, const AggregationInput& input) {
  Collected collected;
  static_cast<Aggregate&>(collected) =
      rule.aggregate(input, [&](std::size_t begin, std::span<const float> block) {
        REQUIRE(begin == collected.value.size());
        collected.value.insert(collected.value.end(), block.begin(), block.end());
      });
  return collected;
}

Collected run(std::string_view name, const Vectors& parts, std::span<const double> weights,
              std::span<const float> start = {}, double tau = automatic, const RuleOptions& options = {}) {
  const auto rule = make_rule(name, options);
  REQUIRE(rule.has_value());
  const auto spans = views(parts);
  return collect(**rule, {.parts = DecodedParts(spans), .weights = weights, .start = start, .tau = tau});
}

// Σ w_i ψ_i at v, straight from the definition.
std::vector<double> clipped_sum(const Vectors& parts, std::span<const double> weights,
                                std::span<const double> v, double tau) {
  std::vector<double> sum(v.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    double square = 0;
    for (std::size_t k = 0; k < v.size(); ++k) {
      const double d = static_cast<double>(parts[i][k]) - v[k];
      square += d * d;
    }
    const double lambda = std::sqrt(square) > tau ? tau / std::sqrt(square) : 1;
    for (std::size_t k = 0; k < v.size(); ++k) {
      sum[k] += weights[i] * lambda * (static_cast<double>(parts[i][k]) - v[k]);
    }
  }
  return sum;
}

double length(std::span<const double> v) {
  double square = 0;
  for (const double value : v) square += value * value;
  return std::sqrt(square);
}

double residual_of(const Vectors& parts, std::span<const double> weights, std::span<const float> v,
                   double tau) {
  return length(clipped_sum(parts, weights, std::vector<double>(v.begin(), v.end()), tau));
}

// The paper's plain iteration v ← v + (1/W) Σ w ψ, the oracle.
std::vector<double> plain_iteration(const Vectors& parts, std::span<const double> weights, double tau,
                                    double stop) {
  std::vector<double> v(parts.front().size());
  double total = 0;
  for (const double weight : weights) total += weight;
  for (int step = 0; step < 200'000; ++step) {
    const auto sum = clipped_sum(parts, weights, v, tau);
    if (length(sum) <= stop) return v;
    for (std::size_t k = 0; k < v.size(); ++k) v[k] += sum[k] / total;
  }
  FAIL("the oracle did not converge");
  return v;
}

double gap(std::span<const float> a, std::span<const double> b) {
  double square = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double d = static_cast<double>(a[k]) - b[k];
    square += d * d;
  }
  return std::sqrt(square);
}

// What the stop and the rounding of v to float allow the exact residual to be.
double allowed(const Collected& result, std::span<const double> weights) {
  double total = 0;
  for (const double weight : weights) total += weight;
  return result.stop + 2 * total * float_rounding_norm(result.value);
}

}  // namespace

TEST_CASE("an unknown rule and senseless stops are refused") {
  CHECK(!make_rule("krumm"));
  CHECK(!make_rule("mean", {.relative_stop = 0, .absolute_stop = 0}));
  CHECK(!make_rule("mean", {.relative_stop = std::numeric_limits<double>::quiet_NaN()}));
  for (const auto* name : {"mean", "coordinate_median", "centered_clip"})
    CHECK((*make_rule(name))->name() == name);
  CHECK((*make_rule("centered_clip"))->solves_clipped_sum());
}

TEST_CASE("without contributors a part is absent") {
  for (const auto* name : {"mean", "coordinate_median", "centered_clip"}) CHECK(!run(name, {}, {}).converged);
}

TEST_CASE("one member's part is the result under every rule") {
  const Vectors parts{random_floats(1, 1000)};
  for (const auto* name : {"mean", "coordinate_median", "centered_clip"}) {
    const auto result = run(name, parts, ones(1));
    REQUIRE(result.converged);
    CHECK(distance(result.value, parts[0]) <= 1e-6 * norm(parts[0]));
  }
  CHECK(run("mean", parts, ones(1)).value == parts[0]);
}

TEST_CASE("identical parts are the result, from any start and for any tau") {
  const Vectors parts(16, random_floats(1, 1000));
  const auto start = random_floats(2, 1000, 100);
  for (const auto* name : {"mean", "coordinate_median", "centered_clip"}) {
    for (const double tau : {automatic, 1e-3, 1.0, 1e6}) {
      for (const bool far : {false, true}) {
        const auto result =
            run(name, parts, ones(16), far ? std::span<const float>(start) : std::span<const float>{}, tau);
        CAPTURE(name);
        CAPTURE(tau);
        REQUIRE(result.converged);
        CHECK(distance(result.value, parts[0]) <= 1e-5 * norm(parts[0]));
      }
    }
  }
  const auto at_start = run("centered_clip", parts, ones(16), parts[0]);
  REQUIRE(at_start.converged);
  CHECK(at_start.value == parts[0]);
}

TEST_CASE("all zeros stay zeros") {
  const Vectors parts(5, std::vector<float>(300));
  for (const auto* name : {"mean", "coordinate_median", "centered_clip"}) {
    const auto result = run(name, parts, ones(5));
    REQUIRE(result.converged);
    CHECK(result.value == parts[0]);
  }
}

TEST_CASE("an empty part is an empty result") {
  const Vectors parts(3);
  for (const auto* name : {"mean", "coordinate_median", "centered_clip"}) {
    const auto result = run(name, parts, ones(3));
    CHECK(result.converged);
    CHECK(result.value.empty());
  }
}

TEST_CASE("the mean is weighted") {
  const Vectors parts{{1, 10}, {4, 40}};
  const std::vector<double> weights{2, 1};
  CHECK(run("mean", parts, weights).value == std::vector<float>{2, 20});
}

TEST_CASE("the coordinate median is the lower one, for every number of members") {
  for (std::size_t members = 1; members <= 64; ++members) {
    CAPTURE(members);
    Vectors parts;
    for (std::size_t i = 0; i < members; ++i) parts.push_back(random_floats(members * 100 + i, 130));
    const auto result = run("coordinate_median", parts, ones(members));
    for (std::size_t k = 0; k < 130; ++k) {
      std::vector<float> column;
      for (const auto& part : parts) column.push_back(part[k]);
      std::ranges::sort(column);
      REQUIRE(result.value[k] == column[(members - 1) / 2]);
    }
  }
}

TEST_CASE("a weighted coordinate median counts a member as often as its weight says") {
  Vectors parts;
  Vectors repeated;
  std::vector<double> weights;
  for (std::size_t i = 0; i < 9; ++i) {
    parts.push_back(random_floats(i, 100));
    weights.push_back(static_cast<double>(1 + i % 4));
    for (std::size_t copy = 0; copy < 1 + i % 4; ++copy) repeated.push_back(parts.back());
  }
  CHECK(run("coordinate_median", parts, weights).value ==
        run("coordinate_median", repeated, ones(repeated.size())).value);
}

TEST_CASE("a tau beyond every deviation makes CenteredClip the weighted mean") {
  const auto parts = swarm(3, 16, 0, 2000);
  std::vector<double> weights;
  for (std::size_t i = 0; i < 16; ++i) weights.push_back(1.0 + static_cast<double>(i));
  const auto mean = run("mean", parts, weights);
  const auto clip = run("centered_clip", parts, weights, {}, 1e9);
  REQUIRE(clip.converged);
  CHECK(clip.iterations == 1);
  CHECK(distance(clip.value, mean.value) <= 2 * float_rounding_norm(mean.value));
}

TEST_CASE("CenteredClip reaches the fixed point of the plain iteration") {
  for (const double tau : {0.3, 1.0, 10.0, 40.0}) {
    for (const std::size_t hostile : {0UL, 3UL, 7UL}) {
      CAPTURE(tau);
      CAPTURE(hostile);
      const auto parts = swarm(5, 16, hostile, 300);
      std::vector<double> weights = ones(16);
      if (hostile == 3) {
        for (std::size_t i = 0; i < 16; ++i) weights[i] = 0.5 + 0.1 * static_cast<double>(i);
      }
      const auto result = run("centered_clip", parts, weights, {}, tau, {.relative_stop = 1e-9});
      REQUIRE(result.converged);
      CHECK(result.residual <= result.stop);
      CHECK(residual_of(parts, weights, result.value, tau) <= allowed(result, weights));
      const auto oracle = plain_iteration(parts, weights, tau, 1e-7 * 16 * std::min(tau, 1.0));
      CHECK(gap(result.value, oracle) <= 2e-4 * length(oracle));
    }
  }
}

TEST_CASE("seven of sixteen that send -1000 times their gradient move CenteredClip little") {
  const std::size_t size = 20'000;
  const auto parts = swarm(7, 16, 7, size, 1);
  const auto mean = random_floats(7, size, 0.5);
  const double noise = norm(parts[0]);
  const auto plain = run("mean", parts, ones(16));
  CHECK(distance(plain.value, mean) > 100 * noise);
  for (const double tau : {0.125, 1.0, 10.0}) {
    const auto result = run("centered_clip", parts, ones(16), {}, tau);
    CAPTURE(tau);
    REQUIRE(result.converged);
    MESSAGE("tau ", tau, ": ", result.iterations, " reweightings, distance to the honest mean / honest norm ",
            distance(result.value, mean) / noise);
    CHECK(distance(result.value, mean) < 1.5 * noise);
    CHECK(residual_of(parts, ones(16), result.value, tau) <= allowed(result, ones(16)));
  }
}

TEST_CASE("with tau shrinking every round the start carries CenteredClip to the honest mean") {
  const auto parts = swarm(8, 16, 7, 5000, 0.1);
  const auto mean = random_floats(8, 5000, 0.5);
  std::vector<float> start;
  for (int round = 0; round < 3; ++round) start = run("centered_clip", parts, ones(16), start).value;
  CHECK(distance(start, mean) < 0.5 * norm(mean));
}

TEST_CASE("sixty-four members of unequal weight converge, hostile or not, at any tau") {
  for (const std::size_t hostile : {0UL, 31UL}) {
    const auto parts = swarm(9, 64, hostile, 1500);
    std::vector<double> weights;
    for (std::size_t i = 0; i < 64; ++i) weights.push_back(1.0 + static_cast<double>(i % 2));
    for (const double tau : {automatic, 1e-3, 0.1, 10.0, 1e4}) {
      CAPTURE(tau);
      CAPTURE(hostile);
      const auto result = run("centered_clip", parts, weights, {}, tau);
      REQUIRE(result.converged);
      CHECK(residual_of(parts, weights, result.value, result.tau) <= allowed(result, weights));
    }
  }
}

TEST_CASE("a single coordinate and two members converge") {
  const Vectors one_coordinate{{1}, {2}, {-1000}, {3}, {1000}};
  CHECK(run("centered_clip", one_coordinate, ones(5), {}, 0.5).converged);
  const Vectors two{random_floats(1, 100), random_floats(2, 100)};
  const auto result = run("centered_clip", two, ones(2), {}, 0.01);
  REQUIRE(result.converged);
  CHECK(residual_of(two, ones(2), result.value, 0.01) <= allowed(result, ones(2)));
}

TEST_CASE("a start far from everybody does not cost the precision of the result") {
  const auto parts = swarm(11, 16, 0, 2000, 1e-3);
  const auto start = random_floats(12, 2000, 3e5);
  const double tau = 0.02;  // below the honest deviations of about 0.026
  const auto near = run("centered_clip", parts, ones(16), {}, tau);
  const auto far = run("centered_clip", parts, ones(16), start, tau);
  REQUIRE(near.converged);
  REQUIRE(far.converged);
  CHECK(residual_of(parts, ones(16), near.value, tau) <= allowed(near, ones(16)));
  CHECK(residual_of(parts, ones(16), far.value, tau) <= allowed(far, ones(16)));
}

TEST_CASE("an iteration cap that is too small leaves the part absent") {
  const auto parts = swarm(13, 16, 7, 500);
  const auto result =
      run("centered_clip", parts, ones(16), {}, 0.01, {.relative_stop = 1e-12, .iteration_cap = 2});
  CHECK(!result.converged);
  CHECK(result.value.empty());
  CHECK(result.iterations == 2);
}

TEST_CASE("differences beyond the range of float leave the part absent") {
  const float greatest = std::numeric_limits<float>::max();
  const Vectors parts{{greatest}, {-greatest}};
  const std::vector<float> start{-greatest};
  CHECK(!run("centered_clip", parts, ones(2), start, 1.0).converged);
}

TEST_CASE("the order of members is part of the result only in the last bits") {
  auto parts = swarm(14, 16, 5, 1000);
  const auto forward = run("centered_clip", parts, ones(16), {}, 5.0);
  std::ranges::reverse(parts);
  const auto backward = run("centered_clip", parts, ones(16), {}, 5.0);
  CHECK(distance(forward.value, backward.value) <= 1e-5 * norm(forward.value));
}

TEST_CASE("a part's tau shrinks with the root of its fraction") {
  CHECK(part_tau(8, 100, 1600) == 2);
  CHECK(part_tau(8, 1600, 1600) == 8);
}

TEST_CASE("the automatic tau is the lower weighted median of the deviations") {
  CHECK(automatic_tau(std::vector<double>{5, 1, 3, 1000}, ones(4)) == 3);
  CHECK(automatic_tau(std::vector<double>{5, 1, 3}, ones(3)) == 3);
  CHECK(automatic_tau(std::vector<double>{5, 1, 3}, std::vector<double>{10, 1, 1}) == 5);
  CHECK(automatic_tau(std::vector<double>{0, 0, 0, 7}, ones(4)) == 7);
  CHECK(automatic_tau(std::vector<double>{0, 0}, ones(2)) == 0);
  CHECK(automatic_tau({}, {}) == 0);
}

TEST_CASE("the Gram matrix agrees with plain inner products for every size and vector unit") {
  for (const std::size_t members : {1UL, 2UL, 3UL, 5UL, 16UL, 17UL}) {
    for (const std::size_t size : {0UL, 1UL, 9UL, 255UL, 256UL, 300UL, 1000UL}) {
      Vectors parts;
      for (std::size_t i = 0; i < members; ++i) parts.push_back(random_floats(i, size));
      const auto centre = random_floats(99, size, 0.1);
      const auto spans = views(parts);
      std::vector<double> first;
      for (const VectorUnit unit : all_units) {
        const ScopedVectorUnit limit(unit);
        const auto gram = gram_matrix(DecodedParts(spans), centre);
        if (first.empty()) first = gram;
        REQUIRE(gram == first);
      }
      for (std::size_t i = 0; i < members; ++i) {
        for (std::size_t j = 0; j < members; ++j) {
          double sum = 0;
          for (std::size_t k = 0; k < size; ++k) {
            sum +=
                static_cast<double>(parts[i][k] - centre[k]) * static_cast<double>(parts[j][k] - centre[k]);
          }
          REQUIRE(first[i * members + j] == doctest::Approx(sum).epsilon(1e-12));
          REQUIRE(first[i * members + j] == first[j * members + i]);
        }
      }
    }
  }
}

TEST_CASE(
    "aggregation rules have golden bits with every vector unit and inside a hostile float environment") {
  const auto parts = swarm(15, 16, 7, 5003);
  const auto start = random_floats(16, 5003, 0.5);
  std::vector<double> weights;
  for (std::size_t i = 0; i < 16; ++i) weights.push_back(static_cast<double>(1 + i % 3));
  for (const VectorUnit unit : all_units) {
    for (const bool hostile : {false, true}) {
      const ScopedVectorUnit limit(unit);
#if defined(__x86_64__)
      const unsigned before = _mm_getcsr();
      if (hostile) _mm_setcsr(before | 0x8040U | 0x2000U);  // FTZ, DAZ, round down
#endif
      const auto mean = run("mean", parts, weights);
      const auto median = run("coordinate_median", parts, ones(16));
      const auto weighted = run("coordinate_median", parts, weights);
      const auto clip = run("centered_clip", parts, weights, start, 5.0);
      const auto automatic_clip = run("centered_clip", parts, weights, start);
#if defined(__x86_64__)
      _mm_setcsr(before);
#endif
      CHECK(fingerprint(mean.value) == "b60aba285d081e08");
      CHECK(fingerprint(median.value) == "e92aafec7ec43bfa");
      CHECK(fingerprint(weighted.value) == "adfbf8bedcfd5ff3");
      CHECK(fingerprint(clip.value) == "e9ae84890f97de3b");
      CHECK(fingerprint(automatic_clip.value) == "dacc06e74e1397e3");
    }
  }
}

TEST_CASE("encoded parts aggregate to the bits of their decoded values, for every codec and rule") {
  for (const CodecKind codec : {CodecKind::fp32, CodecKind::fp16, CodecKind::int8}) {
    for (const std::size_t size : {1UL, 4095UL, 4096UL, 4097UL, 10'000UL}) {
      Vectors decoded;
      std::vector<Bytes> encoded;
      for (std::size_t i = 0; i < 5; ++i) {
        const auto bytes = encode(codec, random_floats(size + i, size));
        REQUIRE(bytes.has_value());
        decoded.emplace_back(size);
        REQUIRE(decode(codec, *bytes, decoded.back(), 1e6F).has_value());
        encoded.push_back(*bytes);
      }
      const auto start = random_floats(77, size, 0.1);
      const EncodedParts parts(codec, size, 1e6F, {encoded.begin(), encoded.end()});
      const auto weights = ones(5);
      for (const char* name : {"mean", "coordinate_median", "centered_clip"}) {
        const auto rule = make_rule(name);
        REQUIRE(rule.has_value());
        const auto whole = run(name, decoded, weights, start, 1.0);
        REQUIRE(whole.converged);
        CHECK(collect(**rule, {.parts = parts, .weights = weights, .start = start, .tau = 1.0}).value ==
              whole.value);
      }
    }
  }
}
