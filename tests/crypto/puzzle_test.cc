#include "crypto/puzzle.h"

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::find_solution;
using crypto::Puzzle;
using crypto::verify_solution;

namespace {

const std::atomic<bool> kNever{false};

Puzzle puzzle(unsigned bits) { return {crypto::KeyPair::from_seed(Digest{1}).peer_id(), Digest{2}, bits}; }

}  // namespace

TEST_CASE("a solution that was found is verified, and another start finds another") {
  const auto solution = find_solution(puzzle(5), kNever);
  REQUIRE(solution);
  CHECK(verify_solution(puzzle(5), *solution));
  const auto next = find_solution(puzzle(5), kNever, *solution + 1);
  REQUIRE(next);
  CHECK(*next > *solution);
}

TEST_CASE("a solution holds for its peer, beacon and difficulty only") {
  // Twelve bits once would take seconds; several solutions of few bits leave as little to chance.
  int others = 0;
  std::uint64_t from = 0;
  for (int i = 0; i < 8; ++i) {
    const auto solution = find_solution(puzzle(4), kNever, from);
    REQUIRE(solution);
    from = *solution + 1;
    auto peer = puzzle(4), beacon = puzzle(4);
    peer.peer = crypto::KeyPair::from_seed(Digest{3}).peer_id();
    beacon.beacon = Digest{4};
    others += verify_solution(peer, *solution) + verify_solution(beacon, *solution) +
              verify_solution(puzzle(5), *solution);
  }
  CHECK(others < 8);  // 24 chances of one in 16 or 32; fixed by the seeds above
}

TEST_CASE("no difficulty takes any nonce, too much difficulty takes none") {
  CHECK(verify_solution(puzzle(0), 12345));
  CHECK(find_solution(puzzle(0), kNever, 7) == 7);
  CHECK_FALSE(verify_solution(puzzle(crypto::kPuzzleMaxBits + 1), 0));
  CHECK_FALSE(verify_solution(puzzle(~0u), 0));
}

TEST_CASE("a cancelled search ends without a solution") {
  const std::atomic<bool> cancelled{true};
  CHECK_FALSE(find_solution(puzzle(crypto::kPuzzleMaxBits), cancelled));
}
