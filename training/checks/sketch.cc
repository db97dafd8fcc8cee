#include "training/checks/sketch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "crypto/base/check.h"
#include "crypto/base/vector_unit.h"
#include "crypto/rng.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr std::size_t lanes = 16;
constexpr std::size_t byte_values = 256;
static_assert(Parts::block % lanes == 0, "lanes continue from block to block");

TESTUDO_KERNEL int subtract(const float* __restrict g, const float* __restrict v, double* __restrict r,
                            std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) r[k] = static_cast<double>(g[k]) - static_cast<double>(v[k]);
  return 0;
}

TESTUDO_KERNEL int add_squares(const double* __restrict r, double* __restrict sums, std::size_t size) {
  std::size_t k = 0;
  for (; k + lanes <= size; k += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += r[k + lane] * r[k + lane];
  }
  for (std::size_t lane = 0; k + lane < size; ++lane) sums[lane] += r[k + lane] * r[k + lane];
  return 0;
}

// The additions to one sum are in ascending order, whatever the unit.
TESTUDO_KERNEL int scatter(const double* __restrict r, const std::uint8_t* __restrict lots,
                           double* __restrict by_byte, std::size_t size) {
  for (std::size_t k = 0; k < size; ++k) by_byte[lots[k]] += r[k];
  return 0;
}

double tree(std::array<double, lanes> sums) {
  for (std::size_t width = lanes / 2; width > 0; width /= 2) {
    for (std::size_t k = 0; k < width; ++k) sums[k] += sums[k + width];
  }
  return sums[0];
}

struct Sums {  // of one member, as they grow
  std::array<double, lanes> squares{};
  std::array<double, byte_values> by_byte{};
};

Deviation finish(const Sums& sums, double tau) {
  Deviation deviation;
  deviation.norm = std::sqrt(tree(sums.squares));
  const double lambda = deviation.norm > tau ? tau / deviation.norm : 1.0;
  constexpr double greatest = std::numeric_limits<float>::max();
  const auto& a = sums.by_byte;
  for (std::size_t c = 0; c < sketch_size; ++c) {
    const double sum = ((a[c] + a[64 + c]) - a[128 + c]) - a[192 + c];
    // + 0: a result of −0 becomes +0, so that equal sketches have equal bytes.
    deviation.sketch[c] = static_cast<float>(std::clamp(lambda * sum, -greatest, greatest)) + 0.0F;
  }
  return deviation;
}

double length(const Sketch& sketch) {
  double sum = 0;
  for (const float value : sketch) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum);
}

}  // namespace

namespace {

// `result` null: zeros.
std::vector<Deviation> deviations_from(const Parts& contributions, const Parts* result, const Digest& seed,
                                       double tau) {
  const ScopedFloatEnvironment environment;
  crypto::SeededRng rng(seed);
  PartsBlock rows(contributions);
  std::optional<PartsBlock> reduced;
  if (result != nullptr) reduced.emplace(*result);
  const std::vector<float> zeros(result == nullptr ? Parts::block : 0);
  std::vector<Sums> sums(contributions.members());
  std::vector<double> r(Parts::block);
  Bytes lots(Parts::block);
  for (std::size_t begin = 0; begin < contributions.size(); begin += Parts::block) {
    const std::size_t size = rows.read(begin);
    if (reduced) reduced->read(begin);
    const float* const from = reduced ? reduced->row(0) : zeros.data();
    rng.fill(MutableByteView(lots).first(size));
    for (std::size_t i = 0; i < sums.size(); ++i) {
      run_widest<subtract>(rows.row(i), from, r.data(), size);
      run_widest<add_squares>(static_cast<const double*>(r.data()), sums[i].squares.data(), size);
      run_baseline<scatter>(static_cast<const double*>(r.data()),
                            static_cast<const std::uint8_t*>(lots.data()), sums[i].by_byte.data(), size);
    }
  }
  std::vector<Deviation> found;
  found.reserve(sums.size());
  for (const Sums& sum : sums) found.push_back(finish(sum, tau));
  return found;
}

}  // namespace

std::vector<Deviation> deviations(const Parts& contributions, const Parts& result, const Digest& seed,
                                  double tau) {
  TESTUDO_CHECK(result.members() == 1 && result.size() == contributions.size());
  return deviations_from(contributions, &result, seed, tau);
}

Sketch sketch_of(const Parts& contribution, const Digest& seed) {
  TESTUDO_CHECK(contribution.members() == 1);
  return deviations_from(contribution, nullptr, seed, std::numeric_limits<double>::infinity()).front().sketch;
}

double sketch_distance(const Sketch& a, const Sketch& b) {
  const ScopedFloatEnvironment environment;
  double square = 0;
  for (std::size_t c = 0; c < sketch_size; ++c) {
    const double apart = static_cast<double>(a[c]) - static_cast<double>(b[c]);
    square += apart * apart;
  }
  return std::sqrt(square);
}

double distance_from(const Parts& contribution, std::span<const float> start) {
  TESTUDO_CHECK(contribution.members() == 1 && (start.empty() || start.size() == contribution.size()));
  const ScopedFloatEnvironment environment;
  const std::vector<float> zeros(start.empty() ? Parts::block : 0);
  PartsBlock rows(contribution);
  std::vector<double> r(Parts::block);
  std::array<double, lanes> squares{};
  for (std::size_t begin = 0; begin < contribution.size(); begin += Parts::block) {
    const std::size_t size = rows.read(begin);
    const float* const from = start.empty() ? zeros.data() : start.data() + begin;
    run_widest<subtract>(rows.row(0), from, r.data(), size);
    run_widest<add_squares>(static_cast<const double*>(r.data()), squares.data(), size);
  }
  return std::sqrt(tree(squares));
}

bool sums_to_nothing(std::span<const Deviation* const> reported, std::span<const double> weights,
                     const SumCheck& check) {
  const ScopedFloatEnvironment environment;
  TESTUDO_CHECK(reported.size() == weights.size());
  std::array<double, sketch_size> sum{};
  double lengths = 0;
  for (std::size_t i = 0; i < reported.size(); ++i) {
    for (std::size_t c = 0; c < sketch_size; ++c) {
      sum[c] += weights[i] * static_cast<double>(reported[i]->sketch[c]);
    }
    lengths += weights[i] * length(reported[i]->sketch);
  }
  double square = 0;
  for (const double value : sum) square += value * value;
  constexpr double float_rounding = 0x1p-23;  // of the sketches, each rounded to float
  const double bound =
      sketch_slack * (check.weights * check.coding + check.stop + check.unreported * check.tau) +
      float_rounding * lengths;
  return std::sqrt(square) <= bound;
}

ClippedSum clipped_sum(const Parts& contributions, const Parts& result, double tau) {
  const std::vector<Deviation> known = deviations(contributions, result, Digest{}, tau);
  const ScopedFloatEnvironment environment;
  PartsBlock rows(contributions);
  PartsBlock reduced(result);
  std::vector<double> r(Parts::block);
  std::vector<double> sum(Parts::block);
  std::array<double, lanes> squares{};
  for (std::size_t begin = 0; begin < contributions.size(); begin += Parts::block) {
    const std::size_t size = rows.read(begin);
    reduced.read(begin);
    std::ranges::fill(sum, 0.0);
    for (std::size_t i = 0; i < known.size(); ++i) {
      run_widest<subtract>(rows.row(i), reduced.row(0), r.data(), size);
      const double lambda = known[i].norm > tau ? tau / known[i].norm : 1.0;
      for (std::size_t k = 0; k < size; ++k) sum[k] += lambda * r[k];
    }
    run_widest<add_squares>(static_cast<const double*>(sum.data()), squares.data(), size);
  }
  ClippedSum found{std::sqrt(tree(squares)), 0};
  for (const Deviation& one : known) found.per_move += one.norm > 4 * tau ? 4 * tau / one.norm : 1.0;
  return found;
}

bool may_be_right(const ClippedSum& shown, const SumCheck& check) {
  constexpr double rounding = 1 + 0x1p-20;  // of λ, and of the sums
  return shown.length <= sketch_slack * (shown.per_move * check.coding + check.stop) +
                             rounding * check.unreported * check.tau;
}

bool is_plausible(const Deviation& deviation, double tau) {
  const ScopedFloatEnvironment environment;
  constexpr double float_rounding = 1 + 0x1p-20;
  return length(deviation.sketch) <= float_rounding * sketch_slack * std::min(deviation.norm, tau);
}

}  // namespace testudo::training
