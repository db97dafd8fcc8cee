#include "crypto/base/encoding.h"

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;

TEST_CASE("hex reads both cases, writes lower case and refuses everything else") {
  CHECK(to_hex(hex("00ffA5")) == "00ffa5");
  CHECK(to_hex({}).empty());
  CHECK_FALSE(from_hex("abc"));
  CHECK_FALSE(from_hex("zz"));
  CHECK_FALSE(from_hex("0x"));
  CHECK_FALSE(digest_from_hex("00"));
  CHECK(digest_from_hex(std::string(64, 'a')));
}

TEST_CASE("base58 gives the Bitcoin test vectors") {
  CHECK(to_base58({}).empty());
  CHECK(to_base58(hex("61")) == "2g");
  CHECK(to_base58(hex("626262")) == "a3gV");
  CHECK(to_base58(hex("73696d706c792061206c6f6e6720737472696e67")) == "2cFupjhnEsSn59qHXstmK2ffpLv2");
  CHECK(to_base58(hex("00000000000000000000")) == "1111111111");
  CHECK(to_hex(*from_base58("1ABnLTmg")) == "00516b6fcd0f");
  CHECK_FALSE(from_base58("0OIl"));
  CHECK_FALSE(from_base58(std::string(5000, '2')));
}

TEST_CASE("base32 gives the RFC 4648 test vectors without padding") {
  const std::pair<const char*, const char*> kVectors[] = {
      {"", ""}, {"f", "my"}, {"fo", "mzxq"}, {"foo", "mzxw6"}, {"foob", "mzxw6yq"}, {"fooba", "mzxw6ytb"}};
  for (const auto& [plain, text] : kVectors) {
    CHECK(to_base32(as_bytes(plain)) == text);
    CHECK(as_text(*from_base32(text)) == plain);
  }
  CHECK_FALSE(from_base32("m"));   // a digit that carries no byte
  CHECK_FALSE(from_base32("mz"));  // unused bits are not zero
  CHECK_FALSE(from_base32("MY"));
  CHECK_FALSE(from_base32("my======"));
}

TEST_CASE("random bytes survive every text encoding") {
  crypto::SeededRng rng(1);
  for (std::size_t size = 0; size < 70; ++size) {
    Bytes bytes = random_bytes(rng, size);
    if (size > 3) bytes[0] = bytes[1] = 0;
    CHECK(*from_hex(to_hex(bytes)) == bytes);
    CHECK(*from_base58(to_base58(bytes)) == bytes);
    CHECK(*from_base32(to_base32(bytes)) == bytes);
  }
}

TEST_CASE("random text never crashes a decoder") {
  crypto::SeededRng rng(2);
  for (int i = 0; i < 2000; ++i) {
    const Bytes bytes = random_bytes(rng, static_cast<std::size_t>(rng.below(80)));
    (void)from_hex(as_text(bytes));
    (void)from_base58(as_text(bytes));
    (void)from_base32(as_text(bytes));
    (void)from_base36(as_text(bytes));
    (void)read_varint(bytes);
  }
}

TEST_CASE("varints survive, and every truncation asks for more") {
  for (int shift = 0; shift < 64; ++shift) {
    for (std::uint64_t value : {std::uint64_t{1} << shift, (std::uint64_t{1} << shift) - 1}) {
      Bytes out;
      append_varint(out, value);
      const auto read = read_varint(out);
      REQUIRE(read);
      REQUIRE(*read);
      CHECK((*read)->value == value);
      CHECK((*read)->size == out.size());
      for (std::size_t size = 0; size < out.size(); ++size) {
        const auto part = read_varint(ByteView(out).first(size));
        REQUIRE(part);
        CHECK_FALSE(part->has_value());
      }
    }
  }
  Bytes largest;
  append_varint(largest, ~std::uint64_t{0});
  CHECK(largest.size() == 10);
  CHECK((*read_varint(largest))->value == ~std::uint64_t{0});
}

TEST_CASE("a varint that is overlong or not minimal is an error") {
  CHECK_FALSE(read_varint(hex("8000")));
  CHECK_FALSE(read_varint(hex("ff00")));
  CHECK_FALSE(read_varint(hex("ffffffffffffffffff02")));
  CHECK_FALSE(read_varint(hex("ffffffffffffffffffff01")));
  CHECK(read_varint(hex("00")));
}
