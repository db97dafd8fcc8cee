#include "dht/simulation/sim_dht_network.h"

#include "crypto/base/check.h"

namespace testudo::dht {

SimDhtNetwork::SimDhtNetwork(net::SimOptions network, net::SimHostOptions host, Dht::Options node)
    : host_options_(std::move(host)),
      node_options_(std::move(node)),
      network_(scheduler_, network),
      rng_(network.seed + 1) {}

SimDhtNetwork::~SimDhtNetwork() = default;

Dht& SimDhtNetwork::add(Dht::Options options) {
  net::SimHost& host = network_.add_host(host_options_);
  nodes_.push_back(
      {std::make_unique<Dht>(host, std::move(options)), std::make_unique<net::TaskGroup>(scheduler_)});
  ++live_;
  return *nodes_.back().dht;
}

Task<Result<void>> SimDhtNetwork::bootstrap(std::size_t i) {
  if (i == 0) return nodes_[i].dht->bootstrap({});
  return nodes_[i].dht->bootstrap({host(0).peer_address()});
}

void SimDhtNetwork::kill(std::size_t i) {
  if (!alive(i)) return;
  network_.crash(host(i));
  --live_;
  nodes_[i].tasks.reset();
  nodes_[i].dht.reset();
}

Dht& SimDhtNetwork::restart(std::size_t i) {
  network_.restart(host(i));
  ++live_;
  nodes_[i].dht = std::make_unique<Dht>(host(i), node_options_);
  nodes_[i].tasks = std::make_unique<net::TaskGroup>(scheduler_);
  return *nodes_[i].dht;
}

std::size_t SimDhtNetwork::pick() {
  TESTUDO_CHECK(live_ > 1 && alive(0));
  while (true) {
    const auto i = static_cast<std::size_t>(1 + rng_.below(nodes_.size() - 1));
    if (alive(i)) return i;
  }
}

}  // namespace testudo::dht
