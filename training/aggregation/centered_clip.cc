#include "training/aggregation/centered_clip.h"

#include <algorithm>
#include <cmath>

#include "training/aggregation/combine.h"
#include "training/aggregation/gram.h"
#include "training/aggregation/rules.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr double greatest_magnification = 0x1p24;
constexpr int greatest_recentrings = 2;

// h = G a, columns in roster order (G is symmetric, so its rows serve as columns).
void multiply(std::span<const double> gram, std::span<const double> a, std::vector<double>& h) {
  const std::size_t n = a.size();
  std::ranges::fill(h, 0.0);
  for (std::size_t k = 0; k < n; ++k) {
    const double* const row = gram.data() + k * n;
    for (std::size_t i = 0; i < n; ++i) h[i] += row[i] * a[k];
  }
}

double inner(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::vector<double> deviations_from_centre(std::span<const double> gram, std::size_t n) {
  std::vector<double> deviations(n);
  for (std::size_t i = 0; i < n; ++i) deviations[i] = std::sqrt(gram[i * n + i]);
  return deviations;
}

bool all_finite(std::span<const double> gram) {
  return std::ranges::all_of(gram, [](double entry) { return std::isfinite(entry); });
}

bool cancels(std::span<const double> gram, std::span<const double> a, std::span<const double> squares,
             double tau) {
  const std::vector<double> lengths = deviations_from_centre(gram, a.size());
  const double reach = inner(a, lengths);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double sum = lengths[i] + reach;
    if (sum * sum > greatest_magnification * std::max(squares[i], tau * tau)) return true;
  }
  return false;
}

class CenteredClip final : public AggregationRule {
 public:
  explicit CenteredClip(const RuleOptions& options) : options_(options) {}
  std::string_view name() const override { return "centered_clip"; }
  bool solves_clipped_sum() const override { return true; }
  bool uses_start() const override { return true; }
  Aggregate aggregate(const AggregationInput& input, const BlockSink& sink) const override;

 private:
  RuleOptions options_;
};

Aggregate CenteredClip::aggregate(const AggregationInput& input, const BlockSink& sink) const {
  const ScopedFloatEnvironment environment;
  check_input(input);
  if (input.parts.members() == 0) return {};
  const std::size_t n = input.parts.members();

  std::vector<double> gram = gram_matrix(input.parts, input.start);
  const std::vector<double> deviations = deviations_from_centre(gram, n);
  const double greatest = *std::ranges::max_element(deviations);
  if (!all_finite(gram)) return {};
  double tau = input.tau > 0 ? input.tau : automatic_tau(deviations, input.weights);
  if (!(tau > 0)) tau = 1;  // automatic, and everybody sent the start: nothing to clip

  double total = 0;
  for (const double weight : input.weights) total += weight;
  const double stop = options_.relative_stop * total * std::min(tau, greatest) + options_.absolute_stop;
  return solve_clipped_sum(input.parts, input.weights,
                           {.centre = input.start,
                            .gram = std::move(gram),
                            .tau = tau,
                            .stop = stop,
                            .stop_at_cap = stop,
                            .iteration_cap = options_.iteration_cap},
                           sink);
}

}  // namespace

GramIteration iterate_in_gram_space(std::span<const double> gram, std::span<const double> weights, double tau,
                                    double stop, std::uint32_t iteration_cap, std::vector<double> first) {
  const std::size_t n = weights.size();
  GramIteration out;
  out.coefficients = std::move(first);
  out.coefficients.resize(n);
  std::vector<double>& a = out.coefficients;
  std::vector<double> h(n);
  std::vector<double> reweighted(n);
  std::vector<double> error(n);
  std::vector<double> squares(n);
  for (;; ++out.iterations) {
    multiply(gram, a, h);
    const double square_of_v = inner(a, h);
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      squares[i] = std::max(0.0, gram[i * n + i] - 2 * h[i] + square_of_v);
      const double length = std::sqrt(squares[i]);
      const double lambda = length > tau ? tau / length : 1.0;
      reweighted[i] = weights[i] * lambda;
      total += reweighted[i];
    }
    for (std::size_t i = 0; i < n; ++i) error[i] = reweighted[i] - total * a[i];
    multiply(gram, error, h);
    out.residual = std::sqrt(std::max(0.0, inner(error, h)));
    out.converged = out.iterations > 0 && out.residual <= stop;
    if (out.converged || out.iterations == iteration_cap) break;
    for (std::size_t i = 0; i < n; ++i) a[i] = reweighted[i] / total;
  }
  out.recentre = cancels(gram, a, squares, tau);
  return out;
}

Aggregate solve_clipped_sum(const Parts& parts, std::span<const double> weights, ClippedSum problem,
                            const BlockSink& sink) {
  Aggregate result{.tau = problem.tau};
  std::vector<float> recentred;
  for (int recentrings = 0;; ++recentrings) {
    if (!all_finite(problem.gram)) {
      result.converged = false;
      return result;
    }
    const GramIteration found = iterate_in_gram_space(problem.gram, weights, problem.tau, problem.stop,
                                                      problem.iteration_cap, std::move(problem.first));
    result.iterations += found.iterations;
    result.residual = found.residual;
    result.converged = found.converged || found.residual <= problem.stop_at_cap;
    result.stop = found.converged ? problem.stop : problem.stop_at_cap;
    const bool again = found.recentre && recentrings < greatest_recentrings;
    if (!result.converged && !again) return result;
    if (!again) {
      combine(parts, found.coefficients, problem.centre, 1.0, sink);
      return result;
    }
    std::vector<float> value(parts.size());
    combine(parts, found.coefficients, problem.centre, 1.0,
            [&value](std::size_t begin, std::span<const float> block) {
              std::ranges::copy(block, value.begin() + static_cast<std::ptrdiff_t>(begin));
            });
    recentred = std::move(value);
    problem.centre = recentred;
    problem.gram = gram_matrix(parts, problem.centre);
    problem.first = {};
  }
}

std::unique_ptr<const AggregationRule> make_centered_clip(const RuleOptions& options) {
  return std::make_unique<CenteredClip>(options);
}

}  // namespace testudo::training
