#include "crypto/rng.h"

#include <numeric>
#include <set>

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;

TEST_CASE("the seeded stream is ChaCha20's key stream under the seed and a zero nonce") {
  crypto::SeededRng rng(Digest{});
  // RFC 8439 appendix A.1, test vectors 1 and 2 (a zero nonce is the same in both variants).
  CHECK(to_hex(random_bytes(rng, 64)) ==
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
  CHECK(to_hex(random_bytes(rng, 32)) == "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed");
}

TEST_CASE("the stream does not depend on how it is cut") {
  crypto::SeededRng whole(7), pieces(7), sizes(8);
  const Bytes expected = random_bytes(whole, 20000);
  Bytes got;
  while (got.size() < expected.size()) {
    const auto size = std::min<std::size_t>(expected.size() - got.size(), sizes.below(3000));
    append(got, random_bytes(pieces, size));
  }
  CHECK(got == expected);
}

TEST_CASE("words are little endian and the integer seed stands in the first bytes") {
  Digest seed{};
  seed[0] = 0x34;
  seed[1] = 0x12;
  crypto::SeededRng a(seed), b(std::uint64_t{0x1234});
  const Bytes first = random_bytes(a, 8);
  std::uint64_t word = 0;
  for (std::size_t i = 8; i-- > 0;) word = word << 8 | first[i];
  CHECK(b.next_u64() == word);
}

TEST_CASE("below stays below its bound and reaches every value") {
  crypto::SeededRng rng(3);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 500; ++i) seen.insert(rng.below(7));
  CHECK(seen == std::set<std::uint64_t>{0, 1, 2, 3, 4, 5, 6});
  CHECK(rng.below(1) == 0);
  const std::uint64_t large = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 100; ++i) CHECK(rng.below(large) < large);
}

TEST_CASE("unit lies in [0, 1) and has the mean of a uniform value") {
  crypto::SeededRng rng(4);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double value = rng.unit();
    REQUIRE(value >= 0);
    REQUIRE(value < 1);
    sum += value;
  }
  CHECK(sum / 10000 == doctest::Approx(0.5).epsilon(0.02));
}

TEST_CASE("a shuffle is a permutation that the seed decides") {
  std::vector<int> a(50), b(50), sorted(50);
  std::iota(sorted.begin(), sorted.end(), 0);
  a = b = sorted;
  crypto::SeededRng first(5), second(5);
  first.shuffle(a);
  second.shuffle(b);
  CHECK(a == b);
  CHECK(a != sorted);
  std::ranges::sort(a);
  CHECK(a == sorted);
}

TEST_CASE("the system's generator does not repeat itself") {
  crypto::SystemRng rng;
  CHECK(random_bytes(rng, 32) != random_bytes(rng, 32));
}
