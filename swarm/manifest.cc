#include "swarm/manifest.h"

#include <algorithm>
#include <cmath>

#include "crypto/base/encoding.h"
#include "crypto/hash.h"
#include "crypto/signing.h"
#include "net/messages/message.h"

namespace testudo::swarm {
namespace {

constexpr std::uint8_t format_version = 1;
constexpr std::string_view domain = "testudo/manifest/1";

// Bounds, so that no field of a stranger's manifest makes this machine do or hold something absurd.
constexpr std::size_t max_text = 128;
constexpr std::size_t max_founders = 64;
constexpr std::size_t max_schedule_points = 1024;
constexpr std::uint64_t max_round = std::uint64_t{1} << 40;
constexpr std::uint32_t max_samples = 65'536;
constexpr std::uint64_t max_parameters = std::uint64_t{1} << 32;
constexpr std::uint32_t max_challenges = 64;
constexpr std::uint32_t max_validators = 64;  // a quarter of the largest group

net::MessageLimits limits() {
  return {.size = manifest_max_bytes, .elements = max_schedule_points, .depth = 4};
}

struct PointWire {
  std::uint64_t step = 0;
  float value = 0;
  MSGPACK_DEFINE(step, value)
};

struct ManifestWire {
  std::uint8_t version = 0;
  std::string name;
  PeerId author;
  std::vector<PeerId> founders;
  std::string model, dataset;
  Digest dataset_digest{}, seed{}, initial_parameters{};
  std::uint64_t parameter_count = 0;
  std::uint32_t samples = 0;
  std::uint64_t last_round = 0;
  std::string optimizer;
  float momentum = 0, weight_decay = 0;
  bool nesterov = false;
  float gradient_norm_limit = 0;
  std::vector<PointWire> learning_rate;
  std::string codec, rule;
  double tau = 0;
  float g_max = 0;
  double hostile_share = 0;
  std::uint32_t group_max = 0;
  std::uint32_t start_members = 0;
  double growth_cap = 0;
  std::uint32_t challenge_limit = 0;
  std::uint32_t validators = 0;
  double recompute_tolerance = 0;
  std::uint32_t delta_ms = 0, compute_deadline_ms = 0, exchange_deadline_ms = 0;
  MSGPACK_DEFINE(version, name, author, founders, model, dataset, dataset_digest, seed, initial_parameters,
                 parameter_count, samples, last_round, optimizer, momentum, weight_decay, nesterov,
                 gradient_norm_limit, learning_rate, codec, rule, tau, g_max, hostile_share, group_max,
                 start_members, growth_cap, challenge_limit, validators, recompute_tolerance, delta_ms,
                 compute_deadline_ms, exchange_deadline_ms)
};

struct SignedWire {
  std::uint8_t version = 0;
  Bytes manifest;
  crypto::Signature signature{};
  MSGPACK_DEFINE(version, manifest, signature)
};

Result<Manifest> decode_manifest(ByteView bytes) {
  auto unpacked = net::unpack<ManifestWire>(bytes, limits());
  if (!unpacked) return fail(std::move(unpacked).error().in("manifest"));
  ManifestWire& wire = *unpacked;
  if (wire.version != format_version) {
    return fail(ErrorCode::protocol,
                "manifest: format version " + std::to_string(wire.version) + " is unknown here");
  }
  Manifest manifest;
  manifest.name = std::move(wire.name);
  manifest.author = wire.author;
  manifest.founders = std::move(wire.founders);
  manifest.model = std::move(wire.model);
  manifest.dataset = std::move(wire.dataset);
  manifest.dataset_digest = wire.dataset_digest;
  manifest.seed = wire.seed;
  manifest.initial_parameters = wire.initial_parameters;
  manifest.parameter_count = wire.parameter_count;
  manifest.samples = wire.samples;
  manifest.last_round = wire.last_round;
  manifest.optimizer = std::move(wire.optimizer);
  manifest.momentum = wire.momentum;
  manifest.weight_decay = wire.weight_decay;
  manifest.nesterov = wire.nesterov;
  manifest.gradient_norm_limit = wire.gradient_norm_limit;
  for (const PointWire& point : wire.learning_rate)
    manifest.learning_rate.push_back({point.step, point.value});
  manifest.codec = std::move(wire.codec);
  manifest.rule = std::move(wire.rule);
  manifest.tau = wire.tau;
  manifest.g_max = wire.g_max;
  manifest.hostile_share = wire.hostile_share;
  manifest.group_max = wire.group_max;
  manifest.start_members = wire.start_members;
  manifest.growth_cap = wire.growth_cap;
  manifest.challenge_limit = wire.challenge_limit;
  manifest.validators = wire.validators;
  manifest.recompute_tolerance = wire.recompute_tolerance;
  manifest.delta_ms = wire.delta_ms;
  manifest.compute_deadline_ms = wire.compute_deadline_ms;
  manifest.exchange_deadline_ms = wire.exchange_deadline_ms;
  return manifest;
}

// Printable ASCII: a name shows what it is, on every terminal, and two names that look alike are alike.
bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

tl::unexpected<Error> bad(const std::string& what) {
  return fail(ErrorCode::invalid_argument, "manifest: " + what);
}

Result<void> check_text(std::string_view field, std::string_view text, bool required = true) {
  if (required && text.empty()) return bad(std::string(field) + " is missing");
  if (text.size() > max_text) {
    return bad(std::string(field) + " is longer than " + std::to_string(max_text) + " characters");
  }
  if (!is_printable(text)) return bad(std::string(field) + " has other than printable ASCII characters");
  return {};
}

Result<void> check_integer(std::string_view field, std::uint64_t value, std::uint64_t least,
                           std::uint64_t most) {
  if (value >= least && value <= most) return {};
  return bad(std::string(field) + " is " + std::to_string(value) + ", not between " + std::to_string(least) +
             " and " + std::to_string(most));
}

Result<void> check_real(std::string_view field, bool holds, std::string_view rule) {
  if (holds) return {};
  return bad(std::string(field) + " must be " + std::string(rule));
}

bool at_least_zero(double value) { return std::isfinite(value) && value >= 0; }

Result<void> check_people(const Manifest& manifest) {
  if (manifest.author == PeerId()) return bad("author is missing");
  TRY_VOID(check_integer("the number of founders", manifest.founders.size(), 1, max_founders));
  for (std::size_t i = 0; i < manifest.founders.size(); ++i) {
    if (manifest.founders[i] == PeerId()) return bad("a founder is missing");
    if (i > 0 && manifest.founders[i] <= manifest.founders[i - 1]) {
      return bad("founders must ascend, each one once: " + manifest.founders[i].to_text() +
                 " is out of place");
    }
  }
  return {};
}

Result<void> check_training(const Manifest& manifest) {
  TRY_VOID(check_integer("samples", manifest.samples, 1, max_samples));
  TRY_VOID(check_integer("last_round", manifest.last_round, 1, max_round));
  TRY_VOID(check_integer("parameter_count", manifest.parameter_count, 1, max_parameters));
  TRY_VOID(check_real("momentum", manifest.momentum >= 0 && manifest.momentum < 1, "at least 0 and below 1"));
  TRY_VOID(check_real("weight_decay", at_least_zero(manifest.weight_decay), "finite and at least 0"));
  TRY_VOID(check_real("gradient_norm_limit", at_least_zero(manifest.gradient_norm_limit),
                      "finite and at least 0"));
  TRY_VOID(check_integer("the number of learning_rate points", manifest.learning_rate.size(), 1,
                         max_schedule_points));
  for (std::size_t i = 0; i < manifest.learning_rate.size(); ++i) {
    const SchedulePoint& point = manifest.learning_rate[i];
    TRY_VOID(check_integer("a learning_rate step", point.step, 0, max_round));
    if (i > 0 && point.step <= manifest.learning_rate[i - 1].step) {
      return bad("learning_rate steps must ascend: " + std::to_string(point.step) + " is out of place");
    }
    TRY_VOID(check_real("a learning_rate value", at_least_zero(point.value), "finite and at least 0"));
  }
  return {};
}

Result<void> check_swarm(const Manifest& manifest) {
  TRY_VOID(check_real("tau", at_least_zero(manifest.tau), "finite and at least 0 (0: automatic)"));
  TRY_VOID(check_real("g_max", std::isfinite(manifest.g_max) && manifest.g_max > 0, "finite and above 0"));
  TRY_VOID(check_real("hostile_share", manifest.hostile_share > 0 && manifest.hostile_share < 0.5,
                      "above 0 and below 0.5: no rule survives a hostile half"));
  TRY_VOID(check_integer("group_max", manifest.group_max, 1, max_group));
  TRY_VOID(check_integer("start_members", manifest.start_members, 1, manifest.group_max));
  TRY_VOID(check_real("growth_cap", manifest.growth_cap >= 0 && manifest.growth_cap <= 1, "between 0 and 1"));
  TRY_VOID(check_integer("challenge_limit", manifest.challenge_limit, 1, max_challenges));
  TRY_VOID(check_integer("validators", manifest.validators, 0, max_validators));
  TRY_VOID(
      check_real("recompute_tolerance",
                 manifest.recompute_tolerance >= 0 && manifest.recompute_tolerance <= max_recompute_tolerance,
                 "between 0 and 0.25: beyond that a validator tells nothing from anything"));
  TRY_VOID(check_integer("delta_ms", manifest.delta_ms, min_delta_ms, max_delta_ms));
  // A deadline that is no longer than one delivery would cut off honest members.
  TRY_VOID(check_integer("compute_deadline_ms", manifest.compute_deadline_ms, manifest.delta_ms + 1,
                         max_deadline_ms));
  TRY_VOID(check_integer("exchange_deadline_ms", manifest.exchange_deadline_ms, manifest.delta_ms + 1,
                         max_deadline_ms));
  return {};
}

}  // namespace

Bytes Manifest::encode() const {
  ManifestWire wire;
  wire.version = format_version;
  wire.name = name;
  wire.author = author;
  wire.founders = founders;
  wire.model = model;
  wire.dataset = dataset;
  wire.dataset_digest = dataset_digest;
  wire.seed = seed;
  wire.initial_parameters = initial_parameters;
  wire.parameter_count = parameter_count;
  wire.samples = samples;
  wire.last_round = last_round;
  wire.optimizer = optimizer;
  wire.momentum = momentum;
  wire.weight_decay = weight_decay;
  wire.nesterov = nesterov;
  wire.gradient_norm_limit = gradient_norm_limit;
  for (const SchedulePoint& point : learning_rate) wire.learning_rate.push_back({point.step, point.value});
  wire.codec = codec;
  wire.rule = rule;
  wire.tau = tau;
  wire.g_max = g_max;
  wire.hostile_share = hostile_share;
  wire.group_max = group_max;
  wire.start_members = start_members;
  wire.growth_cap = growth_cap;
  wire.challenge_limit = challenge_limit;
  wire.validators = validators;
  wire.recompute_tolerance = recompute_tolerance;
  wire.delta_ms = delta_ms;
  wire.compute_deadline_ms = compute_deadline_ms;
  wire.exchange_deadline_ms = exchange_deadline_ms;
  return net::pack(wire);
}

RunId Manifest::run_id() const { return crypto::blake2b(encode()); }

Result<void> Manifest::validate() const {
  TRY_VOID(check_text("name", name));
  TRY_VOID(check_people(*this));
  TRY_VOID(check_text("model", model));
  TRY_VOID(check_text("dataset", dataset, false));
  TRY_VOID(check_text("optimizer", optimizer));
  TRY_VOID(check_text("codec", codec));
  TRY_VOID(check_text("rule", rule));
  TRY_VOID(check_training(*this));
  TRY_VOID(check_swarm(*this));
  const std::size_t size = encode().size();
  if (size > manifest_max_bytes - signed_overhead) return bad(std::to_string(size) + " bytes are too many");
  return {};
}

SignedManifest SignedManifest::sign(Manifest manifest, const crypto::KeyPair& author) {
  manifest.author = author.peer_id();
  if (manifest.founders.empty()) manifest.founders = {manifest.author};
  const crypto::Signature signature = crypto::sign(author, domain, manifest.encode());
  return {std::move(manifest), signature};
}

Bytes SignedManifest::encode() const {
  SignedWire wire;
  wire.version = format_version;
  wire.manifest = manifest.encode();
  wire.signature = signature;
  return net::pack(wire);
}

Result<SignedManifest> SignedManifest::decode(ByteView bytes) {
  const auto unpacked = net::unpack<SignedWire>(bytes, limits());
  if (!unpacked) return fail(Error(unpacked.error()).in("signed manifest"));
  const SignedWire& wire = *unpacked;
  if (wire.version != format_version) {
    return fail(ErrorCode::protocol,
                "signed manifest: format version " + std::to_string(wire.version) + " is unknown here");
  }
  TRY(auto manifest, decode_manifest(wire.manifest));
  TRY_VOID(manifest.validate());
  if (!crypto::verify(manifest.author.key(), domain, wire.manifest, wire.signature)) {
    return fail(ErrorCode::authentication, "manifest of run " + to_hex(manifest.run_id()) +
                                               ": signed by somebody else than its author, " +
                                               manifest.author.to_text());
  }
  return SignedManifest{std::move(manifest), wire.signature};
}

}  // namespace testudo::swarm
