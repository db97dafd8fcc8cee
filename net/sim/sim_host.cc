#include "net/sim/sim_host.h"

#include <algorithm>

#include "net/sim/sim_network.h"
#include "net/sim/sim_stream.h"

namespace testudo::net {

struct SimHost::Dial {
  explicit Dial(Scheduler& scheduler) : done(scheduler) {}
  Event done;
  Result<void> result;
};

SimHost::SimHost(SimNetwork& network, std::size_t index, SimHostOptions options, crypto::KeyPair identity,
                 crypto::SeededRng rng)
    : Host(identity.peer_id()),
      network_(network),
      index_(index),
      options_(std::move(options)),
      identity_(std::move(identity)),
      rng_(std::move(rng)),
      peer_store_(network.scheduler()),
      tasks_(network.scheduler()) {}

SimHost::~SimHost() = default;

Scheduler& SimHost::scheduler() { return network_.scheduler(); }

Task<Result<Multiaddr>> SimHost::listen(Multiaddr address) {
  auto where = address.tcp_endpoint();
  if (!where) co_return fail(ErrorCode::invalid_argument, "cannot listen on " + address.to_text());
  const std::string ip = address.is_unspecified() ? options_.ip : where->ip;
  std::uint16_t port = where->port == 0 ? std::uint16_t{4001} : where->port;
  while (where->port == 0 && network_.find(ip, port) != nullptr && network_.find(ip, port) != this) ++port;
  SimHost* holder = network_.find(ip, port);
  if (holder != nullptr && holder != this) {
    co_return fail(ErrorCode::io, "listen on " + address.to_text() + ": address in use");
  }
  network_.by_endpoint_.erase(options_.ip + ":" + std::to_string(options_.port));
  options_.ip = ip;
  options_.port = port;
  options_.listening = true;
  network_.by_endpoint_[ip + ":" + std::to_string(port)] = this;
  auto bound = Multiaddr::tcp(ip, port);
  co_return bound;
}

std::vector<Multiaddr> SimHost::addresses() const {
  std::vector<Multiaddr> result;
  if (!options_.listening) return result;
  auto address = Multiaddr::tcp(options_.ip, options_.port);
  if (address) result.push_back(std::move(*address));
  return result;
}

void SimHost::set_handler(std::string protocol, StreamHandler handler) {
  handlers_[std::move(protocol)] = std::move(handler);
  handlers_changed();
}

void SimHost::remove_handler(const std::string& protocol) {
  if (handlers_.erase(protocol) > 0) handlers_changed();
}

void SimHost::handlers_changed() {
  for (auto& [peer, connection] : connections_) {
    const int side = connection->side_of(*this);
    connection->send(side, 64,
                     [line = connection.get(), side] { line->host(1 - side).identified(line->host(side)); });
  }
}

Task<Result<void>> SimHost::connect(PeerId peer, std::vector<Multiaddr> addresses) {
  if (connections_.contains(peer)) co_return Result<void>{};
  if (!up_) co_return fail(ErrorCode::unreachable, "this host is down");
  if (peer == id()) co_return fail(ErrorCode::invalid_argument, "dialling ourselves");
  if (is_banned(peer)) co_return fail(ErrorCode::refused, "peer " + peer.to_text() + " is banned here");
  std::shared_ptr<Dial> dial;
  if (auto it = dials_.find(peer); it != dials_.end()) {
    dial = it->second;
  } else {
    dial = std::make_shared<Dial>(scheduler());
    dials_[peer] = dial;
    tasks_.spawn(run_dial(dial, peer, std::move(addresses)));
  }
  co_await dial->done.wait();
  co_return dial->result;
}

void SimHost::abandon(Dial& dial) {
  dial.result = fail(ErrorCode::unreachable, "this host went down");
  dial.done.set();
}

Task<void> SimHost::run_dial(std::shared_ptr<Dial> dial, PeerId peer, std::vector<Multiaddr> addresses) {
  for (auto& address : addresses) address = address.without_peer_id();
  for (auto& known : peer_store_.addresses(peer)) {
    if (std::ranges::find(addresses, known) == addresses.end()) addresses.push_back(known);
  }
  std::string failures = addresses.empty() ? "no address is known" : "";
  dial->result = Result<void>{};
  bool connected = false;
  for (const auto& address : addresses) {
    auto attempt = co_await dial_address(peer, address);
    connected = attempt.has_value();
    if (connected) {
      peer_store_.dial_succeeded(peer, address);
      break;
    }
    peer_store_.dial_failed(peer, address);
    if (!failures.empty()) failures += "; ";
    failures += address.to_text() + ": " + attempt.error().message;
  }
  if (!connected) dial->result = fail(ErrorCode::unreachable, "dial " + peer.to_text() + ": " + failures);
  dials_.erase(peer);
  dial->done.set();
}

Task<Result<void>> SimHost::dial_address(PeerId peer, Multiaddr address) {
  const auto where = address.tcp_endpoint();
  if (!where) co_return fail(ErrorCode::invalid_argument, "not a TCP address");
  SimHost* target = network_.find(where->ip, where->port);
  if (target == nullptr || !target->up_ || !network_.reachable(*this, *target)) {
    co_await sleep_for(scheduler(), network_.options().dial_timeout);
    co_return fail(ErrorCode::timeout, "no answer");
  }
  Duration handshake = 0ns;
  for (unsigned i = 0; i < network_.options().handshake_round_trips; ++i) {
    handshake += network_.one_way(*this, *target) + network_.one_way(*target, *this) + network_.loss_delay(1);
  }
  co_await sleep_for(scheduler(), handshake);
  if (connections_.contains(peer)) co_return Result<void>{};  // it dialled us meanwhile
  if (!target->up_ || !network_.reachable(*this, *target)) {
    co_return fail(ErrorCode::unreachable, "connection lost during the handshake");
  }
  if (target->id() != peer) {
    co_return fail(ErrorCode::authentication, "the peer there is " + target->id().to_text());
  }
  if (target->is_banned(id()) || is_banned(peer)) co_return fail(ErrorCode::refused, "banned");
  network_.establish(*this, *target);
  co_return Result<void>{};
}

Task<Result<std::unique_ptr<Stream>>> SimHost::open_stream(PeerId peer, std::string protocol) {
  auto connected = co_await connect(peer, {});
  if (!connected) co_return fail(std::move(connected).error());
  auto it = connections_.find(peer);
  if (it == connections_.end()) co_return fail(ErrorCode::unreachable, "lost " + peer.to_text() + " again");
  auto connection = it->second;
  const int side = connection->side_of(*this);
  std::uint64_t id = 0;
  auto end = connection->open(side, protocol, id);
  std::unique_ptr<Stream> stream = std::make_unique<SimStream>(connection, end, side, id, protocol);
  co_await end->opened.wait();
  if (end->broken) co_return fail(*end->broken);
  co_return std::move(stream);
}

void SimHost::disconnect(const PeerId& peer) {
  auto it = connections_.find(peer);
  if (it == connections_.end()) return;
  auto connection = it->second;
  connection->close(connection->side_of(*this),
                    Error{ErrorCode::closed, "we disconnected from " + peer.to_text()});
}

std::vector<PeerId> SimHost::connected_peers() const {
  std::vector<PeerId> peers;
  for (const auto& [peer, connection] : connections_) peers.push_back(peer);
  return peers;
}

std::size_t SimHost::open_streams() const {
  std::size_t count = 0;
  for (const auto& [peer, connection] : connections_)
    count += connection->streams(connection->side_of(*this));
  return count;
}

void SimHost::ban(const PeerId& peer) {
  banned_.insert(peer);
  disconnect(peer);
}

Traffic SimHost::traffic_with(const PeerId& peer) const {
  auto it = traffic_with_.find(peer);
  return it == traffic_with_.end() ? Traffic{} : it->second;
}

void SimHost::observe_connections(ConnectionObserver observer) {
  connection_observers_.push_back(std::move(observer));
}
void SimHost::observe_identified(IdentifyObserver observer) {
  identify_observers_.push_back(std::move(observer));
}

void SimHost::add_connection(const PeerId& peer, std::shared_ptr<SimConnection> connection) {
  connections_[peer] = std::move(connection);
  tell_observers(peer, true);
}

void SimHost::lost_connection(const PeerId& peer, const SimConnection* connection) {
  auto it = connections_.find(peer);
  if (it == connections_.end() || it->second.get() != connection) return;
  connections_.erase(it);
  tell_observers(peer, false);
}

void SimHost::tell_observers(const PeerId& peer, bool connected) {
  if (connection_observers_.empty()) return;
  network_.schedule(scheduler().now(), [this, peer, connected] {
    auto observers = connection_observers_;
    for (auto& observer : observers) observer(peer, connected);
  });
}

void SimHost::identified(const SimHost& peer) {
  peer_store_.add_addresses(peer.id(), peer.addresses(), PeerStore::Source::identify);
  std::set<std::string> protocols;
  for (const auto& [protocol, handler] : peer.handlers_) protocols.insert(protocol);
  peer_store_.set_protocols(peer.id(), std::move(protocols));
  if (identify_observers_.empty()) return;
  network_.schedule(scheduler().now(), [this, id = peer.id()] {
    auto observers = identify_observers_;
    for (auto& observer : observers) observer(id);
  });
}

}  // namespace testudo::net
