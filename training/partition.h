// Partition: which values each reducer reduces in a round. A pure function of agreed inputs: everybody
// computes it alone and gets the same cut; nobody's claim about the cut is ever believed.
//
// Specification
// 1. Shares p_j (fractions of the values), one a member, Σ p_j = 1. A member in client mode (no inbound
//    connectivity) has share 0.
//    Equal: every other member the same, whatever its bandwidth.
//    By bandwidth (DeDLOC): minimise ξ subject to ξ ≥ (1 + (n−2) p_j) / b_j, so
//    p_j(ξ) = clamp((ξ b_j − 1)/(n−2), 0, cap), n counting clients too; bandwidth 0 counts as client mode.
//    ξ by bisection from [0, twice the ξ at which the slowest is at the cap]: 200 halvings, or until no
//    double lies inside; the upper end is taken, so Σ p_j(ξ) ≥ 1. n ≤ 2: p ∝ b.
// 2. Cap: no reducer holds more than 2/n of the values (nobody owns much of the model by claiming
//    bandwidth) where that is feasible; with r < n/2 reducers the cap is 1/r.
// 3. Rounding to whole values: size_j = min(⌊p_j d⌋, cap values), cap values = max(⌊2d/n⌋, ⌈d/s⌉), s the
//    members with a positive share (s ≥ n/2 by rule 2, so the cap is exceeded by less than one value). What
//    is left over goes one by one to the members with a positive share, by descending remainder p_j d − ⌊p_j
//    d⌋, ties to the earlier in the roster, round after round, skipping who is at the cap. Should the sizes
//    exceed d, values are taken away one by one in the opposite order.
// 4. Order: the members are shuffled by the seed (from the last beacon), and ranges are laid out one after
//    another in that order. Nobody owns the same layer twice by choosing an id.
//
// Threads: pure, callable from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/base/strong.h"

namespace testudo::training {

// More members than one group has by far; bounds what a hostile manifest can make us allocate.
inline constexpr std::size_t partition_member_limit = 4096;

// As agreed for the round, in roster order.
struct ReducerCapacity {
  std::uint64_t bandwidth = 0;  // bytes a second, measured by others; any unit, only ratios and the 1 matter
  bool client_mode = false;
};

using PartIndex = Strong<struct PartIndexTag, std::uint32_t>;

struct PartRange {
  std::size_t begin = 0;
  std::size_t size = 0;       // > 0: a member without values has no part
  std::uint32_t reducer = 0;  // index in the roster
  bool operator==(const PartRange&) const = default;
};

// A permutation of 0 … count − 1. The order of replacement for a silent reducer is the same one, so it is
// public.
std::vector<std::uint32_t> permuted_order(const Digest& seed, std::size_t count);

// The parts by ascending begin; they cover [0, values) exactly. refused: nobody can reduce.
Result<std::vector<PartRange>> partition_equal(std::size_t values, std::span<const ReducerCapacity> roster,
                                               const Digest& seed);
Result<std::vector<PartRange>> partition_by_bandwidth(std::size_t values,
                                                      std::span<const ReducerCapacity> roster,
                                                      const Digest& seed);

// The steps, for tests and reports.
std::vector<double> bandwidth_shares(std::span<const ReducerCapacity> roster);
std::vector<std::size_t> round_shares(std::size_t values, std::span<const double> shares);

}  // namespace testudo::training
