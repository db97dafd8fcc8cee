#include "crypto/verified_signatures.h"

#include <optional>

#include "crypto/signing.h"
#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::KeyPair;
using crypto::VerifiedSignatures;

TEST_CASE("a good signature is computed once, a bad one every time, and neither is taken for the other") {
  const auto pair = KeyPair::from_seed(Digest{1});
  const auto other = KeyPair::from_seed(Digest{2});
  const Bytes message(100, 7);
  const auto signature = crypto::sign(pair, "test", message);
  REQUIRE_FALSE(VerifiedSignatures::exist());

  std::optional<VerifiedSignatures> remembered(std::in_place);
  REQUIRE(VerifiedSignatures::exist());
  CHECK(crypto::verify(pair.public_key(), "test", message, signature));
  CHECK(VerifiedSignatures::recognised() == 0);
  CHECK(crypto::verify(pair.public_key(), "test", message, signature));
  CHECK(VerifiedSignatures::recognised() == 1);

  auto wrong = signature;
  wrong[63] ^= 1;
  auto longer = message;
  longer.push_back(0);
  for (int again = 0; again < 2; ++again) {
    CHECK_FALSE(crypto::verify(pair.public_key(), "test", message, wrong));
    CHECK_FALSE(crypto::verify(pair.public_key(), "test", longer, signature));
    CHECK_FALSE(crypto::verify(pair.public_key(), "other", message, signature));
    CHECK_FALSE(crypto::verify(other.public_key(), "test", message, signature));
  }
  CHECK(VerifiedSignatures::recognised() == 1);

  {
    const VerifiedSignatures second;  // shares what is known
    CHECK(crypto::verify(pair.public_key(), "test", message, signature));
    CHECK(VerifiedSignatures::recognised() == 2);
  }
  REQUIRE(VerifiedSignatures::exist());
  remembered.reset();
  CHECK_FALSE(VerifiedSignatures::exist());

  const VerifiedSignatures anew;  // knows nothing of before
  CHECK(crypto::verify(pair.public_key(), "test", message, signature));
  CHECK(VerifiedSignatures::recognised() == 0);
}

TEST_CASE("more signatures than are remembered are still told apart, and the latest are known") {
  const VerifiedSignatures remembered;
  const auto pair = KeyPair::from_seed(Digest{1});
  const auto signature = crypto::sign(pair, "test", Bytes(1));
  const auto name = [](std::uint32_t number) {
    return Bytes{static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8),
                 static_cast<std::uint8_t>(number >> 16)};
  };
  std::size_t computed = 0;
  const auto verify = [&computed] {
    ++computed;
    return true;
  };
  constexpr std::uint32_t count = 200'000;
  for (std::uint32_t i = 0; i < count; ++i) {
    VerifiedSignatures::check(pair.public_key(), name(i), signature, verify);
  }
  CHECK(computed == count);
  for (std::uint32_t i = count - 10'000; i < count; ++i) {
    VerifiedSignatures::check(pair.public_key(), name(i), signature, verify);
  }
  CHECK(computed == count);
  VerifiedSignatures::check(pair.public_key(), name(0), signature, verify);
  CHECK(computed == count + 1);
}
