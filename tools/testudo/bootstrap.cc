// testudo bootstrap: a node that others start from.

#include <spdlog/spdlog.h>

#include <memory>

#include "net/async/event.h"
#include "tools/cli/addresses.h"
#include "tools/cli/data_directory.h"
#include "tools/cli/loop.h"
#include "tools/cli/node.h"
#include "tools/testudo/commands.h"

namespace testudo::tools {
namespace {

using namespace std::chrono_literals;

struct BootstrapOptions {
  std::vector<std::string> listen;
  std::vector<std::string> bootstrap;
  std::string data = default_data_directory();
};

net::Task<Result<void>> serve(Node& node, std::vector<net::Multiaddr> listen,
                              std::vector<net::PeerAddress> bootstrap, std::string peers_file,
                              Output& output) {
  CO_TRY_VOID(co_await node.listen(std::move(listen), output));
  const auto known = Node::load_peers(peers_file);
  bootstrap.insert(bootstrap.end(), known.begin(), known.end());
  // The other bootstrap nodes may come up later; this one serves meanwhile.
  for (;;) {
    auto joined = co_await node.dht().bootstrap(bootstrap);
    if (joined) break;
    spdlog::warn("no other node could be reached, trying again: {}", joined.error().message);
    co_await net::sleep_for(node.scheduler(), 10s);
  }
  for (;;) {
    co_await net::sleep_for(node.scheduler(), 1min);
    node.save_peers(peers_file);
  }
}

Result<void> bootstrap(const BootstrapOptions& options, Output& output) {
  TRY(const auto listen, parse_listen_addresses(options.listen));
  TRY(const auto others, parse_peer_addresses(options.bootstrap));
  TRY(const auto data, DataDirectory::open(options.data));
  crypto::SystemRng rng;
  TRY(auto key, data.identity(rng));
  net::LibuvScheduler scheduler;
  Node node(scheduler, std::move(key), Node::Role::server);
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
      ->required();
  command->add_option("--data", options->data, "Data directory: identity, known peers")
      ->capture_default_str();
  command->add_option("--bootstrap", options->bootstrap, "Address of another bootstrap node (repeatable)");
}

}  // namespace testudo::tools
