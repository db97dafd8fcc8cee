// testudo bootstrap: a node that others start from.

#include <memory>

#include "crypto/base/log.h"
#include "node/addresses.h"
#include "node/data_directory.h"
#include "node/node.h"
#include "tools/cli/checks.h"
#include "tools/cli/events.h"
#include "tools/cli/loop.h"
#include "tools/cli/metrics.h"
#include "tools/testudo/commands.h"

namespace testudo::tools {
namespace {

struct BootstrapOptions {
  std::vector<std::string> listen;
  std::vector<std::string> bootstrap;
  std::string data = node::default_data_directory();
  std::string metrics;
};

net::Task<Result<void>> serve(node::Node& node, std::vector<net::Multiaddr> addresses,
                              std::vector<net::PeerAddress> others, std::string peers_file, Output& output) {
  CO_TRY_VOID(co_await listen(node, std::move(addresses), output));
  const auto known = node::Node::load_peers(peers_file);
  others.insert(others.end(), known.begin(), known.end());
  // The other bootstrap nodes may come up later; this one serves meanwhile.
  co_await node.connect_at_last(std::move(others), [](const std::string& reason) {
    log::warn("no other node could be reached, trying again: {}", reason);
  });
  co_await node.keep_peers_saved(std::move(peers_file));
  co_return Result<void>();
}

Result<void> bootstrap(const BootstrapOptions& options, Output& output) {
  TRY(const auto listen, node::parse_listen_addresses(options.listen));
  TRY(const auto others, node::parse_peer_addresses(options.bootstrap));
  TRY(const auto data, node::DataDirectory::open(options.data));
  crypto::SystemRng rng;
  TRY(auto key, data.identity(rng));
  net::LibuvScheduler scheduler;
  node::Node node(scheduler, std::move(key), node::Node::Role::server);
  TRY(const auto metrics, Metrics::start(options.metrics, node, output));
  auto result = run_task(scheduler, serve(node, listen, others, data.file("peers"), output));
  node.save_peers(data.file("peers"));
  return result;
}

}  // namespace

void add_bootstrap(Program& program) {
  auto options = std::make_shared<BootstrapOptions>();
  CLI::App* command = program.add(
      "bootstrap", "Host a node that others start from",
      R"(Serves the DHT, where members find runs and one another; it takes no part in training and is trusted with nothing. Prints
one line `listening ADDRESS` for each address that others can give as --bootstrap. Runs until Ctrl-C.

Example:  testudo bootstrap --listen /ip4/0.0.0.0/tcp/4040
Next:     testudo run new --bootstrap ADDRESS     (ADDRESS as printed here, with the public IP in the place of a private one))",
      [options](Output& output) { return bootstrap(*options, output); });
  command
      ->add_option("--listen", options->listen,
                   "Address to listen on, like /ip4/0.0.0.0/tcp/4040 (repeatable)")
      ->required()
      ->check(check_listen_address);
  command->add_option("--data", options->data, "Data directory: identity, known peers")
      ->capture_default_str();
  command->add_option("--bootstrap", options->bootstrap, "Address of another bootstrap node (repeatable)")
      ->check(check_peer_address);
  add_metrics_option(*command, options->metrics);
}

}  // namespace testudo::tools
