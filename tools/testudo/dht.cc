// testudo dht: values and peers in the DHT, from the command line.

#include <memory>

#include "crypto/base/encoding.h"
#include "node/addresses.h"
#include "node/data_directory.h"
#include "node/node.h"
#include "node/values.h"
#include "tools/cli/checks.h"
#include "tools/cli/loop.h"
#include "tools/testudo/commands.h"

namespace testudo::tools {
namespace {

using net::Task;

struct DhtArguments {
  std::vector<std::string> bootstrap;
  std::string data = node::default_data_directory();
  std::string name;
  std::string value;
  std::string key;
  std::string peer;
};

Task<Result<void>> put_value(node::Node& node, std::vector<net::PeerAddress> bootstrap, std::string name,
                             std::string value, Output& output) {
  CO_TRY_VOID(co_await node.connect(std::move(bootstrap)));
  CO_TRY(const std::string key, co_await node::put_value(node, std::move(name), std::move(value)));
  output.say({{"event", "stored"}, {"key", key}}, key);
  co_return Result<void>();
}

Result<void> put(const DhtArguments& arguments, Output& output) {
  TRY(const auto bootstrap, node::parse_peer_addresses(arguments.bootstrap));
  TRY(const auto data, node::DataDirectory::open(arguments.data));
  crypto::SystemRng rng;
  TRY(auto key, data.identity(rng));
  net::LibuvScheduler scheduler;
  node::Node node(scheduler, std::move(key), node::Node::Role::client);
  return run_task(scheduler, put_value(node, bootstrap, arguments.name, arguments.value, output));
}

Task<Result<void>> get_value(node::Node& node, std::vector<net::PeerAddress> bootstrap, std::string key,
                             Output& output) {
  CO_TRY_VOID(co_await node.connect(std::move(bootstrap)));
  CO_TRY(const node::FoundValue found, co_await node::get_value(node, key));
  const std::string hex = to_hex(found.value);
  Json event = {{"event", "value"}, {"key", key}};
  if (found.owned) event["value"] = std::string(as_text(found.value));
  event["hex"] = hex;
  if (found.owned) event["sequence"] = found.sequence;
  output.say(event, found.owned ? std::string(as_text(found.value)) : hex);
  co_return Result<void>();
}

Task<Result<void>> find_address(node::Node& node, std::vector<net::PeerAddress> bootstrap, swarm::PeerId peer,
                                Output& output) {
  CO_TRY_VOID(co_await node.connect(std::move(bootstrap)));
  CO_TRY(const auto found, co_await node.dht().find_peer(peer));
  for (const net::Multiaddr& address : found.addresses) {
    const std::string text = address.with_peer_id(found.id).to_text();
    output.say({{"event", "address"}, {"peer", found.id.to_text()}, {"address", text}}, text);
  }
  co_return Result<void>();
}

// A passer-by: reads need no standing, so the identity is made up for the occasion.
Result<void> get(const DhtArguments& arguments, Output& output) {
  TRY(const auto bootstrap, node::parse_peer_addresses(arguments.bootstrap));
  crypto::SystemRng rng;
  net::LibuvScheduler scheduler;
  node::Node node(scheduler, crypto::KeyPair::generate(rng), node::Node::Role::client);
  return run_task(scheduler, get_value(node, bootstrap, arguments.key, output));
}

Result<void> find_peer(const DhtArguments& arguments, Output& output) {
  TRY(const auto bootstrap, node::parse_peer_addresses(arguments.bootstrap));
  TRY(const auto peer, node::parse_peer_id(arguments.peer));
  crypto::SystemRng rng;
  net::LibuvScheduler scheduler;
  node::Node node(scheduler, crypto::KeyPair::generate(rng), node::Node::Role::client);
  return run_task(scheduler, find_address(node, bootstrap, peer, output));
}

void add_bootstrap_option(CLI::App* command, DhtArguments& arguments) {
  command->add_option("--bootstrap", arguments.bootstrap, "Address of a bootstrap node (repeatable)")
      ->required()
      ->check(check_peer_address);
}

}  // namespace

void add_dht(Program& program) {
  auto arguments = std::make_shared<DhtArguments>();
  CLI::App* group =
      program.add_group("dht", "Store and find values and peers in the DHT", "Next: testudo dht put --help");

  CLI::App* command = program.add(
      "put", "Store a value under your own name; prints its key",
      R"(Only you can write below your peer id; everybody can read. It is kept for two days.

Example:  testudo dht put motto 'slow and steady' --bootstrap ADDRESS
Next:     testudo dht get KEY --bootstrap ADDRESS)",
      [arguments](Output& output) { return put(*arguments, output); }, group);
  command->add_option("name", arguments->name, "Name of the value")->required();
  command->add_option("value", arguments->value, "The value")->required();
  command->add_option("--data", arguments->data, "Data directory with your identity")->capture_default_str();
  add_bootstrap_option(command, *arguments);

  command = program.add(
      "get", "Find a value by its key",
      R"(Values of peers are printed as they are, others in hex.

Example:  testudo dht get /testudo/value/12D3Koo.../motto --bootstrap ADDRESS)",
      [arguments](Output& output) { return get(*arguments, output); }, group);
  command->add_option("key", arguments->key, "Key, as put prints it")->required();
  add_bootstrap_option(command, *arguments);

  command = program.add(
      "find-peer", "Find the addresses of a peer",
      R"(Example:  testudo dht find-peer 12D3Koo... --bootstrap ADDRESS
Next:     testudo ping ADDRESS)",
      [arguments](Output& output) { return find_peer(*arguments, output); }, group);
  command->add_option("peer", arguments->peer, "Peer id")->required()->check(check_peer_id);
  add_bootstrap_option(command, *arguments);
}

}  // namespace testudo::tools
