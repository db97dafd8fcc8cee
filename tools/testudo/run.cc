// testudo run: makes and shows manifests, which define runs.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "crypto/base/encoding.h"
#include "crypto/base/file.h"
#include "crypto/base/log.h"
#include "node/addresses.h"
#include "node/data_directory.h"
#include "node/node.h"
#include "tools/cli/checks.h"
#include "tools/cli/loop.h"
#include "tools/cli/models.h"
#include "tools/testudo/commands.h"
#include "training/aggregation/rule.h"
#include "training/optimizer/schedule.h"

namespace testudo::tools {
namespace {

struct NewOptions {
  std::string data = node::default_data_directory();
  std::vector<std::string> bootstrap;
  std::string out;
  std::vector<std::string> founders;
  std::string seed;
  std::uint64_t parameters = 1000;  // of the synthetic model
  std::string learning_rate;
  double delta = 0.5;  // seconds, as the next two
  double compute_deadline = 10;
  double exchange_deadline = 5;
  std::optional<double> recompute_tolerance;
  swarm::Manifest manifest;
};

std::uint32_t milliseconds(double seconds) { return static_cast<std::uint32_t>(std::lround(seconds * 1000)); }

Result<swarm::Manifest> make_manifest(const NewOptions& options, const swarm::PeerId& author,
                                      crypto::Rng& rng) {
  swarm::Manifest manifest = options.manifest;
  manifest.author = author;
  for (const std::string& text : options.founders) {
    TRY(const auto founder, node::parse_peer_id(text));
    manifest.founders.push_back(founder);
  }
  if (manifest.founders.empty()) manifest.founders.push_back(author);
  std::ranges::sort(manifest.founders);
  const auto repeated = std::ranges::unique(manifest.founders);
  manifest.founders.erase(repeated.begin(), repeated.end());

  if (options.seed.empty()) {
    rng.fill(manifest.seed);
  } else {
    TRY(manifest.seed, digest_from_hex(options.seed));
  }
  TRY(const auto facts, model_facts(manifest.model, manifest.seed, options.parameters));
  manifest.dataset = facts.dataset;
  manifest.dataset_digest = facts.dataset_digest;
  manifest.initial_parameters = facts.initial_parameters;
  manifest.parameter_count = facts.parameter_count;
  // Of libtorch's kernels: another thread count or instruction set moves some values by a step of the codec.
  manifest.recompute_tolerance = options.recompute_tolerance.value_or(facts.same_bits ? 0 : 0.01);

  const std::string schedule = !options.learning_rate.empty()
                                   ? options.learning_rate
                                   : fmt::format("0:0.1, {}:0", manifest.last_round);
  TRY(const auto parsed, training::Schedule::parse(schedule));
  manifest.learning_rate.clear();
  for (const auto& point : parsed.points()) {
    manifest.learning_rate.push_back({point.step, static_cast<float>(point.rate)});
  }
  manifest.delta_ms = milliseconds(options.delta);
  manifest.compute_deadline_ms = milliseconds(options.compute_deadline);
  manifest.exchange_deadline_ms = milliseconds(options.exchange_deadline);
  TRY_VOID(manifest.validate());
  return manifest;
}

net::Task<Result<void>> publish(node::Node& node, std::vector<net::PeerAddress> bootstrap,
                                swarm::SignedManifest manifest, bool& published) {
  CO_TRY_VOID(co_await node.connect(std::move(bootstrap)));
  CO_TRY_VOID(co_await node::publish_manifest(node.dht(), std::move(manifest)));
  published = true;
  co_return Result<void>();
}

Result<void> run_new(const NewOptions& options, Output& output) {
  TRY(const auto bootstrap, node::parse_peer_addresses(options.bootstrap));
  TRY(const auto data, node::DataDirectory::open(options.data));
  crypto::SystemRng rng;
  TRY(const auto key, data.identity(rng));
  TRY(auto manifest, make_manifest(options, key.peer_id(), rng));
  const std::string run = to_hex(manifest.run_id());
  const std::string toml = manifest.to_toml();
  const auto signed_manifest = swarm::SignedManifest::sign(std::move(manifest), key);
  TRY_VOID(data.keep(signed_manifest));
  if (!options.out.empty()) {
    TRY_VOID(write_file(options.out, as_bytes(toml)));
  }
  if (bootstrap.empty()) {
    log::info(
        "without --bootstrap the manifest is kept in {} only; others find it once you join with --bootstrap",
        data.path());
  } else {
    net::LibuvScheduler scheduler;
    node::Node node(scheduler, key.clone(), node::Node::Role::client);
    bool published = false;
    TRY_VOID(run_task(scheduler, publish(node, bootstrap, signed_manifest, published)));
    if (!published) return {};  // interrupted
  }
  output.say({{"event", "run"}, {"run", run}, {"published", !bootstrap.empty()}}, run);
  return {};
}

// What a manifest says to this value of the field alone, everything else being right.
template <typename T>
auto fits(T swarm::Manifest::* field) {
  return [field](const std::string& text) {
    swarm::Manifest manifest;
    manifest.name = manifest.model = "x";
    manifest.author = swarm::PeerId(crypto::PublicKey(ByteArray<32>{1}));
    manifest.founders = {manifest.author};
    manifest.parameter_count = 1;
    manifest.learning_rate = {{0, 0.0F}};
    manifest.group_max = swarm::max_group;
    if (!CLI::detail::lexical_cast(text, manifest.*field)) {
      return "\"" + text + "\" is no number, or too large a one";
    }
    const auto valid = manifest.validate();
    return valid ? std::string() : valid.error().message;
  };
}

Result<void> check_new(const NewOptions& options) {
  if (options.manifest.start_members > options.manifest.group_max) {
    return fail(ErrorCode::invalid_argument, "--start-members is more than --group-max");
  }
  for (const auto& [name, deadline] : {std::pair("--compute-deadline", options.compute_deadline),
                                       std::pair("--exchange-deadline", options.exchange_deadline)}) {
    if (milliseconds(deadline) > milliseconds(options.delta)) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} must be longer than --delta, or honest members are cut off", name));
  }
  return {};
}

void add_new(Program& program, CLI::App* group) {
  auto options = std::make_shared<NewOptions>();
  CLI::App* command = program.add(
      "new", "Define a run and publish it; prints the run id",
      R"(Everything that a run is stands in its manifest, which you sign; its hash is the run id. The founders (you, unless you
name others), more than half of them, have to be there in every round until 16 members have earned a vote: some 60 rounds
with two validators a round, 80 to 150 with one, 50 with four. Without validators: until 16 members are there.

Example:  testudo run new --model fashion_convnet --rounds 400 --bootstrap ADDRESS
Next:     testudo join RUN --bootstrap ADDRESS     (you first; whoever wants to help uses the same line))",
      [options](Output& output) { return run_new(*options, output); }, group);
  swarm::Manifest& manifest = options->manifest;
  manifest.name = "unnamed";
  manifest.model = model_names().front();
  command->add_option("--data", options->data, "Data directory: your identity, and a copy of the manifest")
      ->capture_default_str();
  command
      ->add_option("--bootstrap", options->bootstrap,
                   "Address of a bootstrap node, to publish there (repeatable)")
      ->check(check_peer_address);
  command->add_option("--out", options->out, "Also write the manifest to this file, as TOML");
  command->add_option("--founder", options->founders, "Peer id of a founder (repeatable; default: you alone)")
      ->check(check_peer_id);

  command->add_option("--name", manifest.name, "A name for people")
      ->check(fits(&swarm::Manifest::name))
      ->capture_default_str()
      ->group("Model");
  command->add_option("--model", manifest.model, "What is trained")
      ->capture_default_str()
      ->check(CLI::IsMember(model_names()))
      ->group("Model");
  command->add_option("--parameters", options->parameters, "Size of the synthetic model")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 28))
      ->group("Model");
  command
      ->add_option("--seed", options->seed,
                   "64 hex digits that everything random starts from (default: drawn)")
      ->check([](const std::string& text) {
        return digest_from_hex(text) ? std::string() : "a seed is 64 hex digits";
      })
      ->group("Model");

  command->add_option("--rounds", manifest.last_round, "Rounds until the run ends")
      ->check(fits(&swarm::Manifest::last_round))
      ->capture_default_str()
      ->group("Training");
  command->add_option("--samples", manifest.samples, "Samples that a member contributes in a round")
      ->check(fits(&swarm::Manifest::samples))
      ->capture_default_str()
      ->group("Training");
  command->add_option("--optimizer", manifest.optimizer, "How the average becomes a step")
      ->capture_default_str()
      ->check(CLI::IsMember({"sgd"}))
      ->group("Training");
  command
      ->add_option("--learning-rate", options->learning_rate,
                   "Piecewise linear over rounds, like \"0:0.1, 400:0\" (default: 0.1 falling to 0)")
      ->check([](const std::string& text) {
        const auto schedule = training::Schedule::parse(text);
        return schedule ? std::string() : schedule.error().message;
      })
      ->group("Training");
  command->add_option("--momentum", manifest.momentum, "Of SGD")
      ->check(fits(&swarm::Manifest::momentum))
      ->capture_default_str()
      ->group("Training");
  command->add_option("--weight-decay", manifest.weight_decay, "Of SGD")
      ->check(fits(&swarm::Manifest::weight_decay))
      ->capture_default_str()
      ->group("Training");
  command->add_flag("--nesterov", manifest.nesterov, "Nesterov momentum")->group("Training");
  command
      ->add_option("--gradient-norm-limit", manifest.gradient_norm_limit,
                   "Clip the average to this norm; 0: no")
      ->check(fits(&swarm::Manifest::gradient_norm_limit))
      ->capture_default_str()
      ->group("Training");

  command->add_option("--rule", manifest.rule, "How contributions are averaged: " + training::rule_grammar())
      ->capture_default_str()
      ->check(check_rule)
      ->group("Averaging");
  command
      ->add_option("--tau", manifest.tau,
                   "Clipping radius of centered_clip for the whole gradient; 0: automatic")
      ->check(fits(&swarm::Manifest::tau))
      ->capture_default_str()
      ->group("Averaging");
  command->add_option("--codec", manifest.codec, "How numbers travel")
      ->capture_default_str()
      ->check(CLI::IsMember({"int8", "fp16", "fp32"}))
      ->group("Averaging");
  command->add_option("--g-max", manifest.g_max, "A value beyond this is refused")
      ->check(fits(&swarm::Manifest::g_max))
      ->capture_default_str()
      ->group("Averaging");

  command
      ->add_option("--hostile-share", manifest.hostile_share, "Share of hostile votes to survive, below 0.5")
      ->check(fits(&swarm::Manifest::hostile_share))
      ->capture_default_str()
      ->group("Protocol");
  command->add_option("--group-max", manifest.group_max, "Members of a group at most")
      ->check(fits(&swarm::Manifest::group_max))
      ->capture_default_str()
      ->group("Protocol");
  manifest.start_members = 2;
  command
      ->add_option("--start-members", manifest.start_members,
                   "Members that must be there before the first round; 1: start alone")
      ->check(fits(&swarm::Manifest::start_members))
      ->capture_default_str()
      ->group("Protocol");
  command->add_option("--growth-cap", manifest.growth_cap, "Admissions a round, as a share of the members")
      ->check(fits(&swarm::Manifest::growth_cap))
      ->capture_default_str()
      ->group("Protocol");
  command->add_option("--challenge-limit", manifest.challenge_limit, "Challenges of a member in a round")
      ->check(fits(&swarm::Manifest::challenge_limit))
      ->capture_default_str()
      ->group("Protocol");
  manifest.validators = 2;
  command
      ->add_option(
          "--validators", manifest.validators,
          "Members that recompute another's gradient in a round, a quarter at most; 0: none. The more, "
          "the sooner others have a vote and attackers are found, and the fewer gradients are averaged")
      ->check(fits(&swarm::Manifest::validators))
      ->capture_default_str()
      ->group("Protocol");
  command
      ->add_option(
          "--recompute-tolerance", options->recompute_tolerance,
          "How far honest computers' gradients may be apart, relative to their length (default: 0 for "
          "models that compute the same bits everywhere, 0.01 for others)")
      ->check(finite_range(0.0, swarm::max_recompute_tolerance))
      ->group("Protocol");
  const auto seconds = [](std::uint32_t least, std::uint32_t most) {
    return finite_range(least / 1000.0, most / 1000.0);
  };
  const auto deadline = seconds(swarm::min_delta_ms + 1, swarm::max_deadline_ms);
  command
      ->add_option("--delta", options->delta, "Seconds that a message between honest members takes at most")
      ->capture_default_str()
      ->check(seconds(swarm::min_delta_ms, swarm::max_delta_ms))
      ->group("Protocol");
  command
      ->add_option("--compute-deadline", options->compute_deadline,
                   "Seconds for computing a contribution and agreeing on it")
      ->capture_default_str()
      ->check(deadline)
      ->group("Protocol");
  command
      ->add_option("--exchange-deadline", options->exchange_deadline,
                   "Seconds for every other phase; twice that where it moves gradients")
      ->capture_default_str()
      ->check(deadline)
      ->group("Protocol");
  check_together(*command, [options] { return check_new(*options); });
}

struct ShowOptions {
  std::string run;
  std::string data = node::default_data_directory();
  std::vector<std::string> bootstrap;
};

Json manifest_json(const swarm::Manifest& manifest) {
  Json founders = Json::array();
  for (const auto& founder : manifest.founders) founders.push_back(founder.to_text());
  Json rates = Json::array();
  for (const auto& point : manifest.learning_rate)
    rates.push_back(Json::array({Json(point.step), Json(point.value)}));
  return {{"event", "manifest"},
          {"run", to_hex(manifest.run_id())},
          {"name", manifest.name},
          {"author", manifest.author.to_text()},
          {"founders", std::move(founders)},
          {"model", manifest.model},
          {"dataset", manifest.dataset},
          {"dataset_digest", to_hex(manifest.dataset_digest)},
          {"seed", to_hex(manifest.seed)},
          {"initial_parameters", to_hex(manifest.initial_parameters)},
          {"parameter_count", manifest.parameter_count},
          {"samples", manifest.samples},
          {"last_round", manifest.last_round},
          {"optimizer", manifest.optimizer},
          {"momentum", manifest.momentum},
          {"weight_decay", manifest.weight_decay},
          {"nesterov", manifest.nesterov},
          {"gradient_norm_limit", manifest.gradient_norm_limit},
          {"learning_rate", std::move(rates)},
          {"codec", manifest.codec},
          {"rule", manifest.rule},
          {"tau", manifest.tau},
          {"g_max", manifest.g_max},
          {"hostile_share", manifest.hostile_share},
          {"group_max", manifest.group_max},
          {"start_members", manifest.start_members},
          {"growth_cap", manifest.growth_cap},
          {"challenge_limit", manifest.challenge_limit},
          {"validators", manifest.validators},
          {"recompute_tolerance", manifest.recompute_tolerance},
          {"delta_ms", manifest.delta_ms},
          {"compute_deadline_ms", manifest.compute_deadline_ms},
          {"exchange_deadline_ms", manifest.exchange_deadline_ms}};
}

net::Task<Result<void>> fetch(node::Node& node, std::vector<net::PeerAddress> bootstrap, swarm::RunId run,
                              std::optional<swarm::SignedManifest>& found) {
  CO_TRY_VOID(co_await node.connect(std::move(bootstrap)));
  CO_TRY(found, co_await node::find_manifest(node.scheduler(), node.dht(), run, std::chrono::seconds(15)));
  co_return Result<void>();
}

Result<void> run_show(const ShowOptions& options, Output& output) {
  TRY(const auto run, node::parse_run_id(options.run));
  TRY(const auto bootstrap, node::parse_peer_addresses(options.bootstrap));
  TRY(auto manifest, node::kept_manifest(options.data, run, !bootstrap.empty()));
  if (!manifest && bootstrap.empty()) {
    return fail(ErrorCode::not_found, "the data directory " + options.data + " does not hold the run " +
                                          options.run +
                                          "; give --bootstrap ADDRESS to look it up in the DHT");
  }
  if (!manifest) {
    crypto::SystemRng rng;
    net::LibuvScheduler scheduler;
    node::Node node(scheduler, crypto::KeyPair::generate(rng), node::Node::Role::client);
    TRY_VOID(run_task(scheduler, fetch(node, bootstrap, run, manifest)));
    if (!manifest) return {};  // interrupted
  }
  output.say(manifest_json(manifest->manifest), "# run " + options.run + "\n" + manifest->manifest.to_toml());
  return {};
}

void add_show(Program& program, CLI::App* group) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = program.add(
      "show", "Show a run's manifest",
      R"(Looks in the data directory first, then in the DHT. What is shown was checked: the run id is the manifest's hash, and its
author signed it.

Example:  testudo run show RUN --bootstrap ADDRESS
Next:     testudo join RUN --bootstrap ADDRESS)",
      [options](Output& output) { return run_show(*options, output); }, group);
  command->add_option("run", options->run, "Run id, 64 hex digits")->required()->check(check_run_id);
  command->add_option("--data", options->data, "Data directory")->capture_default_str();
  command->add_option("--bootstrap", options->bootstrap, "Address of a bootstrap node (repeatable)")
      ->check(check_peer_address);
}

}  // namespace

void add_run(Program& program) {
  CLI::App* group = program.add_group("run", "Define runs and show them",
                                      "Next: testudo run new --help, testudo run show --help");
  add_new(program, group);
  add_show(program, group);
}

}  // namespace testudo::tools
