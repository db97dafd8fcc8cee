#include "crypto/peer_id.h"

#include <sys/stat.h>

#include <filesystem>
#include <unordered_set>

#include "crypto/base/file.h"
#include "crypto/hash.h"
#include "tests/crypto/testing.h"

using namespace testudo;
using namespace testudo::testing;
using crypto::KeyPair;
using crypto::PeerId;
using crypto::PublicKey;

namespace {

// A folder of its own for one test, removed with it.
struct Folder {
  Folder() {
    crypto::SystemRng rng;
    path = std::filesystem::temp_directory_path() / ("testudo-" + to_hex(random_bytes(rng, 8)));
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return path / name; }
  std::filesystem::path path;
};

}  // namespace

TEST_CASE("keys and ids are libp2p's bytes and texts") {
  const auto key = vectors("libp2p_wire.json")["key"];
  const auto pair = KeyPair::from_protobuf(hex(key["privateKeyProtobuf"].get<std::string>()));
  REQUIRE(pair);
  CHECK(to_hex(pair->to_protobuf()) == key["privateKeyProtobuf"].get<std::string>());
  CHECK(to_hex(pair->public_key().to_protobuf()) == key["publicKeyProtobuf"].get<std::string>());
  const PeerId id = pair->peer_id();
  CHECK(to_hex(id.to_multihash()) == key["peerIdMultihash"].get<std::string>());
  CHECK(id.to_text() == key["peerIdBase58"].get<std::string>());
  CHECK(id.short_text() == id.to_text().substr(id.to_text().size() - 8));
  CHECK(to_hex(crypto::sha256(id.to_multihash())) == key["dhtKey"].get<std::string>());
  for (const char* form : {"peerIdBase58", "peerIdCidBase32", "peerIdCidBase36"}) {
    const auto parsed = PeerId::from_text(key[form].get<std::string>());
    REQUIRE_MESSAGE(parsed, form);
    CHECK(*parsed == id);
  }
  CHECK(*PeerId::from_multihash(id.to_multihash()) == id);
  CHECK(*PublicKey::from_protobuf(pair->public_key().to_protobuf()) == pair->public_key());
}

TEST_CASE("the specification's keys are read, and other kinds than Ed25519 are refused by name") {
  const auto spec = vectors("peer_id.json");
  const auto& keys = spec["protobuf_hex"];
  const auto pair = KeyPair::from_protobuf(hex(keys["ED25519 private"].get<std::string>()));
  REQUIRE(pair);
  CHECK(to_hex(pair->public_key().to_protobuf()) == keys["ED25519 public"].get<std::string>());
  const auto id = PeerId::from_text(spec["text_forms"]["ed25519_base58"].get<std::string>());
  REQUIRE(id);
  CHECK(id->to_text() == spec["text_forms"]["ed25519_base58"].get<std::string>());
  for (const char* kind : {"ECDSA public", "secp256k1 public"}) {
    const auto refused = PublicKey::from_protobuf(hex(keys[kind].get<std::string>()));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::refused);
  }
  CHECK_FALSE(KeyPair::from_protobuf(hex(keys["ECDSA private"].get<std::string>())));
  CHECK_FALSE(KeyPair::from_protobuf(hex(keys["secp256k1 private"].get<std::string>())));
  CHECK_FALSE(PeerId::from_text("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"));  // RSA
}

TEST_CASE("the older private key form with a repeated public half is read, a wrong half is corrupt") {
  const auto pair = KeyPair::from_seed(Digest{7});
  Bytes old = hex("08011260");
  append(old, ByteView(pair.to_protobuf()).subspan(4));
  append(old, pair.public_key().raw());
  REQUIRE(KeyPair::from_protobuf(old));
  CHECK(KeyPair::from_protobuf(old)->public_key() == pair.public_key());
  for (std::size_t at : {std::size_t{10}, std::size_t{40}, std::size_t{80}}) {
    Bytes wrong = old;
    wrong[at] ^= 1;
    const auto result = KeyPair::from_protobuf(wrong);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::corrupt);
  }
}

TEST_CASE("every truncation of a key or id is an error, and so is a byte too many") {
  const auto pair = KeyPair::from_seed(Digest{1});
  const Bytes secret = pair.to_protobuf(), open = pair.public_key().to_protobuf();
  const Bytes id = pair.peer_id().to_multihash();
  for (std::size_t size = 0; size < secret.size(); ++size) {
    CHECK_FALSE(KeyPair::from_protobuf(ByteView(secret).first(size)));
  }
  for (std::size_t size = 0; size < open.size(); ++size) {
    CHECK_FALSE(PublicKey::from_protobuf(ByteView(open).first(size)));
  }
  for (std::size_t size = 0; size < id.size(); ++size) {
    CHECK_FALSE(PeerId::from_multihash(ByteView(id).first(size)));
  }
  const std::string text = pair.peer_id().to_text();
  for (std::size_t size = 0; size < text.size(); ++size) CHECK_FALSE(PeerId::from_text(text.substr(0, size)));
  for (Bytes longer : {secret, open, id}) {
    longer.push_back(0);
    CHECK_FALSE(KeyPair::from_protobuf(longer));
    CHECK_FALSE(PublicKey::from_protobuf(longer));
    CHECK_FALSE(PeerId::from_multihash(longer));
  }
  CHECK_FALSE(PeerId::from_text(text + "1"));
  CHECK_FALSE(PeerId::from_text(std::string(100000, '1')));
}

TEST_CASE("random bytes are no key and no id") {
  crypto::SeededRng rng(11);
  for (int i = 0; i < 3000; ++i) {
    const Bytes bytes = random_bytes(rng, static_cast<std::size_t>(rng.below(110)));
    CHECK_FALSE(KeyPair::from_protobuf(bytes));
    CHECK_FALSE(PublicKey::from_protobuf(bytes));
    CHECK_FALSE(PeerId::from_multihash(bytes));
    CHECK_FALSE(PeerId::from_text(as_text(bytes)));
  }
}

TEST_CASE("a signature holds for its message and key only") {
  crypto::SeededRng rng(12);
  const auto pair = KeyPair::generate(rng), other = KeyPair::generate(rng);
  const auto signature = pair.sign(as_bytes("message"));
  CHECK(pair.public_key().verify(as_bytes("message"), signature));
  CHECK_FALSE(pair.public_key().verify(as_bytes("massage"), signature));
  CHECK_FALSE(other.public_key().verify(as_bytes("message"), signature));
  for (std::size_t at = 0; at < signature.size(); ++at) {
    auto wrong = signature;
    wrong[at] ^= 0x40;
    CHECK_FALSE(pair.public_key().verify(as_bytes("message"), wrong));
  }
  CHECK_FALSE(PublicKey().verify(as_bytes("message"), signature));  // a point of small order
}

TEST_CASE("a moved or cloned pair signs the same, and the moved-from one has lost its secret") {
  auto pair = KeyPair::from_seed(Digest{9});
  const auto expected = pair.sign(as_bytes("x"));
  const auto copy = pair.clone();
  const auto moved = std::move(pair);
  CHECK(copy.sign(as_bytes("x")) == expected);
  CHECK(moved.sign(as_bytes("x")) == expected);
  CHECK(to_hex(pair.to_protobuf()).substr(8, 128) == std::string(128, '0'));
}

TEST_CASE("ids order by their bytes and hash alike when equal") {
  crypto::SeededRng rng(13);
  std::vector<PeerId> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(KeyPair::generate(rng).peer_id());
  std::ranges::sort(ids);
  for (std::size_t i = 1; i < ids.size(); ++i) CHECK(ids[i - 1].to_multihash() < ids[i].to_multihash());
  const std::unordered_set<PeerId> set(ids.begin(), ids.end());
  CHECK(set.size() == 20);
  CHECK(set.contains(*PeerId::from_text(ids[3].to_text())));
}

TEST_CASE("a key file survives, is readable by its owner only, and is replaced in one step") {
  const Folder folder;
  const auto path = folder.file("identity.key");
  const auto first = KeyPair::from_seed(Digest{1}), second = KeyPair::from_seed(Digest{2});
  REQUIRE(first.save(path));
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(status.st_size == 68);
  CHECK(KeyPair::load(path)->public_key() == first.public_key());
  REQUIRE(second.save(path));
  CHECK(KeyPair::load(path)->public_key() == second.public_key());
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);  // nothing left behind
}

TEST_CASE("a key file that is missing, cut, too long or a folder says so") {
  const Folder folder;
  const auto path = folder.file("identity.key");
  const auto missing = KeyPair::load(path);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::not_found);
  CHECK(missing.error().message.find(path) != std::string::npos);
  const Bytes good = KeyPair::from_seed(Digest{1}).to_protobuf();
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{67}}) {
    REQUIRE(write_file(path, ByteView(good).first(size)));
    const auto cut = KeyPair::load(path);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == ErrorCode::corrupt);
    CHECK(cut.error().message.find(std::to_string(size) + " bytes") != std::string::npos);
  }
  REQUIRE(write_file(path, Bytes(5000)));
  CHECK(KeyPair::load(path).error().code == ErrorCode::limit);
  CHECK(KeyPair::load(folder.path).error().code == ErrorCode::io);
  CHECK_FALSE(KeyPair::from_seed(Digest{1}).save(folder.file("no/such/folder/key")));
}
