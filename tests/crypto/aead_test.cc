#include "crypto/aead.h"

#include <sodium.h>

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::Aead;

namespace {

Bytes sealed(Aead& aead, std::uint64_t counter, ByteView ad, ByteView plain) {
  Bytes out(plain.size() + Aead::kTagSize);
  aead.seal(counter, ad, plain, out);
  return out;
}

}  // namespace

TEST_CASE("the AEAD gives the vector of RFC 8439 section 2.8.2") {
  Aead aead(digest("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  Aead::Nonce nonce;
  std::ranges::copy(hex("070000004041424344454647"), nonce.begin());
  const Bytes ad = hex("50515253c0c1c2c3c4c5c6c7");
  const std::string_view plain =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen "
      "would be it.";
  Bytes out(plain.size() + Aead::kTagSize);
  aead.seal(nonce, ad, as_bytes(plain), out);
  CHECK(to_hex(out) ==
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
        "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
  Bytes back(plain.size());
  CHECK(aead.open(nonce, ad, out, back));
  CHECK(as_text(back) == plain);
}

TEST_CASE("the AEAD agrees with libsodium for every length and additional data") {
  crypto::SeededRng rng(21);
  for (std::size_t size = 0; size < 300; size += size < 70 ? 1 : 37) {
    Digest key;
    rng.fill(key);
    Aead aead(key);
    for (std::size_t ad_size : {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{45}}) {
      const Bytes plain = random_bytes(rng, size), ad = random_bytes(rng, ad_size);
      const std::uint64_t counter = rng.next_u64();
      const auto nonce = Aead::nonce(counter);
      Bytes expected(size + Aead::kTagSize);
      crypto_aead_chacha20poly1305_ietf_encrypt(expected.data(), nullptr, plain.data(), plain.size(),
                                                ad.data(), ad.size(), nullptr, nonce.data(), key.data());
      CHECK(sealed(aead, counter, ad, plain) == expected);
      Bytes back(size);
      REQUIRE(aead.open(counter, ad, expected, back));
      CHECK(back == plain);
      const std::size_t cut = static_cast<std::size_t>(rng.below(size + 1));
      Bytes joined(size + Aead::kTagSize);
      aead.seal(nonce, ad, ByteView(plain).first(cut), ByteView(plain).subspan(cut), joined);
      CHECK(joined == expected);
      Bytes steps(size);
      aead.open_head(nonce, ad, ByteView(expected).first(cut), MutableByteView(steps).first(cut));
      REQUIRE(aead.open_rest(ByteView(expected).subspan(cut), MutableByteView(steps).subspan(cut)));
      CHECK(steps == plain);
    }
  }
}

TEST_CASE("the AEAD works in place, both ways, and after being moved") {
  crypto::SeededRng rng(22);
  Aead first(Digest{3});
  Aead aead = std::move(first);
  const Bytes plain = random_bytes(rng, 65519), expected = sealed(aead, 5, {}, plain);
  Bytes buffer = plain;
  buffer.resize(plain.size() + Aead::kTagSize);
  aead.seal(5, {}, ByteView(buffer).first(plain.size()), buffer);
  CHECK(buffer == expected);
  REQUIRE(aead.open(5, {}, buffer, MutableByteView(buffer).first(plain.size())));
  buffer.resize(plain.size());
  CHECK(buffer == plain);
}

TEST_CASE("a changed bit, cut, other nonce, other data or other key never opens, and leaves only zeros") {
  crypto::SeededRng rng(23);
  Aead aead(Digest{4}), other(Digest{5});
  const Bytes plain = random_bytes(rng, 50), ad = random_bytes(rng, 20);
  const Bytes good = sealed(aead, 9, ad, plain);
  Bytes out(plain.size(), 0xff);
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= static_cast<std::uint8_t>(1u << rng.below(8));
    CHECK_FALSE(aead.open(9, ad, bad, out));
    CHECK(out == Bytes(plain.size(), 0));
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    Bytes shorter(size < Aead::kTagSize ? 0 : size - Aead::kTagSize);
    CHECK_FALSE(aead.open(9, ad, ByteView(good).first(size), shorter));
  }
  CHECK_FALSE(aead.open(10, ad, good, out));
  CHECK_FALSE(aead.open(9, {}, good, out));
  CHECK_FALSE(other.open(9, ad, good, out));
  CHECK(aead.open(9, ad, good, out));  // no failure before it did harm
}
