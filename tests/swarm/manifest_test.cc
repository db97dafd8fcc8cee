#include "swarm/manifest.h"

#include <limits>

#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;

namespace {

Manifest good_manifest() {
  Manifest manifest = make_manifest(ids_of(make_keys(3)));
  manifest.name = R"(a "quoted" name \ with a backslash)";
  manifest.dataset = "fashion_mnist";
  manifest.dataset_digest = digest_of("data");
  manifest.learning_rate = {{0, 0.1F}, {100, 0.05F}, {400, 0}};
  manifest.nesterov = true;
  manifest.weight_decay = 5e-4F;
  manifest.gradient_norm_limit = 1.0F / 3;
  return manifest;
}

std::string complaint(const Manifest& manifest) {
  const auto result = manifest.validate();
  return result ? "" : result.error().message;
}

}  // namespace

TEST_CASE("a manifest comes back from TOML bit by bit, defaults included") {
  const Manifest manifest = good_manifest();
  const auto read = Manifest::from_toml(manifest.to_toml());
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message));
  CHECK(*read == manifest);
  CHECK(read->run_id() == manifest.run_id());
  CHECK(manifest.to_toml().find("tau = 1.0\n") != std::string::npos);
  CHECK(manifest.to_toml().find("learning_rate = [[0, 0.1], [100, 0.05], [400, 0.0]]\n") !=
        std::string::npos);
}

TEST_CASE("a short file is enough, and the author is the founder unless said otherwise") {
  const auto author = make_keys(1)[0].peer_id();
  const auto read = Manifest::from_toml(
      "[run]\nname = \"mine\"\nauthor = \"" + author.to_text() +
      "\"\n[model]\nname = \"synthetic\"\nparameter_count = 10\n[training]\nlearning_rate = [[0, 1]]\n"
      "[aggregation]\ntau = 2\n");
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message));
  CHECK(read->founders == std::vector{author});
  CHECK(read->tau == 2.0);
  CHECK(read->samples == Manifest().samples);
  CHECK(complaint(*read).empty());
}

TEST_CASE("a typo in the file is an error that names the place") {
  const auto error = [](std::string_view text) {
    const auto read = Manifest::from_toml(text);
    return read ? "" : read.error().message;
  };
  CHECK(error("[run]\nn\xcd\xa2me = 1\n") == "manifest: line 2: other than ASCII characters");
  CHECK_FALSE(error("[|run]\n").empty());  // an assertion of the parser's, if it had them
  CHECK(error("[training]\nsample = 3\n") == "manifest: unknown key sample in [training]");
  CHECK(error("[trainin]\n") == "manifest: unknown table or key trainin");
  CHECK(error("[training]\nsamples = -3\n") ==
        "manifest: [training] samples is no whole number from 0 to 4294967295");
  CHECK(error("[training]\nsamples = \"many\"\n")
            .starts_with("manifest: [training] samples is no whole number"));
  CHECK(error("[run]\nfounders = [\"nobody\"]\n") ==
        "manifest: [run] founders has a malformed peer id, nobody");
  CHECK(error("[run]\nseed = \"12\"\n") == "manifest: [run] seed is no digest of 64 hexadecimal digits");
  CHECK(error("[training]\nlearning_rate = [0.1]\n").find("is no list of [round, value] pairs") !=
        std::string::npos);
  CHECK(error("[aggregation]\ng_max = inf\n") == "manifest: [aggregation] g_max is out of range");
  CHECK(error("[run\n").starts_with("manifest: line 1: "));
  CHECK(error("run = 3\n") == "manifest: [run] is no table");
}

TEST_CASE("every bound of a manifest is checked, with a message that names the field") {
  CHECK(complaint(good_manifest()).empty());
  const auto after = [](auto&& change) {
    Manifest manifest = good_manifest();
    change(manifest);
    return complaint(manifest);
  };
  const auto infinite = std::numeric_limits<float>::infinity();
  CHECK(after([](Manifest& m) { m.name.clear(); }) == "manifest: name is missing");
  CHECK(after([](Manifest& m) { m.name = "a\nb"; }) ==
        "manifest: name has other than printable ASCII characters");
  CHECK(after([](Manifest& m) { m.name = std::string(129, 'a'); }).find("longer than 128") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.founders.clear(); }) ==
        "manifest: the number of founders is 0, not between 1 and 64");
  CHECK(after([](Manifest& m) { std::swap(m.founders[0], m.founders[1]); }).find("ascend") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.founders[1] = m.founders[0]; }).find("each one once") != std::string::npos);
  CHECK(after([](Manifest& m) { m.founders = ids_of(make_keys(65)); }).find("founders is 65") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.author = PeerId(); }) == "manifest: author is missing");
  CHECK(after([](Manifest& m) { m.last_round = 0; }).find("last_round is 0") != std::string::npos);
  CHECK(after([](Manifest& m) { m.samples = 0; }).find("samples is 0") != std::string::npos);
  CHECK(after([](Manifest& m) { m.samples = 65'537; }).find("samples is 65537") != std::string::npos);
  CHECK(after([](Manifest& m) { m.parameter_count = (1ULL << 32) + 1; }).find("parameter_count") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.momentum = 1; }).find("momentum") != std::string::npos);
  CHECK(after([](Manifest& m) { m.learning_rate.clear(); }).find("learning_rate points is 0") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.learning_rate[1].step = 0; }).find("must ascend") != std::string::npos);
  CHECK(after([&](Manifest& m) { m.learning_rate[0].value = infinite; }).find("learning_rate value") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.learning_rate[0].value = -1; }).find("learning_rate value") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.tau = -1; }).find("tau") != std::string::npos);
  CHECK(after([](Manifest& m) { m.tau = std::numeric_limits<double>::quiet_NaN(); }).find("tau") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.g_max = 0; }).find("g_max") != std::string::npos);
  CHECK(after([](Manifest& m) { m.hostile_share = 0.5; }).find("hostile_share") != std::string::npos);
  CHECK(after([](Manifest& m) { m.hostile_share = 0; }).find("hostile_share") != std::string::npos);
  CHECK(after([](Manifest& m) { m.validators = 65; }).find("validators is 65") != std::string::npos);
  CHECK(after([](Manifest& m) { m.recompute_tolerance = 0.3; }).find("recompute_tolerance") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.delta_ms = 9; }).find("delta_ms is 9") != std::string::npos);
  CHECK(after([](Manifest& m) { m.delta_ms = 60'001; }).find("delta_ms") != std::string::npos);
  CHECK(after([](Manifest& m) { m.exchange_deadline_ms = m.delta_ms; }).find("exchange_deadline_ms") !=
        std::string::npos);
  CHECK(after([](Manifest& m) { m.compute_deadline_ms = 1; }).find("compute_deadline_ms") !=
        std::string::npos);
}

TEST_CASE("a signed manifest travels, and every change on the way is found") {
  const auto keys = make_keys(2);
  const SignedManifest manifest = SignedManifest::sign(good_manifest(), keys[1]);
  CHECK(manifest.manifest.author == keys[1].peer_id());
  const Bytes encoded = manifest.encode();
  const auto decoded = SignedManifest::decode(encoded);
  REQUIRE_MESSAGE(decoded.has_value(), (decoded ? "" : decoded.error().message));
  CHECK(decoded->manifest == manifest.manifest);
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    Bytes flipped = encoded;
    flipped[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    CHECK_FALSE(SignedManifest::decode(flipped).has_value());
    CHECK_FALSE(SignedManifest::decode(ByteView(encoded).first(i)).has_value());
  }
}

TEST_CASE(
    "a manifest that somebody else signed, or whose fields are out of bounds, is refused with the reason") {
  const auto keys = make_keys(2);
  SignedManifest stolen = SignedManifest::sign(good_manifest(), keys[0]);
  stolen.manifest.author = keys[1].peer_id();
  auto result = SignedManifest::decode(stolen.encode());
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::authentication);
  CHECK(result.error().message.find("signed by somebody else than its author") != std::string::npos);

  Manifest absurd = good_manifest();
  absurd.hostile_share = 0.9;
  result = SignedManifest::decode(SignedManifest::sign(absurd, keys[0]).encode());
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().message.find("hostile_share") != std::string::npos);
  CHECK_FALSE(SignedManifest::decode(Bytes(manifest_max_bytes + 1)).has_value());
}

TEST_CASE("the largest manifest that validates also travels") {
  Manifest manifest = good_manifest();
  manifest.founders = ids_of(make_keys(64));
  manifest.learning_rate.clear();
  for (std::uint64_t i = 0; i < 1024; ++i) manifest.learning_rate.push_back({i * 1'000'000, 1e-3F});
  REQUIRE(manifest.validate().has_value());
  const auto keys = make_keys(1);
  CHECK(SignedManifest::decode(SignedManifest::sign(manifest, keys[0]).encode()).has_value());
  const auto read = Manifest::from_toml(manifest.to_toml());
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message));
  CHECK(*read == manifest);
}
