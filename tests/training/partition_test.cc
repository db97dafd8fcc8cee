#include "training/partition.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "support.h"

using namespace testudo;
using namespace testudo::training;

namespace {

Digest seed_of(std::uint8_t number) {
  Digest seed{};
  seed[0] = number;
  return seed;
}

std::vector<ReducerCapacity> with_bandwidths(std::initializer_list<std::uint64_t> bandwidths) {
  std::vector<ReducerCapacity> roster;
  for (const auto bandwidth : bandwidths) roster.push_back({.bandwidth = bandwidth});
  return roster;
}

void check_covers(std::span<const PartRange> parts, std::size_t values) {
  std::size_t next = 0;
  for (const auto& part : parts) {
    REQUIRE(part.begin == next);
    REQUIRE(part.size > 0);
    next += part.size;
  }
  REQUIRE(next == values);
}

// DeDLOC's objective: the time of the slowest member.
double cost(std::span<const ReducerCapacity> roster, std::span<const double> shares) {
  double worst = 0;
  for (std::size_t j = 0; j < roster.size(); ++j) {
    if (roster[j].client_mode || roster[j].bandwidth == 0) continue;
    const double others = static_cast<double>(roster.size()) - 2;
    worst = std::max(worst, (1 + others * shares[j]) / static_cast<double>(roster[j].bandwidth));
  }
  return worst;
}

}  // namespace

TEST_CASE("equal parts cover the vector and differ by one value at most") {
  for (const std::size_t members : {1UL, 2UL, 3UL, 16UL, 64UL}) {
    for (const std::size_t values : {0UL, 1UL, 63UL, 64UL, 100'003UL}) {
      const std::vector<ReducerCapacity> roster(members, {.bandwidth = 5});
      const auto parts = partition_equal(values, roster, seed_of(1));
      REQUIRE(parts.has_value());
      check_covers(*parts, values);
      for (const auto& part : *parts) {
        CHECK(part.size >= values / members);
        CHECK(part.size <= (values + members - 1) / members);
      }
    }
  }
}

TEST_CASE("members in client mode reduce nothing, and without bandwidth only where bandwidth counts") {
  std::vector<ReducerCapacity> roster(6, {.bandwidth = 100});
  roster[1].client_mode = true;
  roster[4].bandwidth = 0;
  const auto equal = partition_equal(1000, roster, seed_of(2));
  const auto weighted = partition_by_bandwidth(1000, roster, seed_of(2));
  REQUIRE(equal.has_value());
  REQUIRE(weighted.has_value());
  check_covers(*equal, 1000);
  check_covers(*weighted, 1000);
  CHECK(equal->size() == 5);
  CHECK(weighted->size() == 4);
  for (const auto& part : *equal) CHECK(part.reducer != 1);
  for (const auto& part : *weighted) CHECK((part.reducer != 1 && part.reducer != 4));
}

TEST_CASE("a roster in which nobody can reduce is refused") {
  const std::vector<ReducerCapacity> roster(3, {.bandwidth = 1, .client_mode = true});
  for (const auto cut : {partition_equal, partition_by_bandwidth}) {
    const auto parts = cut(10, roster, seed_of(1));
    REQUIRE(!parts.has_value());
    CHECK(parts.error().code == ErrorCode::refused);
    CHECK(!cut(10, std::vector<ReducerCapacity>(partition_member_limit + 1, {.bandwidth = 1}), seed_of(1)));
  }
}

TEST_CASE("equal bandwidths give equal parts") {
  const std::vector<ReducerCapacity> roster(16, {.bandwidth = 12'500'000});
  const auto parts = partition_by_bandwidth(160'000, roster, seed_of(3));
  REQUIRE(parts.has_value());
  for (const auto& part : *parts) CHECK(part.size == 10'000);
}

TEST_CASE("shares minimise the time of the slowest member") {
  // Small moves of share between two members below the cap never help.
  const auto roster = with_bandwidths({200, 200, 100, 100, 100, 50, 60, 170});
  const auto shares = bandwidth_shares(roster);
  CHECK(std::accumulate(shares.begin(), shares.end(), 0.0) == doctest::Approx(1).epsilon(1e-12));
  const double best = cost(roster, shares);
  for (std::size_t from = 0; from < roster.size(); ++from) {
    for (std::size_t to = 0; to < roster.size(); ++to) {
      auto moved = shares;
      const double amount = std::min(0.01, moved[from]);
      moved[from] -= amount;
      moved[to] += amount;
      if (from != to && moved[to] <= 0.25) CHECK(cost(roster, moved) >= best - 1e-12);
    }
  }
}

TEST_CASE("shares match the closed form worked out by hand") {
  // n = 3: p_j = ξ b_j − 1, Σ p = 1 → ξ = 4 / Σ b, all inside [0, 2/3].
  const auto shares = bandwidth_shares(with_bandwidths({4, 5, 3}));
  CHECK(shares[0] == doctest::Approx(4.0 * 4 / 12 - 1));
  CHECK(shares[1] == doctest::Approx(4.0 * 5 / 12 - 1));
  CHECK(shares[2] == doctest::Approx(0));
  // hivemind's fixture (.55, .44, .40), 60 values: the exact optimum before its minimum of 10 values.
  const auto sizes = round_shares(60, bandwidth_shares(with_bandwidths({55, 44, 40})));
  CHECK(sizes == std::vector<std::size_t>{35, 16, 9});
}

TEST_CASE("two members split by bandwidth and one takes all") {
  CHECK(round_shares(400, bandwidth_shares(with_bandwidths({300, 100}))) ==
        std::vector<std::size_t>{300, 100});
  CHECK(round_shares(400, bandwidth_shares(with_bandwidths({7}))) == std::vector<std::size_t>{400});
}

TEST_CASE("nobody holds more than 2/n of the values where that is feasible") {
  auto roster = with_bandwidths({1'000'000'000, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  const auto parts = partition_by_bandwidth(1000, roster, seed_of(4));
  REQUIRE(parts.has_value());
  check_covers(*parts, 1000);
  for (const auto& part : *parts) CHECK(part.size <= 200);
  // With three reducers of ten it is not: then each holds a third.
  for (std::size_t j = 3; j < 10; ++j) roster[j].client_mode = true;
  const auto few = partition_by_bandwidth(999, roster, seed_of(4));
  REQUIRE(few.has_value());
  check_covers(*few, 999);
  for (const auto& part : *few) CHECK(part.size == 333);
}

TEST_CASE("hostile and random bandwidths always give a cover within the cap") {
  crypto::SeededRng rng(std::uint64_t{5});
  for (int trial = 0; trial < 2000; ++trial) {
    CAPTURE(trial);
    std::vector<ReducerCapacity> roster(1 + rng.below(64));
    for (auto& member : roster) {
      member.bandwidth = rng.next_u64() >> rng.below(64);
      member.client_mode = rng.below(4) == 0;
    }
    roster[rng.below(roster.size())] = {.bandwidth = 1 + (rng.next_u64() >> 1)};
    const std::size_t values = rng.below(100'000);
    const auto reducers = static_cast<std::size_t>(
        std::ranges::count_if(roster, [](const auto& m) { return !m.client_mode && m.bandwidth > 0; }));
    const std::size_t cap =
        std::max((2 * values + roster.size() - 1) / roster.size(), (values + reducers - 1) / reducers);
    for (const auto cut : {partition_equal, partition_by_bandwidth}) {
      const auto parts = cut(values, roster, seed_of(static_cast<std::uint8_t>(trial)));
      REQUIRE(parts.has_value());
      check_covers(*parts, values);
      for (const auto& part : *parts) REQUIRE(part.size <= cap);
    }
  }
}

TEST_CASE("the seed decides who owns which layer, and everybody computes the same") {
  const std::vector<ReducerCapacity> roster(16, {.bandwidth = 10});
  const auto first = *partition_equal(16'000, roster, seed_of(1));
  CHECK(first == *partition_equal(16'000, roster, seed_of(1)));
  CHECK(first != *partition_equal(16'000, roster, seed_of(2)));
  std::vector<int> owned(16);
  for (int round = 0; round < 200; ++round) {
    const auto parts = *partition_equal(16'000, roster, seed_of(static_cast<std::uint8_t>(round)));
    ++owned[parts.front().reducer];
  }
  for (const int count : owned) CHECK(count < 40);
  auto order = permuted_order(seed_of(1), 16);
  CHECK(order != permuted_order(seed_of(2), 16));
  for (std::size_t j = 0; j < 16; ++j) CHECK(first[j].reducer == order[j]);
  std::ranges::sort(order);
  for (std::uint32_t j = 0; j < 16; ++j) CHECK(order[j] == j);
}

TEST_CASE("leftover values go to the greatest remainders, ties to the earlier in the roster") {
  CHECK(round_shares(10, std::vector<double>{0.25, 0.25, 0.25, 0.25}) ==
        std::vector<std::size_t>{3, 3, 2, 2});
  CHECK(round_shares(10, std::vector<double>{0.31, 0.0, 0.34, 0.35}) == std::vector<std::size_t>{3, 0, 3, 4});
}
