#include "crypto/noise.h"

#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::CipherState;
using crypto::DhKeyPair;
using crypto::NoiseRole;
using crypto::NoiseXX;

namespace {

Bytes field(const nlohmann::json& object, const char* name) { return hex(object[name].get<std::string>()); }

DhKeyPair key(const nlohmann::json& object, const char* name) {
  return DhKeyPair::from_secret(digest(object[name].get<std::string>()));
}

// Two machines whose messages are the same in every run of the test.
struct Sides {
  NoiseXX initiator{NoiseRole::initiator, DhKeyPair::from_secret(Digest{1}), as_bytes("prologue"),
                    DhKeyPair::from_secret(Digest{2})};
  NoiseXX responder{NoiseRole::responder, DhKeyPair::from_secret(Digest{3}), as_bytes("prologue"),
                    DhKeyPair::from_secret(Digest{4})};

  // Runs the handshake up to message `count`; the last one is returned, unread.
  Bytes message(int count) {
    for (int i = 0;; ++i) {
      NoiseXX& writer = i % 2 == 0 ? initiator : responder;
      NoiseXX& reader = i % 2 == 0 ? responder : initiator;
      auto written = writer.write_message(as_bytes("payload"));
      REQUIRE(written);
      if (i == count) return *written;
      REQUIRE(reader.read_message(*written));
    }
  }
  NoiseXX& reader_of(int message) { return message % 2 == 0 ? responder : initiator; }
};

}  // namespace

TEST_CASE("the handshake and its transport are byte for byte the published vectors") {
  const auto file = vectors("noise_xx_25519_chachapoly_sha256.json");
  REQUIRE(file["vectors"].size() == 2);
  for (const auto& vector : file["vectors"]) {
    NoiseXX initiator(NoiseRole::initiator, key(vector, "init_static"), field(vector, "init_prologue"),
                      key(vector, "init_ephemeral"));
    NoiseXX responder(NoiseRole::responder, key(vector, "resp_static"), field(vector, "resp_prologue"),
                      key(vector, "resp_ephemeral"));
    const auto& messages = vector["messages"];
    for (std::size_t i = 0; i < 3; ++i) {
      NoiseXX& writer = i % 2 == 0 ? initiator : responder;
      NoiseXX& reader = i % 2 == 0 ? responder : initiator;
      const auto written = writer.write_message(field(messages[i], "payload"));
      REQUIRE(written);
      CHECK(*written == field(messages[i], "ciphertext"));
      const auto read = reader.read_message(*written);
      REQUIRE(read);
      CHECK(*read == field(messages[i], "payload"));
    }
    REQUIRE(initiator.finished());
    REQUIRE(responder.finished());
    CHECK(initiator.handshake_hash() == responder.handshake_hash());
    if (vector.contains("handshake_hash")) {
      CHECK(to_bytes(ByteView(initiator.handshake_hash())) == field(vector, "handshake_hash"));
    }
    CHECK(*initiator.remote_static() == key(vector, "resp_static").public_key());
    CHECK(*responder.remote_static() == key(vector, "init_static").public_key());
    auto ours = initiator.split(), theirs = responder.split();
    for (std::size_t i = 3; i < messages.size(); ++i) {
      CipherState& sender = i % 2 == 0 ? ours.send : theirs.send;
      CipherState& receiver = i % 2 == 0 ? theirs.receive : ours.receive;
      const Bytes plain = field(messages[i], "payload");
      Bytes sealed(plain.size() + crypto::kNoiseTag), back(plain.size());
      REQUIRE(sender.encrypt({}, plain, sealed));
      CHECK(sealed == field(messages[i], "ciphertext"));
      REQUIRE(receiver.decrypt({}, sealed, back));
      CHECK(back == plain);
    }
  }
}

TEST_CASE("fresh machines draw different ephemeral keys") {
  NoiseXX a(NoiseRole::initiator, DhKeyPair::from_secret(Digest{1}), {});
  NoiseXX b(NoiseRole::initiator, DhKeyPair::from_secret(Digest{1}), {});
  CHECK(*a.write_message({}) != *b.write_message({}));
}

TEST_CASE("every truncation of a handshake message fails, and the machine stays failed") {
  for (int i = 0; i < 3; ++i) {
    const std::size_t whole = Sides().message(i).size();
    for (std::size_t size = 0; size < whole; ++size) {
      // Message 1 has no tag yet: what is cut there is its payload, noticed when message 2 fails.
      if (i == 0 && size >= 32) break;
      Sides sides;
      const Bytes message = sides.message(i);
      NoiseXX& reader = sides.reader_of(i);
      CHECK_FALSE(reader.read_message(ByteView(message).first(size)));
      CHECK_FALSE(reader.read_message(message));
      CHECK_FALSE(reader.write_message({}));
      CHECK_FALSE(reader.finished());
    }
  }
}

TEST_CASE("a changed byte in any message ends the handshake on one side at the latest one message on") {
  for (int i = 0; i < 3; ++i) {
    const std::size_t size = Sides().message(i).size();
    for (std::size_t at = 0; at < size; ++at) {
      Sides sides;
      Bytes message = sides.message(i);
      message[at] ^= 0x20;
      NoiseXX& reader = sides.reader_of(i);
      NoiseXX& writer = sides.reader_of(i + 1);
      const auto read = reader.read_message(message);
      if (i > 0) {
        CHECK_FALSE(read);
      } else {
        REQUIRE(read);
        const auto answer = reader.write_message({});
        REQUIRE(answer);
        CHECK_FALSE(writer.read_message(*answer));
      }
    }
  }
}

TEST_CASE("random bytes instead of a message are an error") {
  crypto::SeededRng rng(31);
  for (int i = 0; i < 3; ++i) {
    for (int round = 0; round < 100; ++round) {
      Sides sides;
      (void)sides.message(i);
      const auto read = sides.reader_of(i).read_message(random_bytes(rng, rng.below(300)));
      if (i > 0) CHECK_FALSE(read);
    }
  }
}

TEST_CASE("a message too long or out of turn is an error") {
  Sides sides;
  CHECK_FALSE(sides.responder.read_message(Bytes(crypto::kNoiseMaxMessage + 1)));
  CHECK_FALSE(sides.initiator.read_message(Bytes(100)));
  Sides more;
  CHECK(more.initiator.write_message(Bytes(crypto::kNoiseMaxMessage)).error().code == ErrorCode::limit);
  Sides done;
  REQUIRE(done.responder.read_message(done.message(2)));
  CHECK_FALSE(done.responder.read_message(Bytes(100)));
}

TEST_CASE("an ephemeral key of small order is refused") {
  Sides sides;
  REQUIRE(sides.responder.read_message(Bytes(32)));  // message 1 carries no agreement yet
  const auto answer = sides.responder.write_message({});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::authentication);
}

TEST_CASE("different prologues do not finish a handshake") {
  NoiseXX a(NoiseRole::initiator, DhKeyPair::from_secret(Digest{1}), as_bytes("one"));
  NoiseXX b(NoiseRole::responder, DhKeyPair::from_secret(Digest{2}), as_bytes("two"));
  REQUIRE(b.read_message(*a.write_message({})));
  CHECK_FALSE(a.read_message(*b.write_message({})));
}

TEST_CASE("a cipher state counts, refuses replays and stops before its nonce wraps") {
  CipherState send(Digest{1}), receive(Digest{1});
  Bytes first(16 + 4), second(16 + 4), out(4);
  REQUIRE(send.encrypt({}, as_bytes("one!"), first));
  REQUIRE(send.encrypt({}, as_bytes("two!"), second));
  CHECK_FALSE(receive.decrypt({}, second, out));  // not the next one
  REQUIRE(receive.decrypt({}, first, out));
  CHECK_FALSE(receive.decrypt({}, first, out));  // a replay
  for (std::size_t size = 0; size < crypto::kNoiseTag; ++size) {
    CHECK_FALSE(receive.decrypt({}, ByteView(second).first(size), out));  // shorter than a tag
  }
  REQUIRE(receive.decrypt({}, second, out));
  CHECK(as_text(out) == "two!");
  CHECK(send.next_nonce() == 2);

  const std::uint64_t last = ~std::uint64_t{0} - 1;
  send.skip_to(last);
  receive.skip_to(last);
  REQUIRE(send.encrypt({}, as_bytes("last"), first));
  REQUIRE(receive.decrypt({}, first, out));
  const auto over = send.encrypt({}, as_bytes("more"), second);
  REQUIRE_FALSE(over);
  CHECK(over.error().code == ErrorCode::limit);
  CHECK(receive.decrypt({}, second, out).error().code == ErrorCode::limit);
}
