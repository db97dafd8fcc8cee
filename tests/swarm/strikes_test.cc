#include "swarm/strikes.h"

#include <functional>
#include <map>
#include <set>

#include "crypto/rng.h"
#include "swarm/roster.h"
#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;

namespace {

constexpr auto challenged = StrikeReason::answered_challenge;

// Strikes between members by their numbers, ascending by id; nobody's number stands for alone.
constexpr std::size_t nobody = 1000;
struct Pair {
  std::uint64_t round = 1;
  std::size_t peer = 0;
  std::size_t other = nobody;
};

struct Members {
  std::vector<PeerId> ids;

  explicit Members(std::size_t count) : ids(ids_of(make_keys(count))) {}

  std::vector<PastStrike> strikes(const std::vector<Pair>& pairs) const {
    std::vector<PastStrike> out;
    for (const Pair& pair : pairs) {
      Strike strike{ids[pair.peer], StrikeReason::silent_validator, std::nullopt};
      if (pair.other != nobody) strike = {ids[pair.peer], challenged, ids[pair.other]};
      out.push_back({RoundNumber(pair.round), strike});
    }
    return out;
  }
  // By their numbers.
  std::set<std::size_t> resting(const std::vector<Pair>& pairs, std::size_t hostile_count,
                                const std::vector<std::size_t>& without = {},
                                const std::vector<std::size_t>& unreachable = {}) const {
    return numbers_of(struck(pairs, hostile_count, without, unreachable).resting);
  }
  std::set<std::size_t> struck_out(const std::vector<Pair>& pairs, std::size_t hostile_count) const {
    return numbers_of(struck(pairs, hostile_count, {}, {}).out);
  }

 private:
  Struck struck(const std::vector<Pair>& pairs, std::size_t hostile_count,
                const std::vector<std::size_t>& without, const std::vector<std::size_t>& unreachable) const {
    std::vector<PeerId> seated;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (std::ranges::find(without, i) == without.end()) seated.push_back(ids[i]);
    }
    std::set<PeerId> clients;
    for (const std::size_t i : unreachable) clients.insert(ids[i]);
    return count_strikes(strikes(pairs), seated, clients, hostile_count);
  }
  std::set<std::size_t> numbers_of(const std::set<PeerId>& peers) const {
    std::set<std::size_t> numbers;
    for (const PeerId& peer : peers)
      numbers.insert(static_cast<std::size_t>(std::ranges::find(ids, peer) - ids.begin()));
    return numbers;
  }
};

using Set = std::set<std::size_t>;

}  // namespace

TEST_CASE("strikes in two rounds have no consequences, however many they are; in three they have") {
  const Members members(8);
  std::vector<Pair> pairs;
  for (std::size_t other = 1; other < 8; ++other) {
    pairs.push_back({1, other, 0});
    pairs.push_back({2, other, 0});
  }
  CHECK(members.resting(pairs, 2).empty());
  pairs.push_back({3, 4, 0});
  CHECK(members.resting(pairs, 2) == Set{0});
  CHECK(members.resting({{1, 3}, {2, 3}}, 2).empty());
  CHECK(members.resting({{1, 3}, {2, 3}, {5, 3}}, 2) == Set{3});  // of its own alone
}

TEST_CASE("who has strikes with more others than may be hostile rests alone, whichever end it is") {
  const Members members(8);
  CHECK(members.resting({{1, 0, 1}, {2, 0, 2}, {3, 0, 3}}, 2) == Set{0});
  CHECK(members.resting({{1, 1, 0}, {2, 2, 0}, {3, 3, 0}}, 2) == Set{0});
  // That explains what is between it and others: member 3 alone had three.
  CHECK(members.resting({{1, 0, 3}, {2, 0, 3}, {3, 0, 3}, {4, 0, 1}, {5, 0, 2}}, 2) == Set{0});
}

TEST_CASE("of two that go on having strikes with each other, both rest") {
  const Members members(8);
  CHECK(members.resting({{1, 0, 1}, {2, 1, 0}, {3, 0, 1}}, 2) == Set{0, 1});
  CHECK(members.resting({{1, 0, 1}, {1, 1, 0}, {2, 0, 1}}, 2).empty());  // two rounds
}

TEST_CASE("several that pick on one member by turns do not go free: who comes last rests with it") {
  const Members members(10);
  CHECK(members.resting({{1, 0, 9}, {2, 1, 9}, {3, 2, 9}}, 3) == Set{2, 9});
  // And when the first of these strikes have faded, the next one is in its place.
  CHECK(members.resting({{2, 1, 9}, {3, 2, 9}, {4, 0, 9}}, 3) == Set{0, 9});
  CHECK(members.resting({{1, 0, 9}, {2, 1, 9}, {3, 2, 9}, {4, 0, 9}, {5, 1, 9}}, 3) == Set{2, 9});
}

TEST_CASE("one member takes one other with it, not several") {
  const Members members(10);
  CHECK(members.resting({{1, 0, 8}, {1, 9, 0}, {2, 0, 8}, {2, 9, 0}, {3, 0, 8}, {3, 9, 0}}, 3) == Set{0, 8});
}

TEST_CASE("strikes with who has no seat count for nobody") {
  const Members members(8);
  const std::vector<Pair> pairs{{1, 0, 1}, {2, 0, 1}, {3, 0, 1}};
  CHECK(members.resting(pairs, 2) == Set{0, 1});
  CHECK(members.resting(pairs, 2, {0}).empty());
}

TEST_CASE("at least half of the members reduce, two rest or neither, and nobody when all are struck by all") {
  const Members members(4);
  std::vector<Pair> pairs;
  for (std::uint64_t round = 1; round <= 3; ++round) {
    for (std::size_t i = 0; i < 4; ++i) pairs.push_back({round, i});
  }
  CHECK(members.resting(pairs, 1).size() == 2);
  const Members three(3);
  CHECK(three.resting({{1, 0, 1}, {2, 0, 1}, {3, 0, 1}}, 1).empty());  // both would be too many, one unfair
  CHECK(three.resting({{1, 0, 1}, {2, 0, 2}, {3, 0, 1}}, 1) == Set{0});
  // Everybody with everybody: so many cannot be hostile, the network is at fault.
  std::vector<Pair> storm;
  for (std::uint64_t round = 1; round <= 3; ++round) {
    for (std::size_t i = 0; i < 4; ++i) storm.push_back({round, i, (i + round) % 4});
  }
  CHECK(members.resting(storm, 1).empty());
  CHECK(Members(2).resting({{1, 0, 1}, {2, 0, 1}, {3, 0, 1}}, 0).empty());
}

TEST_CASE("two for whom there is no room to rest are struck out all the same") {
  const Members members(6);  // three may rest
  std::vector<Pair> pairs;
  for (std::uint64_t round = 1; round <= 3; ++round) pairs.push_back({round, 0, 5});
  CHECK(members.struck_out(pairs, 2) == Set{0, 5});
  for (std::uint64_t round = 4; round <= 6; ++round) pairs.push_back({round, 1, 4});
  CHECK(members.resting(pairs, 2) == Set{0, 5});
  CHECK(members.struck_out(pairs, 2) == Set{0, 1, 4, 5});
  // And take nobody else with them.
  pairs.push_back({7, 1, 3});
  CHECK(members.struck_out(pairs, 2) == Set{0, 1, 4, 5});
}

TEST_CASE("strikes of who reduces nothing anyway leave the room to those that pay for theirs") {
  const Members members(8);  // 0 to 3 cannot be reached: two of the others may rest
  const std::vector<std::size_t> unreachable{0, 1, 2, 3};
  std::vector<Pair> pairs;
  for (std::uint64_t round = 1; round <= 3; ++round) {
    pairs.push_back({round, 0, 1});
    pairs.push_back({round, 2});
    pairs.push_back({round, 4, 5});
    pairs.push_back({round, 6, 7});
  }
  CHECK(members.resting(pairs, 2, {}, unreachable) == Set{0, 1, 2, 4, 5});
  // One end reduces, and alone takes room.
  CHECK(
      members.resting(
          {{1, 0, 4}, {2, 0, 4}, {3, 0, 4}, {1, 1, 5}, {2, 1, 5}, {3, 1, 5}, {1, 2, 6}, {2, 2, 6}, {3, 2, 6}},
          3, {}, unreachable) == Set{0, 1, 4, 5});
  // So does who rests alone.
  CHECK(members.resting({{1, 0, 1}, {2, 0, 2}, {3, 0, 3}, {1, 4}, {2, 4}, {3, 4}, {1, 5}, {2, 5}, {3, 5}}, 2,
                        {}, unreachable) == Set{0, 4, 5});
}

namespace {

// A strike has a hostile end, whatever the hostile want: they choose the other end, and both ways round.
struct Attack {
  const char* name;
  std::function<std::vector<Pair>(std::uint64_t round, std::size_t hostile, std::size_t members,
                                  crypto::Rng& rng)>
      pairs;
};

std::size_t any_of(crypto::Rng& rng, std::size_t begin, std::size_t end) {
  return begin + static_cast<std::size_t>(rng.below(end - begin));
}

// The first members are the hostile ones.
const std::vector<Attack>& attacks() {
  static const std::vector<Attack> all = {
      {"all on one, by turns",
       [](std::uint64_t round, std::size_t hostile, std::size_t members, crypto::Rng&) {
         return std::vector<Pair>{{round, round % hostile, members - 1}};
       }},
      {"all on one at once",
       [](std::uint64_t round, std::size_t hostile, std::size_t members, crypto::Rng&) {
         std::vector<Pair> pairs;
         for (std::size_t i = 0; i < hostile; ++i) pairs.push_back({round, i, members - 1});
         return pairs;
       }},
      {"each on one of its own",
       [](std::uint64_t round, std::size_t hostile, std::size_t members, crypto::Rng&) {
         std::vector<Pair> pairs;
         for (std::size_t i = 0; i < hostile; ++i) pairs.push_back({round, members - 1 - i, i});
         return pairs;
       }},
      {"twice on each, then on the next",
       [](std::uint64_t round, std::size_t hostile, std::size_t members, crypto::Rng&) {
         std::vector<Pair> pairs;
         for (std::size_t i = 0; i < hostile; ++i)
           pairs.push_back({round, i, hostile + (round / 2 + i) % (members - hostile)});
         return pairs;
       }},
      {"at random, with their own as well",
       [](std::uint64_t round, std::size_t hostile, std::size_t members, crypto::Rng& rng) {
         std::vector<Pair> pairs;
         for (std::size_t k = rng.below(2 * members); k > 0; --k) {
           const std::size_t liar = any_of(rng, 0, hostile);
           const std::size_t other = any_of(rng, 0, members);
           if (other == liar) continue;
           pairs.push_back(rng.below(2) == 0 ? Pair{round, liar, other} : Pair{round, other, liar});
         }
         return pairs;
       }},
  };
  return all;
}

}  // namespace

TEST_CASE("whatever a hostile minority does, not more honest than hostile members rest, in any round") {
  for (const Attack& attack : attacks()) {
    CAPTURE(attack.name);
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      CAPTURE(seed);
      crypto::SeededRng rng(seed);
      const std::size_t count = 3 + static_cast<std::size_t>(rng.below(14));
      const auto ids = ids_of(make_keys(count, seed));
      const std::size_t hostile = std::max<std::size_t>(1, (count - 1) / (2 + seed % 2));
      const double share = static_cast<double>(hostile) / static_cast<double>(count) + 1e-6;
      Roster roster(ids);
      REQUIRE(roster.greatest_hostile_count(share) == hostile);
      // Ids are not in the order of honesty.
      std::vector<PeerId> by_number = ids;
      rng.shuffle(by_number);
      std::size_t most = 0;
      for (std::uint64_t round = 1; round <= 2 * strike_window; ++round) {
        Outcome outcome;
        outcome.round = RoundNumber(round);
        std::map<PeerId, Strike> one_each;
        for (const Pair& pair : attack.pairs(round, hostile, count, rng))
          one_each.try_emplace(by_number[pair.peer],
                               Strike{by_number[pair.peer], challenged, by_number[pair.other]});
        for (const auto& [peer, strike] : one_each) outcome.strikes.push_back(strike);
        roster = roster.after(outcome, share);
        const auto resting = roster.resting();
        const auto liars = static_cast<std::size_t>(std::ranges::count_if(resting, [&](const PeerId& peer) {
          return static_cast<std::size_t>(std::ranges::find(by_number, peer) - by_number.begin()) < hostile;
        }));
        REQUIRE(resting.size() - liars <= liars);
        REQUIRE(2 * resting.size() <= count);
        most = std::max(most, liars);
      }
      // And the hostile do not go free, where there is room to let two rest.
      if (count >= 4) CHECK(most > 0);
    }
  }
}
