// testudo identify: what a node says about itself.

#include "net/services/identify.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <memory>

#include "node/addresses.h"
#include "node/node.h"
#include "tools/cli/checks.h"
#include "tools/cli/loop.h"
#include "tools/testudo/commands.h"

namespace testudo::tools {
namespace {

// What a stranger says goes to a terminal: without control characters.
std::string printable(std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return text;
}

net::Task<Result<void>> ask(node::Node& node, net::PeerAddress peer, Output& output) {
  CO_TRY_VOID(co_await node.host().connect(peer.id, peer.addresses));
  CO_TRY(const net::IdentifyInfo info, co_await net::identify(node.host(), peer.id));
  Json addresses = Json::array();
  std::string text = fmt::format("peer      {}\nagent     {}\n", peer.id.to_text(), printable(info.agent));
  for (const net::Multiaddr& address : info.addresses) {
    addresses.push_back(address.to_text());
    text += "address   " + address.to_text() + "\n";
  }
  for (const std::string& protocol : info.protocols) text += "protocol  " + printable(protocol) + "\n";
  if (info.observed) text += "sees us as  " + info.observed->to_text() + "\n";
  text.pop_back();
  output.say({{"event", "identify"},
              {"peer", peer.id.to_text()},
              {"agent", info.agent},
              {"protocol_version", info.protocol_version},
              {"addresses", std::move(addresses)},
              {"protocols", info.protocols},
              {"observed", info.observed ? Json(info.observed->to_text()) : Json(nullptr)}},
             text);
  co_return Result<void>();
}

Result<void> identify(const std::string& address, Output& output) {
  TRY(const auto peers, node::parse_peer_addresses({address}));
  crypto::SystemRng rng;
  net::LibuvScheduler scheduler;
  node::Node node(scheduler, crypto::KeyPair::generate(rng), node::Node::Role::client);
  return run_task(scheduler, ask(node, peers.front(), output));
}

}  // namespace

void add_identify(Program& program) {
  auto address = std::make_shared<std::string>();
  CLI::App* command = program.add(
      "identify", "Ask a node who it is",
      R"(Prints the node's agent, its addresses, the protocols that it speaks, and how it sees this machine.

Example:  testudo identify /ip4/192.0.2.1/tcp/4040/p2p/12D3Koo...)",
      [address](Output& output) { return identify(*address, output); });
  command->add_option("address", *address, "Address with /p2p/ and the peer id at its end")
      ->required()
      ->check(check_peer_address);
}

}  // namespace testudo::tools
