// CenteredClip in Gram space: the iteration on n coefficients, apart from the passes over the data.
//
// Specification (PROTOCOL section 3; the rule "centered_clip" of rule.h):
// 1. The result v solves Σ w_i ψ_i = 0, ψ_i = λ_i (g_i − v), λ_i = min(1, τ / ‖g_i − v‖).
// 2. u_i = float(g_i − c), c the start. v = c + Σ a_i u_i, a = 0 at first. All norms follow from G = ⟨u_i,
// u_j⟩:
//      h = G a,  ‖g_i − v‖² = max(0, G_ii − 2 h_i + Σ a_k h_k).
// 3. One reweighting: μ_i = w_i λ_i, M = Σ μ_i, a_i ← μ_i / M. It never increases Σ w_i ρ(‖g_i − v‖) (ρ
// Huber's), from
//    any start, with any outliers, and its speed does not depend on the scale of the data, unlike v ← v +
//    (1/k) Σ ψ.
// 4. The residual is that of the v at which ψ was taken: Σ w_i ψ_i = Σ e_i u_i, e_i = μ_i − M a_i, hence √(eᵀ
// G e).
//    Small e make this accurate where a difference of two norms would not be.
// 5. Stop when at least one reweighting was done and the residual is ≤ ε_stop; at the cap without it: not
// converged.
// 6. Cancellation: step 2 subtracts numbers as great as m_i = (‖u_i‖ + Σ a_k ‖u_k‖)² to get ‖g_i − v‖².
// Outliers do no
//    harm (a_k ‖u_k‖ is at most about τ for them), a start far from everybody does. If m_i > 2^24 · max(‖g_i
//    − v‖², τ²) for some i (ten digits are left below that), c becomes float(v), G is built again and the
//    iteration starts over, at most twice. In honest training this does not happen.
// All sums over members run in roster order, one double accumulator.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace testudo::training {

struct GramIteration {
  bool converged = false;
  std::vector<double> coefficients;  // a
  std::uint32_t iterations = 0;
  double residual = 0;
  bool recentre = false;  // rule 6
};

// gram is row-major n × n for n weights. REQUIRES: tau > 0. Sets no float environment: the caller does.
GramIteration iterate_in_gram_space(std::span<const double> gram, std::span<const double> weights, double tau,
                                    double stop, std::uint32_t iteration_cap);

}  // namespace testudo::training
