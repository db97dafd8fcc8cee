// Peer ids in all their forms, and keys as libp2p and the identity file encode them.
#include "crypto/base/encoding.h"
#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

void run(ByteView input) {
  using crypto::KeyPair, crypto::PeerId, crypto::PublicKey;
  if (const auto id = PeerId::from_text(as_text(input))) {
    const auto again = PeerId::from_text(id->to_text());
    TESTUDO_CHECK(again && *again == *id);
  }
  if (const auto id = PeerId::from_multihash(input)) TESTUDO_CHECK(equal(id->to_multihash(), input));
  if (const auto public_key = PublicKey::from_protobuf(input)) {
    TESTUDO_CHECK(equal(public_key->to_protobuf(), input));
  }
  if (const auto pair = KeyPair::from_protobuf(input)) {
    TESTUDO_CHECK(pair->public_key().verify(input, pair->sign(input)));
    const auto again = KeyPair::from_protobuf(pair->to_protobuf());
    TESTUDO_CHECK(again && again->public_key() == pair->public_key());
  }
}

std::vector<Bytes> seeds() {
  const auto id = key(1).peer_id();
  Bytes cid{1, 0x72};
  append(cid, id.to_multihash());
  Bytes old_form = key(1).to_protobuf();
  old_form[3] = 0x60;
  append(old_form, id.key().raw());
  return {to_bytes(id.to_text()), to_bytes("b" + to_base32(cid)), id.to_multihash(),
          id.key().to_protobuf(), key(1).to_protobuf(),           old_form};
}

const Registered target({"keys", run, seeds});

}  // namespace
}  // namespace testudo::fuzz
