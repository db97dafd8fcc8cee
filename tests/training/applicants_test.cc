#include "training/round/applicants.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "crypto/hash.h"
#include "crypto/rng.h"
#include "tests/repetitions.h"
#include "training/round/payloads.h"

namespace testudo::training {
namespace {

using swarm::Admission;
using swarm::PeerId;
using namespace std::chrono_literals;

constexpr std::size_t flood_size = 10'000;

// Names need no key for this.
std::vector<Admission> make_applications(std::size_t count, crypto::Rng& rng) {
  std::vector<Admission> applications;
  for (std::size_t i = 0; i < count; ++i) {
    ByteArray<32> raw{};
    rng.fill(raw);
    applications.push_back({PeerId(crypto::PublicKey(raw)), i % 3 == 0});
  }
  return applications;
}

Digest beacon_of(std::uint64_t round, std::uint64_t seed) {
  return crypto::Hasher("test/beacon").integer(round).integer(seed).finish();
}

bool anybody(const PeerId&) { return true; }

bool is_among(const std::vector<Admission>& all, const Admission& one) {
  return std::ranges::find(all, one) != all.end();
}

// A round of a second in which all apply, in this order; who is listed when the next one begins.
std::vector<Admission> listed_after_a_round(Applicants& applicants, const std::vector<Admission>& all,
                                            std::uint64_t round, std::uint64_t seed) {
  const net::TimePoint begin = net::TimePoint{} + round * 1s;
  for (const Admission& application : all) applicants.hear(application, begin, beacon_of(round, seed));
  applicants.forget_silent(begin + 1s);
  return applicants.draw(application_limit, begin + 1s, beacon_of(round + 1, seed), anybody);
}

TEST_CASE("among 10,000 that came before it an applicant is listed within the rounds that its lot takes") {
  constexpr std::size_t expected = (flood_size + 1) / application_limit + 1;
  std::size_t rounds = 0;
  const std::uint64_t seeds_run = seeds(2);
  for (std::uint64_t seed = 0; seed < seeds_run; ++seed) {
    CAPTURE(seed);
    crypto::SeededRng rng(seed);
    auto all = make_applications(flood_size, rng);
    all.push_back(make_applications(1, rng).front());
    Applicants applicants;
    // The flood has every place before the honest one comes.
    auto listed = listed_after_a_round(applicants, {all.begin(), all.end() - 1}, 0, seed);
    REQUIRE(listed.size() == application_limit);
    std::size_t waited = 0;
    while (!is_among(listed, all.back()) && waited < 6 * expected) {
      listed = listed_after_a_round(applicants, all, ++waited, seed);
      CHECK(listed.size() == application_limit);
    }
    CHECK(waited < 6 * expected);  // one seed in 400 takes longer
    rounds += waited;
  }
  CHECK(rounds < 3 * expected * seeds_run);
}

TEST_CASE("everybody has the same share of the places, whenever it came") {
  crypto::SeededRng rng(std::uint64_t{5});
  const auto all = make_applications(2'000, rng);
  constexpr std::size_t late = 200;
  Applicants applicants;
  std::size_t of_late = 0;
  constexpr std::uint64_t rounds = 100;
  const std::vector<Admission> latecomers(all.end() - late, all.end());
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (const Admission& one : listed_after_a_round(applicants, all, round, 1)) {
      of_late += is_among(latecomers, one);
    }
  }
  // 640 of 6,400, with a standard deviation of 24.
  CHECK(of_late > 640 - 4 * 24);
  CHECK(of_late < 640 + 4 * 24);
}

TEST_CASE("members that hear the same applications in any order list the same, others with each beacon") {
  crypto::SeededRng rng(std::uint64_t{6});
  auto all = make_applications(1'000, rng);
  Applicants one;
  Applicants other;
  const auto first = listed_after_a_round(one, all, 1, 1);
  std::ranges::reverse(all);
  CHECK(listed_after_a_round(other, all, 1, 1) == first);
  CHECK(std::ranges::is_sorted(first, {}, &Admission::peer));
  const auto second = listed_after_a_round(one, all, 2, 1);
  std::vector<Admission> both;
  for (const Admission& listed : first) {
    if (is_among(second, listed)) both.push_back(listed);
  }
  CHECK(both.size() < 16);  // 4 are expected
}

TEST_CASE("who does not repeat its application, takes it back or may have no seat is not listed") {
  crypto::SeededRng rng(std::uint64_t{7});
  const auto all = make_applications(3, rng);
  const net::TimePoint start{};
  Applicants applicants;
  for (const Admission& application : all) applicants.hear(application, start, beacon_of(1, 1));
  const auto draw = [&](net::Duration after, auto eligible) {
    return applicants.draw(10, start + after, beacon_of(2, 1), eligible);
  };
  CHECK(draw(0s, anybody).size() == 3);
  CHECK(draw(0s, [&](const PeerId& peer) { return peer != all[0].peer; }).size() == 2);
  applicants.forget(all[1].peer);
  CHECK(draw(0s, anybody).size() == 2);
  // By another beacon than it was remembered by.
  applicants.hear({all[0].peer, !all[0].client_mode}, start + 4s, beacon_of(2, 1));
  const auto after = draw(6s, anybody);
  REQUIRE(after.size() == 1);
  CHECK(after[0] == Admission{all[0].peer, !all[0].client_mode});
  applicants.forget(all[0].peer);
  CHECK(draw(4s, anybody).size() == 1);
  applicants.forget_silent(start + 6s);
  CHECK(draw(4s, anybody).empty());
}

}  // namespace
}  // namespace testudo::training
