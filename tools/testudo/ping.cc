// testudo ping: whether a node lives, and how far it is.

#include "net/services/ping.h"

#include <spdlog/fmt/fmt.h>

#include <memory>

#include "net/async/event.h"
#include "node/addresses.h"
#include "node/node.h"
#include "tools/cli/checks.h"
#include "tools/cli/loop.h"
#include "tools/testudo/commands.h"

namespace testudo::tools {
namespace {

using namespace std::chrono_literals;

struct PingOptions {
  std::string address;
  unsigned count = 4;
};

net::Task<Result<void>> ping_repeatedly(node::Node& node, net::PeerAddress peer, unsigned count,
                                        Output& output) {
  CO_TRY_VOID(co_await node.host().connect(peer.id, peer.addresses));
  for (unsigned i = 0; i < count; ++i) {
    if (i > 0) co_await net::sleep_for(node.scheduler(), 1s);
    CO_TRY(const net::Duration round_trip, co_await net::ping(node.host(), peer.id));
    const double milliseconds = 1000 * net::seconds(round_trip);
    output.say({{"event", "ping"}, {"peer", peer.id.to_text()}, {"milliseconds", milliseconds}},
               fmt::format("{}: {:.2f} ms", peer.id.to_text(), milliseconds));
  }
  co_return Result<void>();
}

Result<void> ping(const PingOptions& options, Output& output) {
  TRY(const auto peers, node::parse_peer_addresses({options.address}));
  crypto::SystemRng rng;
  net::LibuvScheduler scheduler;
  node::Node node(scheduler, crypto::KeyPair::generate(rng), node::Node::Role::client);
  return run_task(scheduler, ping_repeatedly(node, peers.front(), options.count, output));
}

}  // namespace

void add_ping(Program& program) {
  auto options = std::make_shared<PingOptions>();
  CLI::App* command = program.add(
      "ping", "Measure the round trip to a node",
      R"(Connects, proves who is there, and measures. Works with every libp2p node that speaks TCP, Noise and Yamux.

Example:  testudo ping /ip4/192.0.2.1/tcp/4040/p2p/12D3Koo...
Next:     testudo identify ADDRESS)",
      [options](Output& output) { return ping(*options, output); });
  command->add_option("address", options->address, "Address with /p2p/ and the peer id at its end")
      ->required()
      ->check(check_peer_address);
  command->add_option("--count", options->count, "How often, once a second")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
}

}  // namespace testudo::tools
