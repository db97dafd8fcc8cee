#include "crypto/hash.h"

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;

TEST_CASE("sha256 and blake2b-256 give the published digests") {
  CHECK(to_hex(crypto::sha256(as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(crypto::blake2b(as_bytes("abc"))) ==
        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  CHECK(to_hex(crypto::blake2b({})) == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

TEST_CASE("the hasher hashes lengths, so fields cannot run into each other") {
  const auto one = crypto::Hasher("d").bytes(as_bytes("ab")).bytes(as_bytes("c")).finish();
  const auto two = crypto::Hasher("d").bytes(as_bytes("a")).bytes(as_bytes("bc")).finish();
  CHECK(one != two);
  CHECK(crypto::Hasher("d").finish() != crypto::Hasher("e").finish());
}

TEST_CASE("the hasher's encoding is lengths and integers as eight bytes big endian") {
  Bytes expected;
  append_be(expected, 3, 8);
  append(expected, as_bytes("dom"));
  append_be(expected, 0x0102030405060708, 8);
  append_be(expected, 2, 8);
  append(expected, as_bytes("xy"));
  append_be(expected, 0, 8);
  CHECK(crypto::Hasher("dom").integer(0x0102030405060708).bytes(as_bytes("xy")).bytes({}).finish() ==
        crypto::blake2b(expected));
}
