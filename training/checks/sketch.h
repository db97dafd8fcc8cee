// Deviations of contributions from a result, and their count-sketches: with them everybody checks a result
// that somebody else reduced, at the cost of some numbers a member instead of its contribution. Pure
// functions; any thread.
//
// Specification, for one part with values k = 0, 1, …, result v, contribution g, radius τ and a seed that
// nobody knew when g and v were committed to:
// 1. r_k = g_k − v_k in double, rounded once.
// 2. norm = √Σ r_k²: 16 lanes of double, value k to lane k mod 16, ascending; then the tree of
//    arithmetic/reproducible.h.
// 3. b_k is byte k of the ChaCha20 stream of the seed. A_b = Σ r_k over all k with b_k = b, ascending, in
// double.
// 4. λ = 1 if norm ≤ τ, τ / norm otherwise; ψ = λ r. Bucket c of the sketch of ψ, 0 ≤ c < 64:
//    s_c = float(λ · (((A_c + A_{64+c}) − A_{128+c}) − A_{192+c})), within ±FLT_MAX.
// So every value has a bucket and a sign, drawn alike for all contributions: sketches add up like the vectors
// (Charikar, Chen & Farach-Colton 2002), E‖s‖² = ‖ψ‖², and ‖s‖² stays within a few √(2/64) ‖ψ‖² of it.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "crypto/base/bytes.h"
#include "training/aggregation/parts.h"

namespace testudo::training {

inline constexpr std::size_t sketch_size = 64;
using Sketch = std::array<float, sketch_size>;

struct Deviation {
  double norm = 0;  // ‖g − v‖
  Sketch sketch{};  // of ψ
  bool operator==(const Deviation&) const = default;
};

// One a member of `contributions`, against the only member of `result`. Two passes' worth of reading, blocks
// stay in the cache. REQUIRES: parts of one size, decoded values; tau > 0, infinity allowed.
std::vector<Deviation> deviations(const Parts& contributions, const Parts& result, const Digest& seed,
                                  double tau);

// The count-sketch of one part itself, not of what it deviates by: rules 3 and 4 with v = 0 and τ = ∞.
// REQUIRES: one member.
Sketch sketch_of(const Parts& contribution, const Digest& seed);

// ‖a − b‖: about as far as what they were drawn from is apart, where that was by one seed.
double sketch_distance(const Sketch& a, const Sketch& b);

// ‖g − start‖ of one part, in the order of rule 2; an empty start is zeros.
double distance_from(const Parts& contribution, std::span<const float> start);

// Whether the sketches of C_j sum to what an honest result leaves.
//
// An honest reducer stops at ‖Σ w_i ψ_i‖ ≤ ε_stop; rounding and coding v move every ψ_i by at most q, because
// clipping does not lengthen differences. So ‖Σ w_i ψ_i‖ ≤ W q + ε_stop, and its sketch is κ times as long
// only by bad luck. Of a member that reports nothing, ‖ψ_i‖ ≤ τ is known. A failed check proves nothing: the
// part is then reduced again from the committed bytes, and that decides.
struct SumCheck {
  double weights = 0;     // W: of all members of C_j
  double unreported = 0;  // of those whose sketch is unknown
  double tau = 0;
  double coding = 0;  // q: bound of ‖v − decoded v‖
  double stop = 0;    // ε_stop
};
// κ: P(‖s‖ > 2‖ψ‖) needs more than four times the expected square, seventeen standard deviations away.
inline constexpr double sketch_slack = 2;
bool sums_to_nothing(std::span<const Deviation* const> reported, std::span<const double> weights,
                     const SumCheck& check);

// Of contributions that are known, without sketches; two more passes than deviations().
struct ClippedSum {
  double length = 0;  // ‖Σ ψ_i‖
  // By how much that changes at most when v moves by 1. Clipping does not lengthen differences, and what is
  // much longer than τ turns little: ‖ψ(r + δ) − ψ(r)‖ ≤ ‖δ‖ · min(1, 4τ / ‖r‖).
  double per_move = 0;
};
ClippedSum clipped_sum(const Parts& contributions, const Parts& result, double tau);

// Whether a result may be right, given that sum of the contributions that were shown: the others, which are
// `unreported`, can make up for τ each. Beyond that no contributions give it: this proves.
bool may_be_right(const ClippedSum& shown, const SumCheck& check);

// Whether a report is possible at all: ‖s‖ ≤ κ · min(norm, τ).
bool is_plausible(const Deviation& deviation, double tau);

}  // namespace testudo::training
