#include "tools/cli/join.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <optional>

#include "crypto/base/encoding.h"
#include "net/async/combinators.h"
#include "net/async/task_group.h"
#include "net/storage/sqlite_storage.h"
#include "tools/cli/addresses.h"
#include "tools/cli/events.h"
#include "tools/cli/loop.h"
#include "tools/cli/models.h"
#include "tools/cli/node.h"
#include "training/data/safetensors.h"

namespace testudo::tools {
namespace {

using net::Task;
using namespace std::chrono_literals;

constexpr net::Duration manifest_limit = 60s;
constexpr net::Duration publish_interval = 10min;  // others may join as long as the run lasts

// The founder's offer of the manifest to whoever looks for it, for as long as this runs.
Task<void> keep_published(Node& node, swarm::SignedManifest manifest) {
  for (;;) {
    auto published = co_await publish_manifest(node.dht(), manifest);
    // Alone, nobody takes it; the next try finds who has come meanwhile.
    if (!published) spdlog::debug("{}", published.error().message);
    co_await net::sleep_for(node.scheduler(), published ? publish_interval : net::Duration(5s));
  }
}

Task<void> keep_peers_saved(Node& node, std::string path) {
  for (;;) {
    co_await net::sleep_for(node.scheduler(), 1min);
    node.save_peers(path);
  }
}

// One participation, from the listening sockets to the trained model.
class Session {
 public:
  Session(const JoinOptions& options, const JoinHooks& hooks, Output& output, const DataDirectory& data,
          net::Storage& storage, Node& node, swarm::RunId run)
      : options_(options),
        hooks_(hooks),
        output_(output),
        data_(data),
        storage_(storage),
        node_(node),
        run_(run) {}

  Task<Result<void>> run(std::vector<net::Multiaddr> listen, std::vector<net::PeerAddress> bootstrap,
                         std::optional<swarm::SignedManifest> kept) {
    Models models;
    // What is wrong with this machine is found before anybody hears of this member.
    if (kept) {
      CO_TRY(models, co_await load_models(kept->manifest));
    }
    CO_TRY_VOID(co_await node_.listen(std::move(listen), output_));
    CO_TRY_VOID(co_await reach_others(std::move(bootstrap)));
    if (!kept) {
      CO_TRY(kept, co_await find_manifest(node_.scheduler(), node_.dht(), run_, manifest_limit));
      CO_TRY(models, co_await load_models(kept->manifest));
      CO_TRY_VOID(data_.keep(*kept));
    }
    net::TaskGroup background(node_.scheduler());
    background.spawn(keep_published(node_, *kept));
    background.spawn(keep_peers_saved(node_, data_.file("peers")));
    co_return co_await take_part(std::move(*kept), std::move(models));
  }

 private:
  // On the pool: reading a data set takes a while.
  Task<Result<Models>> load_models(swarm::Manifest manifest) {
    auto models = co_await net::offload(node_.scheduler(), [manifest] { return make_models(manifest); });
    if (models && hooks_.wrap_model) models->model = hooks_.wrap_model(std::move(models->model));
    co_return models;
  }

  Task<Result<void>> reach_others(std::vector<net::PeerAddress> bootstrap) {
    std::vector<net::PeerAddress> peers = Node::load_peers(data_.file("peers"));
    // A lone founder has nobody to reach yet; the others come to it.
    if (bootstrap.empty() && peers.empty())
      spdlog::info("no --bootstrap given: waiting for others to dial this node");
    peers.insert(peers.begin(), bootstrap.begin(), bootstrap.end());
    Output& output = output_;
    co_return co_await node_.connect(bootstrap.empty() ? std::vector<net::PeerAddress>() : std::move(peers),
                                     [&output](const std::string& reason) {
                                       output.say({{"event", "waiting"}, {"reason", reason}},
                                                  "waiting: " + reason);
                                     });
  }

  Task<Result<void>> take_part(swarm::SignedManifest manifest, Models models) {
    RunEvents events(output_, node_.scheduler(), manifest, hooks_.on_round_started);
    training::ParticipantOptions options;
    options.evaluate_every = options_.evaluate_every;
    options.client_mode = options_.client;
    training::Participant participant(node_.host(), node_.dht(), storage_, manifest, models.model,
                                      models.evaluator, events, options);
    CO_TRY_VOID(co_await participant.run());
    const std::string path = data_.file("model.safetensors");
    CO_TRY_VOID(training::write_safetensors(path, models.evaluator->layout(), participant.parameters(),
                                            {{"run", to_hex(run_)}, {"model", manifest.manifest.model}}));
    say_done(participant, events, path);
    co_return Result<void>();
  }

  void say_done(const training::Participant& participant, const RunEvents& events, const std::string& path) {
    const auto& evaluation = events.last_evaluation();
    const std::uint64_t rounds = participant.finished_rounds().value();
    output_.say({{"event", "done"},
                 {"run", to_hex(run_)},
                 {"rounds", rounds},
                 {"accuracy", evaluation ? number(evaluation->accuracy) : Json(nullptr)},
                 {"evaluation_loss", evaluation ? number(evaluation->loss) : Json(nullptr)},
                 {"model", path}},
                fmt::format("done after {} rounds{}; the model is {}", rounds,
                            evaluation ? fmt::format(", accuracy {:.1f} %", evaluation->accuracy * 100)
                                       : std::string(),
                            path));
  }

  const JoinOptions& options_;
  const JoinHooks& hooks_;
  Output& output_;
  const DataDirectory& data_;
  net::Storage& storage_;
  Node& node_;
  swarm::RunId run_;
};

}  // namespace

void add_join_options(CLI::App& app, JoinOptions& options) {
  app.add_option("run", options.run, "Run id, 64 hex digits, as run new prints it")->required();
  app.add_option("--bootstrap", options.bootstrap,
                 "Address of a bootstrap node, /ip4/.../tcp/.../p2p/12D3Koo... (repeatable)");
  app.add_option("--data", options.data, "Data directory: identity, progress, the trained model")
      ->capture_default_str();
  app.add_option("--listen", options.listen, "Address to listen on; port 0: any free one (repeatable)")
      ->capture_default_str();
  app.add_option("--evaluate-every", options.evaluate_every, "Rounds between evaluations here; 0: never")
      ->capture_default_str();
  app.add_flag("--client", options.client,
               "Nobody can dial this machine: compute, but reduce nothing for others");
}

Result<void> join(const JoinOptions& options, const JoinHooks& hooks, Output& output) {
  TRY(const auto run, parse_run_id(options.run));
  TRY(const auto listen, parse_listen_addresses(options.listen));
  TRY(const auto bootstrap, parse_peer_addresses(options.bootstrap));
  TRY(const auto data, DataDirectory::open(options.data));
  TRY(const auto kept, kept_manifest(data.path(), run));
  if (!kept && bootstrap.empty()) {
    return fail(ErrorCode::invalid_argument, "the data directory " + data.path() + " does not hold the run " +
                                                 options.run + "; give --bootstrap ADDRESS to find it");
  }
  crypto::SystemRng rng;
  TRY(auto key, data.identity(rng));
  TRY(const auto storage, net::SqliteStorage::open(data.file("testudo.sqlite")));
  net::LibuvScheduler scheduler;
  Node node(scheduler, std::move(key), options.client ? Node::Role::client : Node::Role::server);
  Session session(options, hooks, output, data, *storage, node, run);
  auto result = run_task(scheduler, session.run(listen, bootstrap, kept));
  node.save_peers(data.file("peers"));
  return result;
}

}  // namespace testudo::tools
