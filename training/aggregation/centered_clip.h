// The clipped sum in Gram space: what CenteredClip solves, and geometric_median with a small τ. The iteration
// on n coefficients, apart from the passes over the data, and the two together.
//
// Specification (the rule "centered_clip" of rule.h)
// 1. The result v solves Σ w_i ψ_i = 0, ψ_i = λ_i (g_i − v), λ_i = min(1, τ / ‖g_i − v‖).
// 2. u_i = float(g_i − c), c the start. v = c + Σ a_i u_i, a = 0 at first (or as given). All norms follow
// from the matrix
//    G_ij = ⟨u_i, u_j⟩: with h = G a, ‖g_i − v‖² = max(0, G_ii − 2 h_i + Σ a_k h_k).
// 3. One reweighting: μ_i = w_i λ_i, M = Σ μ_i, a_i ← μ_i / M. It never increases Σ w_i ρ(‖g_i − v‖), ρ being
//    Huber's function, from any start and with any outliers; and it needs no more steps when the data or the
//    start are far, unlike the plain v ← v + (1/k) Σ ψ, which moves by τ at most.
// 4. The residual is that of the v at which ψ was taken: Σ w_i ψ_i = Σ e_i u_i with e_i = μ_i − M a_i, hence
//    √(eᵀ G e). Near the solution the e_i are small, so nothing cancels in it.
// 5. Stop when at least one reweighting was done and the residual is ≤ ε_stop. At the cap without it: not
//    converged (geometric_median is content with more there).
// 6. Cancellation: rule 2 subtracts numbers as great as m_i = (‖u_i‖ + Σ a_k ‖u_k‖)² to get ‖g_i − v‖².
//    Outliers do no harm (a_k ‖u_k‖ is about τ at most for them); a start far from everybody does. If
//    m_i > 2^24 · max(‖g_i − v‖², τ²) for some i, c becomes float(v), G is built again and the iteration
//    starts over, at most twice. Below that threshold λ_i keeps about eight digits. Honest training never
//    gets there.
// All sums over members run in roster order into one double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "training/aggregation/rule.h"

namespace testudo::training {

struct GramIteration {
  bool converged = false;
  std::vector<double> coefficients;  // a
  std::uint32_t iterations = 0;
  double residual = 0;
  bool recentre = false;  // rule 6
};

// gram is row-major n × n for n weights; `first` is a at first, empty for zeros. REQUIRES: tau > 0. Sets no
// float environment: the caller does.
GramIteration iterate_in_gram_space(std::span<const double> gram, std::span<const double> weights, double tau,
                                    double stop, std::uint32_t iteration_cap, std::vector<double> first = {});

struct ClippedSum {
  std::span<const float> centre;  // c; empty: zeros
  std::vector<double> gram;       // of the parts minus c
  std::vector<double> first;      // a at first; empty: zeros
  double tau = 0;                 // > 0
  double stop = 0;
  double stop_at_cap = 0;  // ≥ stop: a residual that is enough where the cap is reached
  std::uint32_t iteration_cap = 0;
};

// Rules 1 to 6. Not converged, too, when differences are beyond the range of float: no member's values do
// that below g_max = 2^126. REQUIRES: at least one member. Sets no float environment: the caller does.
Aggregate solve_clipped_sum(const Parts& parts, std::span<const double> weights, ClippedSum problem,
                            const BlockSink& sink);

}  // namespace testudo::training
