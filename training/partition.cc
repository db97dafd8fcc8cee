#include "training/partition.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "crypto/base/check.h"
#include "crypto/rng.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

constexpr int bisection_steps = 200;

bool reduces(const ReducerCapacity& member) { return !member.client_mode && member.bandwidth > 0; }

std::size_t count_reducers(std::span<const ReducerCapacity> roster) {
  return static_cast<std::size_t>(std::ranges::count_if(roster, reduces));
}

double share_cap(std::size_t members, std::size_t reducers) {
  return std::max(2.0 / static_cast<double>(members), 1.0 / static_cast<double>(reducers));
}

std::vector<double> shares_at(double xi, double cap, std::span<const ReducerCapacity> roster) {
  const double others = static_cast<double>(roster.size()) - 2;
  std::vector<double> shares(roster.size());
  for (std::size_t j = 0; j < roster.size(); ++j) {
    if (!reduces(roster[j])) continue;
    const double raw = (xi * static_cast<double>(roster[j].bandwidth) - 1) / others;
    shares[j] = std::clamp(raw, 0.0, cap);
  }
  return shares;
}

double sum_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

std::vector<PartRange> lay_out(std::span<const std::size_t> sizes, const Digest& seed) {
  std::vector<PartRange> parts;
  std::size_t begin = 0;
  for (const std::uint32_t member : permuted_order(seed, sizes.size())) {
    if (sizes[member] == 0) continue;
    parts.push_back({begin, sizes[member], member});
    begin += sizes[member];
  }
  return parts;
}

// The equal cut asks only who can be reached.
bool reachable(const ReducerCapacity& member) { return !member.client_mode; }

template <typename Predicate>
Result<void> check_roster(std::span<const ReducerCapacity> roster, Predicate can_reduce) {
  if (roster.size() > partition_member_limit) {
    return fail(ErrorCode::limit, "partition: " + std::to_string(roster.size()) + " members, the limit is " +
                                      std::to_string(partition_member_limit));
  }
  if (std::ranges::none_of(roster, can_reduce))
    return fail(ErrorCode::refused, "partition: no member can reduce");
  return {};
}

}  // namespace

std::vector<std::uint32_t> permuted_order(const Digest& seed, std::size_t count) {
  TESTUDO_CHECK(count <= partition_member_limit);
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  crypto::SeededRng rng(seed);
  rng.shuffle(order);
  return order;
}

std::vector<double> bandwidth_shares(std::span<const ReducerCapacity> roster) {
  const ScopedFloatEnvironment environment;
  const std::size_t reducers = count_reducers(roster);
  std::vector<double> shares(roster.size());
  if (reducers == 0) return shares;
  if (roster.size() <= 2) {
    double total = 0;
    for (const auto& member : roster) total += reduces(member) ? static_cast<double>(member.bandwidth) : 0.0;
    for (std::size_t j = 0; j < roster.size(); ++j) {
      if (reduces(roster[j])) shares[j] = static_cast<double>(roster[j].bandwidth) / total;
    }
    return shares;
  }
  const double cap = share_cap(roster.size(), reducers);
  double slowest = HUGE_VAL;
  for (const auto& member : roster) {
    if (reduces(member)) slowest = std::min(slowest, static_cast<double>(member.bandwidth));
  }
  double low = 0;
  double high =
      2 * (1 + (static_cast<double>(roster.size()) - 2) * cap) / slowest;  // 2: no rounding can spoil it
  for (int step = 0; step < bisection_steps; ++step) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (sum_of(shares_at(middle, cap, roster)) >= 1 ? high : low) = middle;
  }
  return shares_at(high, cap, roster);
}

std::vector<std::size_t> round_shares(std::size_t values, std::span<const double> shares) {
  TESTUDO_CHECK(values < std::size_t{1} << 40);  // products below stay exact enough in double
  const ScopedFloatEnvironment environment;
  std::vector<std::size_t> sizes(shares.size());
  std::vector<double> remainders(shares.size());
  std::vector<std::size_t> order;
  for (std::size_t j = 0; j < shares.size(); ++j) {
    if (shares[j] > 0) order.push_back(j);
  }
  if (order.empty()) return sizes;
  const std::size_t cap = std::max(2 * values / shares.size(), (values + order.size() - 1) / order.size());
  std::size_t given = 0;
  for (const std::size_t j : order) {
    const double exact = shares[j] * static_cast<double>(values);
    sizes[j] = std::min(static_cast<std::size_t>(exact), cap);
    remainders[j] = exact - std::floor(exact);
    given += sizes[j];
  }
  std::ranges::sort(order, {}, [&](std::size_t j) { return std::pair(-remainders[j], j); });
  // Room for all is certain: cap · order.size() ≥ values.
  for (std::size_t turn = 0; given < values; turn = (turn + 1) % order.size()) {
    std::size_t& size = sizes[order[turn]];
    if (size >= cap) continue;
    ++size;
    ++given;
  }
  for (std::size_t turn = order.size(); given > values; turn = turn == 1 ? order.size() : turn - 1) {
    std::size_t& size = sizes[order[turn - 1]];
    if (size == 0) continue;
    --size;
    --given;
  }
  return sizes;
}

Result<std::vector<PartRange>> partition_equal(std::size_t values, std::span<const ReducerCapacity> roster,
                                               const Digest& seed) {
  TRY_VOID(check_roster(roster, reachable));
  const ScopedFloatEnvironment environment;
  const double share = 1.0 / static_cast<double>(std::ranges::count_if(roster, reachable));
  std::vector<double> shares(roster.size());
  for (std::size_t j = 0; j < roster.size(); ++j) shares[j] = reachable(roster[j]) ? share : 0.0;
  return lay_out(round_shares(values, shares), seed);
}

Result<std::vector<PartRange>> partition_by_bandwidth(std::size_t values,
                                                      std::span<const ReducerCapacity> roster,
                                                      const Digest& seed) {
  TRY_VOID(check_roster(roster, reduces));
  return lay_out(round_shares(values, bandwidth_shares(roster)), seed);
}

}  // namespace testudo::training
