#include "tools/cli/join.h"

#include <spdlog/fmt/fmt.h>

#include <optional>

#include "crypto/base/counted.h"
#include "crypto/base/encoding.h"
#include "crypto/base/log.h"
#include "net/async/task_group.h"
#include "net/storage/sqlite_storage.h"
#include "node/addresses.h"
#include "node/metrics.h"
#include "node/node.h"
#include "node/session.h"
#include "tools/cli/checks.h"
#include "tools/cli/events.h"
#include "tools/cli/loop.h"
#include "tools/cli/metrics.h"
#include "tools/cli/models.h"
#include "training/data/safetensors.h"

namespace testudo::tools {
namespace {

using net::Task;

void say_done(const node::Trained& trained, const std::string& run, const RunEvents& events,
              const std::string& path, Output& output) {
  const auto& evaluation = events.last_evaluation();
  const std::uint64_t rounds = trained.rounds.value();
  output.say(
      {{"event", "done"},
       {"run", run},
       {"rounds", rounds},
       {"accuracy", evaluation ? number(evaluation->accuracy) : Json(nullptr)},
       {"evaluation_loss", evaluation ? number(evaluation->loss) : Json(nullptr)},
       {"model", path}},
      fmt::format("done after {}{}; the model is {}", counted(rounds, "round"),
                  evaluation ? fmt::format(", accuracy {:.1f} %", evaluation->accuracy * 100) : std::string(),
                  path));
}

struct Plan {
  swarm::RunId run;
  std::vector<net::Multiaddr> listen;
  std::vector<net::PeerAddress> bootstrap;
  std::optional<swarm::SignedManifest> kept;
};

// From the listening sockets to the trained model.
Task<Result<void>> take_part(Plan plan, node::Node& node, node::Session& session,
                             const node::DataDirectory& data, const RunEvents& events, Output& output) {
  if (plan.kept) {
    CO_TRY_VOID(co_await session.prepare(std::move(*plan.kept)));
  }
  CO_TRY_VOID(co_await listen(node, std::move(plan.listen), output));
  std::vector<net::PeerAddress> peers = node::Node::load_peers(data.file("peers"));
  // A lone founder has nobody to reach yet; the others come to it.
  if (plan.bootstrap.empty() && peers.empty())
    log::info("no --bootstrap given: waiting for others to dial this node");
  peers.insert(peers.begin(), plan.bootstrap.begin(), plan.bootstrap.end());
  if (plan.bootstrap.empty()) peers.clear();
  CO_TRY_VOID(co_await node.connect(std::move(peers), [&output](const std::string& reason) {
    output.say({{"event", "waiting"}, {"reason", reason}}, "waiting: " + reason);
  }));
  net::TaskGroup background(node.scheduler());
  background.spawn(node.keep_peers_saved(data.file("peers")));
  CO_TRY(const node::Trained trained, co_await session.take_part());
  const std::string path = data.file("model.safetensors");
  const std::string run = to_hex(plan.run);
  CO_TRY_VOID(training::write_safetensors(path, trained.models.evaluator->layout(), trained.parameters,
                                          {{"run", run}, {"model", trained.model}}));
  say_done(trained, run, events, path, output);
  co_return Result<void>();
}

}  // namespace

void add_join_options(CLI::App& app, JoinOptions& options) {
  app.add_option("run", options.run, "Run id, 64 hex digits, as run new prints it")
      ->required()
      ->check(check_run_id);
  app.add_option("--bootstrap", options.bootstrap,
                 "Address of a bootstrap node, /ip4/.../tcp/.../p2p/12D3Koo... (repeatable)")
      ->check(check_peer_address);
  app.add_option("--data", options.data, "Data directory: identity, progress, the trained model")
      ->capture_default_str();
  app.add_option("--listen", options.listen, "Address to listen on; port 0: any free one (repeatable)")
      ->check(check_listen_address)
      ->capture_default_str();
  app.add_option("--evaluate-every", options.evaluate_every, "Rounds between evaluations here; 0: never")
      ->capture_default_str();
  app.add_flag("--client", options.client,
               "Nobody can dial this machine: compute, but reduce nothing for others");
  add_metrics_option(app, options.metrics);
}

Result<void> join(const JoinOptions& options, const JoinHooks& hooks, Output& output) {
  Plan plan;
  TRY(plan.run, node::parse_run_id(options.run));
  TRY(plan.listen, node::parse_listen_addresses(options.listen));
  TRY(plan.bootstrap, node::parse_peer_addresses(options.bootstrap));
  TRY(const auto data, node::DataDirectory::open(options.data));
  TRY(plan.kept, node::kept_manifest(data.path(), plan.run, !plan.bootstrap.empty()));
  if (!plan.kept && plan.bootstrap.empty()) {
    return fail(ErrorCode::invalid_argument, "the data directory " + data.path() + " does not hold the run " +
                                                 options.run + "; give --bootstrap ADDRESS to find it");
  }
  crypto::SystemRng rng;
  TRY(auto key, data.identity(rng));
  TRY(const auto storage, net::SqliteStorage::open(data.file("testudo.sqlite")));
  const auto wrapped = hooks.wrap_storage ? hooks.wrap_storage(*storage) : nullptr;
  net::LibuvScheduler scheduler;
  node::Node node(scheduler, std::move(key),
                  options.client ? node::Node::Role::client : node::Node::Role::server);
  const node::ModelSource source =
      [wrap = hooks.wrap_model](const swarm::Manifest& manifest) -> Result<node::Models> {
    TRY(auto models, make_models(manifest));
    if (wrap) {
      TRY(models.model, wrap(manifest, std::move(models.model)));
    }
    return models;
  };
  RunEvents events(output, scheduler, plan.run, hooks.on_round_started, hooks.on_phase_ended);
  TRY(const auto metrics, Metrics::start(options.metrics, node, output));
  node::RoundMetrics observer(metrics->registry(), events);
  training::ParticipantOptions participant;
  participant.evaluate_every = options.evaluate_every;
  participant.client_mode = options.client;
  participant.misconduct = hooks.misconduct;
  node::Session session(node, wrapped ? *wrapped : *storage, &data, plan.run, source, observer, participant);
  auto result = run_task(scheduler, take_part(std::move(plan), node, session, data, events, output));
  node.save_peers(data.file("peers"));
  return result;
}

}  // namespace testudo::tools
