// The rules beside mean, median and CenteredClip, and the wrappers, against references that are written from
// the definitions: plain loops over coordinates in double, nothing shared with the rules.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "support.h"
#include "training/aggregation/rule.h"
#include "training/arithmetic/reproducible.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace testudo;
using namespace testudo::training;

namespace {

using Vectors = std::vector<std::vector<float>>;
using Values = std::vector<double>;

constexpr const char* all_rules[] = {"trimmed_mean",
                                     "geometric_median",
                                     "krum",
                                     "multi_krum",
                                     "nnm+mean",
                                     "nnm+krum",
                                     "nnm+geometric_median",
                                     "nnm+trimmed_mean",
                                     "nnm+centered_clip",
                                     "bucketing:2+coordinate_median",
                                     "bucketing:3+geometric_median",
                                     "bucketing:2+nnm+multi_krum",
                                     "nnm+bucketing:2+trimmed_mean"};

struct Setting {
  std::vector<double> weights;  // empty: ones
  std::size_t hostile_count = 0;
  Digest seed{};
  std::vector<float> start = {};
};

struct Outcome {
  Aggregate aggregate;
  std::vector<float> value;
};

Outcome run(std::string_view name, const Parts& parts, const Setting& setting) {
  const auto rule = make_rule(name);
  REQUIRE(rule.has_value());
  std::vector<double> weights = setting.weights;
  if (weights.empty()) weights.assign(parts.members(), 1.0);
  Outcome result;
  result.aggregate = (*rule)->aggregate({.parts = parts,
                                         .weights = weights,
                                         .start = setting.start,
                                         .hostile_count = setting.hostile_count,
                                         .seed = setting.seed},
                                        [&](std::size_t begin, std::span<const float> block) {
                                          REQUIRE(begin == result.value.size());
                                          result.value.insert(result.value.end(), block.begin(), block.end());
                                        });
  return result;
}

std::vector<float> run(std::string_view name, const Vectors& parts, const Setting& setting = {}) {
  const auto spans = views(parts);
  CAPTURE(name);
  Outcome result = run(name, DecodedParts(spans), setting);
  REQUIRE(result.aggregate.converged);
  return std::move(result.value);
}

// Around a common mean; the last `hostile` ones send −1000 times theirs.
Vectors swarm(std::uint64_t seed, std::size_t members, std::size_t hostile, std::size_t size) {
  const auto mean = random_floats(seed, size, 0.5);
  Vectors parts;
  for (std::size_t i = 0; i < members; ++i) {
    auto part = random_floats(seed * 1000 + i + 1, size);
    for (std::size_t k = 0; k < size; ++k) {
      part[k] += mean[k];
      if (i + hostile >= members) part[k] *= -1000;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<double> uneven(std::size_t members) {
  std::vector<double> weights;
  for (std::size_t i = 0; i < members; ++i) weights.push_back(0.5 + 0.25 * static_cast<double>(i * 7 % 5));
  return weights;
}

std::vector<double> ones(std::size_t n) { return std::vector<double>(n, 1.0); }

Digest seed_of(std::uint8_t number) { return Digest{number}; }

// ---- References
// --------------------------------------------------------------------------------------------

Values widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }

double naive_square(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double d = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sum += d * d;
  }
  return sum;
}

Values naive_mean(const Vectors& parts, const std::vector<double>& weights) {
  Values mean(parts.front().size());
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t k = 0; k < mean.size(); ++k) {
    for (std::size_t i = 0; i < parts.size(); ++i)
      mean[k] += weights[i] / total * static_cast<double>(parts[i][k]);
  }
  return mean;
}

// Takes away the smallest and the greatest, one after the other.
Values naive_trimmed_mean(const Vectors& parts, const std::vector<double>& weights, std::size_t trim) {
  Values result;
  for (std::size_t k = 0; k < parts.front().size(); ++k) {
    std::vector<std::size_t> left(parts.size());
    std::iota(left.begin(), left.end(), std::size_t{0});
    for (std::size_t step = 0; step < trim; ++step) {
      std::size_t least = 0;
      for (std::size_t at = 1; at < left.size(); ++at) {
        if (parts[left[at]][k] < parts[left[least]][k]) least = at;
      }
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(least));
      std::size_t most = 0;
      for (std::size_t at = 1; at < left.size(); ++at) {
        if (parts[left[at]][k] >= parts[left[most]][k]) most = at;
      }
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(most));
    }
    double sum = 0;
    double total = 0;
    for (const std::size_t i : left) {
      sum += weights[i] * static_cast<double>(parts[i][k]);
      total += weights[i];
    }
    result.push_back(sum / total);
  }
  return result;
}

double sum_of_distances(const Vectors& parts, const std::vector<double>& weights, const Values& v) {
  double sum = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    double square = 0;
    for (std::size_t k = 0; k < v.size(); ++k) {
      const double d = static_cast<double>(parts[i][k]) - v[k];
      square += d * d;
    }
    sum += weights[i] * std::sqrt(square);
  }
  return sum;
}

// Weiszfeld's iteration in the space of the values, with a negligible smoothing.
Values naive_geometric_median(const Vectors& parts, const std::vector<double>& weights) {
  Values v = naive_mean(parts, weights);
  for (int step = 0; step < 20'000; ++step) {
    Values next(v.size());
    double total = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      double square = 0;
      for (std::size_t k = 0; k < v.size(); ++k) {
        const double d = static_cast<double>(parts[i][k]) - v[k];
        square += d * d;
      }
      const double factor = weights[i] / std::max(std::sqrt(square), 1e-9);
      for (std::size_t k = 0; k < v.size(); ++k) next[k] += factor * static_cast<double>(parts[i][k]);
      total += factor;
    }
    double moved = 0;
    for (std::size_t k = 0; k < v.size(); ++k) {
      next[k] /= total;
      moved = std::max(moved, std::fabs(next[k] - v[k]));
    }
    v = next;
    if (moved < 1e-13) break;
  }
  return v;
}

// Members by their Krum score, the best first.
std::vector<std::size_t> naive_krum_order(const Vectors& parts, std::size_t hostile) {
  const auto n = static_cast<int>(parts.size());
  const int neighbours = std::min(n - 1, std::max(1, n - static_cast<int>(hostile) - 2));
  std::vector<std::pair<double, std::size_t>> scored;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::vector<double> squares;
    for (std::size_t j = 0; j < parts.size(); ++j) {
      if (i != j) squares.push_back(naive_square(parts[i], parts[j]));
    }
    std::sort(squares.begin(), squares.end());
    scored.emplace_back(std::accumulate(squares.begin(), squares.begin() + neighbours, 0.0), i);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::size_t> order;
  for (const auto& [score, member] : scored) order.push_back(member);
  return order;
}

Values naive_multi_krum(const Vectors& parts, const std::vector<double>& weights, std::size_t hostile) {
  const auto order = naive_krum_order(parts, hostile);
  Vectors picked;
  std::vector<double> picked_weights;
  for (std::size_t at = 0; at < parts.size() - hostile; ++at) {
    picked.push_back(parts[order[at]]);
    picked_weights.push_back(weights[order[at]]);
  }
  return naive_mean(picked, picked_weights);
}

std::vector<float> narrowed(const Values& values) { return {values.begin(), values.end()}; }

Vectors naive_nnm(const Vectors& parts, const std::vector<double>& weights, std::size_t hostile) {
  Vectors mixed;
  for (const auto& part : parts) {
    std::vector<std::pair<double, std::size_t>> near;
    for (std::size_t j = 0; j < parts.size(); ++j) near.emplace_back(naive_square(part, parts[j]), j);
    std::sort(near.begin(), near.end());
    Vectors together;
    std::vector<double> together_weights;
    for (std::size_t at = 0; at < parts.size() - hostile; ++at) {
      together.push_back(parts[near[at].second]);
      together_weights.push_back(weights[near[at].second]);
    }
    mixed.push_back(narrowed(naive_mean(together, together_weights)));
  }
  return mixed;
}

struct Buckets {
  Vectors parts;
  std::vector<double> weights;
};

Buckets naive_buckets(const Vectors& parts, const std::vector<double>& weights, std::size_t size,
                      const Digest& seed) {
  // Fisher–Yates from the back over the derived stream, as crypto/rng.h writes it down.
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  crypto::SeededRng rng(seed);
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[static_cast<std::size_t>(rng.below(left))]);
  }
  Buckets buckets;
  for (std::size_t at = 0; at < order.size(); ++at) {
    if (at % size == 0) buckets.weights.push_back(0);
    buckets.weights.back() += weights[order[at]];
  }
  for (std::size_t begin = 0; begin < order.size(); begin += size) {
    Vectors together;
    std::vector<double> together_weights;
    for (std::size_t at = begin; at < std::min(begin + size, order.size()); ++at) {
      together.push_back(parts[order[at]]);
      together_weights.push_back(weights[order[at]]);
    }
    buckets.parts.push_back(narrowed(naive_mean(together, together_weights)));
  }
  return buckets;
}

// ---- Comparing
// ---------------------------------------------------------------------------------------------

double gap(std::span<const float> a, const Values& b) {
  REQUIRE(a.size() == b.size());
  double square = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double d = static_cast<double>(a[k]) - b[k];
    square += d * d;
  }
  return std::sqrt(square);
}

double length(const Values& v) {
  double square = 0;
  for (const double value : v) square += value * value;
  return std::sqrt(square);
}

// Equal up to one rounding to float of every value, and of what was mixed before.
bool close(std::span<const float> a, const Values& b) { return gap(a, b) <= 3e-7 * length(b) + 1e-30; }

Vectors permuted(const Vectors& parts, std::uint64_t seed) {
  Vectors out = parts;
  crypto::SeededRng rng(seed);
  rng.shuffle(out);
  return out;
}

}  // namespace

TEST_CASE("every rule has the name by which it was made") {
  for (const std::string name : all_rules) {
    const auto rule = make_rule(name);
    REQUIRE(rule.has_value());
    CHECK((*rule)->name() == name);
    CHECK(!(*rule)->solves_clipped_sum());
    CHECK((*rule)->uses_start() == name.ends_with("centered_clip"));
  }
}

TEST_CASE("what is no rule is refused with what to write") {
  const std::pair<std::string, std::string> refused[] = {
      {"", "there is no rule \"\""},
      {"krumm", "there is no rule \"krumm\""},
      {"Krum", "there is no rule \"Krum\""},
      {"krum ", "there is no rule \"krum \""},
      {"nnm", "nnm needs a rule behind it"},
      {"nnm+", "there is no rule \"\""},
      {"+krum", "\"\" is no wrapper"},
      {"krum+nnm", "\"krum\" is no wrapper"},
      {"nnm+krumm", "there is no rule \"krumm\""},
      {"nnm+nnm+krum", "nnm stands there twice"},
      {"bucketing:2", "bucketing:2 needs a rule behind it"},
      {"bucketing+krum", "bucketing needs a size, like \"bucketing:2\""},
      {"bucketing:+krum", "a bucket has 2 to 256 members"},
      {"bucketing:0+krum", "a bucket has 2 to 256 members"},
      {"bucketing:1+krum", "a bucket has 2 to 256 members"},
      {"bucketing:02+krum", "a bucket has 2 to 256 members"},
      {"bucketing:-2+krum", "a bucket has 2 to 256 members"},
      {"bucketing:2x+krum", "a bucket has 2 to 256 members"},
      {"bucketing:257+krum", "a bucket has 2 to 256 members"},
      {"bucketing:99999999999999999999+krum", "a bucket has 2 to 256 members"},
      {"bucketing:2+bucketing:2+krum", "bucketing stands there twice"},
      {"bucketing:2+nnm+bucketing:3+krum", "bucketing stands there twice"}};
  for (const auto& [name, why] : refused) {
    CAPTURE(name);
    const auto rule = make_rule(name);
    REQUIRE(!rule.has_value());
    CHECK(rule.error().code == ErrorCode::invalid_argument);
    CHECK(rule.error().message.find(why) != std::string::npos);
    CHECK(rule.error().message.find("write " + rule_grammar()) != std::string::npos);
  }
}

TEST_CASE("the grammar that people are told names every rule and wrapper") {
  for (const char* word : {"mean", "coordinate_median", "trimmed_mean", "geometric_median", "krum",
                           "multi_krum", "centered_clip", "nnm+", "bucketing:2+"}) {
    CHECK(rule_grammar().find(word) != std::string::npos);
  }
}

TEST_CASE("without contributors there is no result, and an empty part is an empty result") {
  for (const std::string name : all_rules) {
    CAPTURE(name);
    CHECK(!run(name, DecodedParts({}), {}).aggregate.converged);
    CHECK(run(name, Vectors(3), {.hostile_count = 1}).empty());
  }
}

TEST_CASE("one member's part is the result, whatever hostile count is expected") {
  const Vectors parts{random_floats(1, 1000)};
  for (const std::string name : all_rules) {
    for (const std::size_t hostile : {0UL, 1UL, 50UL}) {
      CHECK(distance(run(name, parts, {.hostile_count = hostile}), parts[0]) <= 1e-6 * norm(parts[0]));
    }
  }
  CHECK(run("krum", parts) == parts[0]);
  CHECK(run("trimmed_mean", parts) == parts[0]);
}

TEST_CASE("of two members' parts krum takes the first, the others their mean") {
  const Vectors parts{random_floats(1, 500), random_floats(2, 500)};
  const Values mean = naive_mean(parts, ones(2));
  for (const std::size_t hostile : {0UL, 1UL}) {
    const Setting setting{.hostile_count = hostile};
    CHECK(run("krum", parts, setting) == parts[0]);
    for (const std::string name : {"trimmed_mean", "geometric_median", "multi_krum", "nnm+mean",
                                   "nnm+geometric_median", "bucketing:2+krum"}) {
      CAPTURE(name);
      CHECK(close(run(name, parts, setting), mean));
    }
  }
}

TEST_CASE("identical parts are the result") {
  const Vectors parts(16, random_floats(1, 1000));
  for (const std::string name : all_rules) {
    for (const std::size_t hostile : {0UL, 3UL, 7UL}) {
      CHECK(run(name, parts, {.hostile_count = hostile}) == parts[0]);
    }
  }
  const Vectors zeros(5, std::vector<float>(300));
  for (const std::string name : all_rules) CHECK(run(name, zeros, {.hostile_count = 2}) == zeros[0]);
}

TEST_CASE("a hostile count beyond what any rule can bear counts as the greatest minority") {
  for (const std::size_t members : {3UL, 4UL, 15UL, 16UL}) {
    const auto parts = swarm(2, members, 0, 200);
    for (const std::string name : all_rules) {
      CHECK(run(name, parts, {.hostile_count = (members - 1) / 2}) ==
            run(name, parts, {.hostile_count = 1000}));
    }
  }
}

TEST_CASE("a trimmed mean leaves out the extremes of every coordinate, for every number of members") {
  for (std::size_t members = 1; members <= 64; members += members < 20 ? 1 : 11) {
    const auto parts = swarm(members, members, 0, 130);
    for (std::size_t trim = 0; trim <= (members - 1) / 2; trim += members < 20 ? 1 : 5) {
      CAPTURE(members);
      CAPTURE(trim);
      REQUIRE(close(run("trimmed_mean", parts, {.hostile_count = trim}),
                    naive_trimmed_mean(parts, ones(members), trim)));
      const auto weights = uneven(members);
      REQUIRE(close(run("trimmed_mean", parts, {.weights = weights, .hostile_count = trim}),
                    naive_trimmed_mean(parts, weights, trim)));
    }
  }
}

TEST_CASE("a trimmed mean of ties leaves out heads in roster order") {
  const Vectors parts{{1}, {1}, {1}, {5}, {5}};
  CHECK(run("trimmed_mean", parts, {.hostile_count = 1}) == std::vector<float>{static_cast<float>(7.0 / 3)});
  // Member 0 is left out of the three smallest, member 4 of the two greatest.
  const Setting weighted{.weights = {100, 1, 1, 2, 100}, .hostile_count = 1};
  CHECK(run("trimmed_mean", parts, weighted) == std::vector<float>{3});
}

TEST_CASE("the geometric median is the minimum of the sum of distances") {
  for (const std::size_t size : {1UL, 2UL, 3UL, 300UL}) {
    for (const std::size_t hostile : {0UL, 3UL, 7UL}) {
      for (const bool weighted : {false, true}) {
        CAPTURE(size);
        CAPTURE(hostile);
        const auto parts = swarm(20 + size, 15, hostile, size);
        std::vector<double> weights = weighted ? uneven(15) : ones(15);
        for (std::size_t i = 15 - hostile; i < 15; ++i) weights[i] = 0.5;  // a minority by weight, too
        const auto found = run("geometric_median", parts, {.weights = weights});
        const Values best = naive_geometric_median(parts, weights);
        const double least = sum_of_distances(parts, weights, best);
        // Smoothing with ν costs W · ν / 2 at most.
        const auto spans = views(parts);
        const double radius =
            run("geometric_median", DecodedParts(spans), {.weights = weights}).aggregate.tau;
        const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
        CHECK(sum_of_distances(parts, weights, widened(found)) <= least + total * radius / 2 + 1e-6 * least);
        CHECK(radius <= 4e-3 * std::sqrt(static_cast<double>(size)));  // hostile members do not reach it
        if (size == 300) CHECK(gap(found, best) <= 1e-4 * length(best));
      }
    }
  }
}

TEST_CASE("a geometric median that is one of the parts is found to within its smoothing") {
  // More than half of the weight on one of three; and of three points with an angle of more than 120 degrees.
  for (const Vectors& parts : {Vectors{{1, 2}, {5, 2}, {3, 9}}, Vectors{{0, 0}, {-3, 0.5F}, {3, 0.5F}}}) {
    const Setting setting{.weights = parts[0][0] == 1 ? std::vector<double>{5, 1, 1} : ones(3)};
    const auto spans = views(parts);
    const Outcome found = run("geometric_median", DecodedParts(spans), setting);
    REQUIRE(found.aggregate.converged);
    CHECK(distance(found.value, parts[0]) <= found.aggregate.tau);
  }
}

TEST_CASE("what more than half of the weight sent is the geometric median, however far the others are") {
  for (const float far : {1.0F, 1e3F, 1e18F}) {
    const Vectors parts{{far, far}, {1, -2}, {-far, 5}, {1, -2}, {1, -2}};
    CHECK(run("geometric_median", parts) == parts[1]);
    CHECK(run("geometric_median", parts, {.weights = {1, 0.5, 9, 0.5, 0.5}}) != parts[1]);
    CHECK(run("geometric_median", parts, {.weights = {1, 1, 3, 2, 1.5}}) == parts[1]);
  }
}

TEST_CASE("a geometric median of points on a line with ties ends") {
  for (const Vectors& parts : {Vectors{{0}, {1}, {2}, {100}}, Vectors{{0}, {0}, {1}, {1}, {1e6}, {1e6}},
                               Vectors{{0}, {0}, {0}, {1}}, Vectors{{-1}, {0}, {0}, {1}, {2}, {2}}}) {
    const auto found = run("geometric_median", parts);
    const auto least =
        sum_of_distances(parts, ones(parts.size()), naive_geometric_median(parts, ones(parts.size())));
    CHECK(sum_of_distances(parts, ones(parts.size()), widened(found)) <= 1.001 * least + 1e-3);
  }
}

TEST_CASE("the geometric median of few values on a grid, with ties and outliers, ends") {
  crypto::SeededRng rng(7);
  std::uint32_t most = 0;
  for (int run_number = 0; run_number < 5000; ++run_number) {
    const std::size_t size = 1 + rng.below(4);
    Vectors parts(2 + rng.below(19), std::vector<float>(size));
    for (auto& part : parts) {
      constexpr float units[] = {1, 1, 1e5F, 1e-3F, 1e-9F};
      const float unit = units[rng.below(run_number % 2 == 0 ? 3 : std::size(units))];
      for (float& value : part) value = unit * (static_cast<float>(rng.below(5)) - 2);
    }
    CAPTURE(run_number);
    const auto spans = views(parts);
    const Outcome found = run("geometric_median", DecodedParts(spans), {});
    REQUIRE(found.aggregate.converged);
    most = std::max(most, found.aggregate.iterations);
  }
  CHECK(most >= 10000);  // some are only just the median: there the cap is reached, and is enough
}

TEST_CASE("krum gives the part with the lowest score, bit by bit, and multi_krum the mean of the lowest") {
  for (std::size_t members = 1; members <= 24; ++members) {
    for (const std::size_t hostile : {0UL, 1UL, members / 4, (members - 1) / 2}) {
      if (hostile > (members - 1) / 2) continue;
      CAPTURE(members);
      CAPTURE(hostile);
      const auto parts = swarm(40 + members, members, hostile, 200);
      for (const auto& weights : {ones(members), uneven(members)}) {
        const Setting setting{.weights = weights, .hostile_count = hostile};
        REQUIRE(run("krum", parts, setting) == parts[naive_krum_order(parts, hostile).front()]);
        REQUIRE(close(run("multi_krum", parts, setting), naive_multi_krum(parts, weights, hostile)));
      }
    }
  }
}

TEST_CASE("between equal scores krum takes the first of the roster") {
  const Vectors parts{{9}, {1}, {3}, {1}, {3}};
  CHECK(run("krum", parts, {.hostile_count = 1}) == std::vector<float>{1});
  const Vectors other{{9}, {3}, {1}, {3}, {1}};
  CHECK(run("krum", other, {.hostile_count = 1}) == std::vector<float>{3});
}

TEST_CASE("nearest-neighbour mixing hands the mean of its nearest to the rule behind it") {
  for (const std::size_t members : {3UL, 8UL, 15UL, 16UL}) {
    for (const std::size_t hostile : {0UL, 1UL, (members - 1) / 2}) {
      for (const auto& weights : {ones(members), uneven(members)}) {
        CAPTURE(members);
        CAPTURE(hostile);
        const auto parts = swarm(60 + members, members, hostile, 300);
        const Setting setting{.weights = weights, .hostile_count = hostile};
        const Vectors mixed = naive_nnm(parts, weights, hostile);
        CHECK(close(run("nnm+mean", parts, setting), naive_mean(mixed, weights)));
        CHECK(close(run("nnm+trimmed_mean", parts, setting), naive_trimmed_mean(mixed, weights, hostile)));
        CHECK(gap(run("nnm+geometric_median", parts, setting), naive_geometric_median(mixed, weights)) <=
              2e-3 * length(naive_mean(mixed, weights)));
      }
    }
  }
}

TEST_CASE("bucketing hands the means of buckets, permuted by the seed, to the rule behind it") {
  for (const std::size_t members : {1UL, 2UL, 7UL, 16UL}) {
    for (const std::size_t size : {2UL, 3UL, 5UL}) {
      for (const auto& weights : {ones(members), uneven(members)}) {
        for (std::uint8_t seed = 0; seed < 3; ++seed) {
          CAPTURE(members);
          CAPTURE(size);
          const auto parts = swarm(80 + members, members, members / 5, 200);
          const Buckets buckets = naive_buckets(parts, weights, size, seed_of(seed));
          const std::size_t rows = buckets.parts.size();
          const std::size_t hostile = std::min(members / 5, (rows - 1) / 2);
          const Setting setting{.weights = weights, .hostile_count = members / 5, .seed = seed_of(seed)};
          const std::string prefix = "bucketing:" + std::to_string(size) + "+";
          CHECK(close(run(prefix + "mean", parts, setting), naive_mean(parts, weights)));
          CHECK(close(run(prefix + "trimmed_mean", parts, setting),
                      naive_trimmed_mean(buckets.parts, buckets.weights, hostile)));
          CHECK(close(run(prefix + "multi_krum", parts, setting),
                      naive_multi_krum(buckets.parts, buckets.weights, hostile)));
        }
      }
    }
  }
}

TEST_CASE("the buckets are the seed's and nothing else's") {
  const auto parts = swarm(5, 16, 0, 100);
  const auto first = run("bucketing:2+krum", parts, {.seed = seed_of(1)});
  CHECK(first == run("bucketing:2+krum", parts, {.seed = seed_of(1)}));
  CHECK(first != run("bucketing:2+krum", parts, {.seed = seed_of(2)}));
}

TEST_CASE("wrappers nest in the order in which they are written") {
  const auto parts = swarm(6, 12, 2, 200);
  const Setting setting{.hostile_count = 2, .seed = seed_of(3)};
  const Buckets buckets = naive_buckets(parts, ones(12), 2, setting.seed);
  const Vectors bucketed_then_mixed = naive_nnm(buckets.parts, buckets.weights, 2);
  CHECK(close(run("bucketing:2+nnm+mean", parts, setting), naive_mean(bucketed_then_mixed, buckets.weights)));
  const Vectors mixed = naive_nnm(parts, ones(12), 2);
  const Buckets mixed_then_bucketed = naive_buckets(mixed, ones(12), 2, setting.seed);
  CHECK(close(run("nnm+bucketing:2+trimmed_mean", parts, setting),
              naive_trimmed_mean(mixed_then_bucketed.parts, mixed_then_bucketed.weights, 2)));
}

TEST_CASE("with every second member hostile but one, a robust rule stays among the honest") {
  for (const std::size_t members : {5UL, 15UL, 16UL, 63UL}) {
    const std::size_t hostile = (members - 1) / 2;
    const auto parts = swarm(90, members, hostile, 2000);
    const Vectors honest(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(hostile));
    const Values centre = naive_mean(honest, ones(honest.size()));
    double spread = 0;
    for (const auto& part : honest) spread = std::max(spread, gap(part, centre));
    for (const std::string name : {"trimmed_mean", "geometric_median", "krum", "multi_krum", "nnm+krum",
                                   "nnm+trimmed_mean", "nnm+geometric_median", "nnm+coordinate_median"}) {
      CAPTURE(name);
      CAPTURE(members);
      CHECK(gap(run(name, parts, {.hostile_count = hostile}), centre) <= 2 * spread);
    }
    CHECK(gap(run("mean", parts), centre) > 10 * spread);  // the attack is one
  }
}

TEST_CASE("buckets withstand what their number allows") {
  const auto parts = swarm(91, 16, 3, 2000);  // 3 hostile of 8 buckets at most
  const Vectors honest(parts.begin(), parts.end() - 3);
  const Values centre = naive_mean(honest, ones(13));
  for (const std::string name :
       {"bucketing:2+trimmed_mean", "bucketing:2+geometric_median", "bucketing:2+coordinate_median",
        "bucketing:2+krum", "bucketing:2+nnm+trimmed_mean"}) {
    for (std::uint8_t seed = 0; seed < 8; ++seed) {
      CAPTURE(name);
      CHECK(gap(run(name, parts, {.hostile_count = 3, .seed = seed_of(seed)}), centre) <=
            2 * gap(parts[0], centre));
    }
  }
}

TEST_CASE("values up to the greatest that are let in neither overflow nor move a robust rule") {
  for (const float g_max : {1e6F, 1e18F, 0x1p126F}) {
    auto parts = swarm(92, 9, 0, 300);
    const Vectors honest(parts.begin(), parts.begin() + 6);
    const Values centre = naive_mean(honest, ones(6));
    for (std::size_t i = 6; i < 9; ++i) {
      for (std::size_t k = 0; k < parts[i].size(); ++k) parts[i][k] = (k + i) % 3 == 0 ? g_max : -g_max;
    }
    for (const std::string name : {"trimmed_mean", "geometric_median", "krum", "multi_krum", "nnm+krum",
                                   "nnm+trimmed_mean", "nnm+geometric_median"}) {
      CAPTURE(name);
      CAPTURE(g_max);
      CHECK(gap(run(name, parts, {.hostile_count = 3}), centre) <= 2 * gap(parts[0], centre));
    }
  }
  // Everybody at the limit: no sum leaves the range.
  const Vectors greatest(4, std::vector<float>(10, std::numeric_limits<float>::max()));
  for (const std::string name : all_rules) {
    CHECK(run(name, greatest, {.hostile_count = 1}) == greatest[0]);
  }
}

TEST_CASE("the order of members does not show in a bit where the rule is symmetric, and hardly elsewhere") {
  const auto parts = swarm(93, 16, 5, 1000);
  const Setting setting{.hostile_count = 5};
  const auto expect = [&](std::string_view name) { return run(name, parts, setting); };
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto other = permuted(parts, seed);
    CHECK(run("krum", other, setting) == expect("krum"));
    CHECK(run("trimmed_mean", other, setting) == expect("trimmed_mean"));
    for (const std::string name : {"multi_krum", "geometric_median", "nnm+trimmed_mean", "nnm+mean"}) {
      CAPTURE(name);
      CHECK(distance(run(name, other, setting), expect(name)) <= 1e-5 * norm(expect(name)));
    }
  }
}

TEST_CASE("encoded parts give the bits of their decoded values") {
  for (const CodecKind codec : {CodecKind::fp32, CodecKind::fp16, CodecKind::int8}) {
    for (const std::size_t size : {1UL, 4095UL, 4096UL, 4097UL, 10'000UL}) {
      Vectors decoded;
      std::vector<Bytes> encoded;
      for (std::size_t i = 0; i < 7; ++i) {
        const auto bytes = encode(codec, random_floats(size + i, size));
        REQUIRE(bytes.has_value());
        decoded.emplace_back(size);
        REQUIRE(decode(codec, *bytes, decoded.back(), 1e6F).has_value());
        encoded.push_back(*bytes);
      }
      const EncodedParts parts(codec, size, 1e6F, {encoded.begin(), encoded.end()});
      const Setting setting{.hostile_count = 2, .start = random_floats(77, size, 0.1)};
      for (const std::string name : all_rules) {
        CAPTURE(name);
        CAPTURE(size);
        const Outcome result = run(name, parts, setting);
        REQUIRE(result.aggregate.converged);
        CHECK(result.value == run(name, decoded, setting));
      }
    }
  }
}

TEST_CASE("rules have golden bits with every vector unit and inside a hostile float environment") {
  const auto parts = swarm(94, 16, 7, 5003);
  struct Golden {
    std::string name, equal, uneven;
  };
  const Golden golden[] = {
      {"trimmed_mean", "b1bec187d3bfb28a", "e37dce241b520a01"},
      {"geometric_median", "a3b0f9e8f715931d", "10efeb687f0d8f50"},
      {"krum", "d55aa13ebfbc5cbb", "d55aa13ebfbc5cbb"},
      {"multi_krum", "8f6d8a92abf0de7a", "9abf4bce19de242e"},
      // All honest rows are the mean of the nine honest parts, and so is what multi_krum gives.
      {"nnm+coordinate_median", "8f6d8a92abf0de7a", "9abf4bce19de242e"},
      {"nnm+centered_clip", "876054e564ab65e0", "0c62e2baa65137cb"},
      {"bucketing:2+geometric_median", "0aefa20f06401b4c", "75acad2e4c7434bf"},
      {"bucketing:2+nnm+trimmed_mean", "15c2eb933c609877", "49587fe0cbfaeccd"}};
  for (const bool weighted : {false, true}) {
    for (const auto& [name, equal_bits, uneven_bits] : golden) {
      for (const VectorUnit unit : all_units) {
        for (const bool hostile : {false, true}) {
          const ScopedVectorUnit limit(unit);
          const Setting setting{.weights = weighted ? uneven(16) : ones(16),
                                .hostile_count = 7,
                                .seed = seed_of(9),
                                .start = random_floats(95, 5003, 0.5)};
#if defined(__x86_64__)
          const unsigned before = _mm_getcsr();
          if (hostile) _mm_setcsr(before | 0x8040U | 0x2000U);  // FTZ, DAZ, round down
#endif
          const auto value = run(name, parts, setting);
#if defined(__x86_64__)
          _mm_setcsr(before);
#endif
          CAPTURE(name);
          CHECK(fingerprint(value) == (weighted ? uneven_bits : equal_bits));
        }
      }
    }
  }
}
