#include "crypto/envelope.h"

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::KeyPair;
using crypto::open_envelope;
using crypto::seal_envelope;

TEST_CASE("envelopes are libp2p's bytes") {
  const auto wire = vectors("libp2p_wire.json");
  const auto pair = KeyPair::from_protobuf(hex(wire["key"]["privateKeyProtobuf"].get<std::string>()));
  REQUIRE(pair);
  const std::pair<const char*, const char*> kKinds[] = {{"signedPeerRecord", "0301"},
                                                        {"relayVoucher", "0302"}};
  for (const auto& [kind, type] : kKinds) {
    const auto domain = wire[kind]["domain"].get<std::string>();
    const Bytes payload = hex(wire[kind]["payload"].get<std::string>());
    const auto expected = wire[kind]["envelope"].get<std::string>();
    CHECK(to_hex(seal_envelope(*pair, domain, hex(type), payload)) == expected);
    const auto opened = open_envelope(hex(expected), domain);
    REQUIRE(opened);
    CHECK(opened->signer == pair->public_key());
    CHECK(opened->payload_type == hex(type));
    CHECK(opened->payload == payload);
    const auto elsewhere = open_envelope(hex(expected), "another domain");
    REQUIRE_FALSE(elsewhere);
    CHECK(elsewhere.error().code == ErrorCode::authentication);
  }
}

TEST_CASE("every truncation and every changed byte of an envelope is an error") {
  const auto pair = KeyPair::from_seed(Digest{1});
  const Bytes good = seal_envelope(pair, "domain", hex("0301"), as_bytes("the payload"));
  REQUIRE(open_envelope(good, "domain"));
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(open_envelope(ByteView(good).first(size), "domain"));
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[at] ^= static_cast<std::uint8_t>(1u << bit);
      CHECK_FALSE(open_envelope(bad, "domain"));
    }
  }
}

TEST_CASE("unknown fields are skipped, repeated and wrongly typed ones refused") {
  const auto pair = KeyPair::from_seed(Digest{1});
  const Bytes good = seal_envelope(pair, "domain", hex("0301"), as_bytes("payload"));
  const auto with = [&](std::string_view more) {
    Bytes out = good;
    append(out, hex(more));
    return open_envelope(out, "domain");
  };
  CHECK(with("3801"));        // field 7, varint
  CHECK(with("320161"));      // field 6, bytes
  CHECK_FALSE(with("1a00"));  // the payload again
  CHECK_FALSE(with("1801"));  // the payload as a varint
  CHECK_FALSE(with("0000"));  // field 0
  CHECK_FALSE(with("3b"));    // a group
  CHECK_FALSE(with("32ffffffffffffffffff7f"));
  Bytes wrong_first = hex("1801");
  append(wrong_first, good);
  CHECK_FALSE(open_envelope(wrong_first, "domain"));
}

TEST_CASE("an envelope may have an empty payload, and no more than its limit") {
  const auto pair = KeyPair::from_seed(Digest{1});
  const auto empty = open_envelope(seal_envelope(pair, "d", {}, {}), "d");
  REQUIRE(empty);
  CHECK(empty->payload.empty());
  const Bytes large = seal_envelope(pair, "d", {}, Bytes(crypto::kMaxEnvelope));
  CHECK(open_envelope(large, "d").error().code == ErrorCode::limit);
}

TEST_CASE("the lengths are signed, so bytes cannot move between type and payload") {
  const auto pair = KeyPair::from_seed(Digest{1});
  const Bytes one = seal_envelope(pair, "d", as_bytes("ab"), as_bytes("c"));
  const Bytes two = seal_envelope(pair, "d", as_bytes("a"), as_bytes("bc"));
  Bytes mixed(two.begin(), two.end() - 64);
  append(mixed, ByteView(one).last(64));
  CHECK_FALSE(open_envelope(mixed, "d"));
}

TEST_CASE("random bytes are no envelope") {
  crypto::SeededRng rng(51);
  for (int i = 0; i < 5000; ++i) {
    Bytes bytes = random_bytes(rng, rng.below(200));
    // Half of them begin like one, to get further in.
    if (i % 2 == 0 && bytes.size() > 2) {
      bytes[0] = static_cast<std::uint8_t>(rng.below(6) << 3 | rng.below(6));
      bytes[1] = static_cast<std::uint8_t>(rng.below(bytes.size()));
    }
    CHECK_FALSE(open_envelope(bytes, "d"));
  }
}
