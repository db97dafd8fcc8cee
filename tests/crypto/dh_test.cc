#include "crypto/dh.h"

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::DhKeyPair;

TEST_CASE("x25519 gives the exchange of RFC 7748 section 6.1") {
  const auto bob =
      DhKeyPair::from_secret(digest("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  CHECK(to_hex(bob.public_key()) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const auto alice = digest("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  const auto shared = bob.agree(alice);
  REQUIRE(shared);
  CHECK(to_hex(shared->bytes) == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

TEST_CASE("points of small order are refused, whatever our key is") {
  crypto::SeededRng rng(41);
  // The points of order 1, 2, 4 and 8 of curve25519 and some that are equal to them modulo 2^255 - 19.
  const char* kPoints[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  };
  for (const char* point : kPoints) {
    const auto result = DhKeyPair::generate(rng).agree(digest(point));
    REQUIRE_FALSE_MESSAGE(result, point);
    CHECK(result.error().code == ErrorCode::authentication);
  }
}

TEST_CASE("a moved pair agrees as before") {
  auto a = DhKeyPair::from_secret(Digest{1});
  const auto b = DhKeyPair::from_secret(Digest{2});
  const auto expected = a.agree(b.public_key())->bytes;
  const auto copy = a.clone();
  const auto moved = std::move(a);
  CHECK(moved.agree(b.public_key())->bytes == expected);
  CHECK(copy.agree(b.public_key())->bytes == expected);
}
