// Node: a host on the real network with what every node of ours does: answer pings, say who it is, take part
// in the DHT. Loop thread only; the scheduler outlives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dht/dht.h"
#include "net/async/libuv_scheduler.h"
#include "net/host/network_host.h"
#include "net/metrics/registry.h"
#include "net/services/identify.h"
#include "net/services/ping.h"
#include "swarm/manifest.h"

namespace testudo::node {

class Node {
 public:
  // Servers answer the DHT requests of others; clients only ask.
  enum class Role { server, client };

  Node(net::LibuvScheduler& scheduler, crypto::KeyPair identity, Role role);

  net::Host& host() { return *host_; }
  dht::Dht& dht() { return *dht_; }
  net::Scheduler& scheduler() { return scheduler_; }
  // Its numbers, in every text of the registry. This node outlives the last one.
  void collect_metrics(net::Registry& registry);

  net::Task<Result<void>> listen(std::vector<net::Multiaddr> addresses);
  // Where others can dial this node, as text with its peer id.
  std::vector<std::string> addresses() const;

  using OnWaiting = std::function<void(const std::string& reason)>;
  // Joins the DHT through any of these peers. It tries again while it fails, saying why through `on_waiting`
  // each time the reason changes, and gives up after `limit`. Without peers this node is the first.
  net::Task<Result<void>> connect(std::vector<net::PeerAddress> bootstrap, OnWaiting on_waiting = {},
                                  net::Duration limit = std::chrono::minutes(1));
  // The same without end.
  net::Task<void> connect_at_last(std::vector<net::PeerAddress> bootstrap, OnWaiting on_waiting);

  // Peers that the DHT knows, to start from after a restart: one address a line.
  void save_peers(const std::string& path) const;
  // After the first seconds and every minute, until it is destroyed.
  net::Task<void> keep_peers_saved(std::string path) const;
  static std::vector<net::PeerAddress> load_peers(const std::string& path);

 private:
  net::LibuvScheduler& scheduler_;
  std::unique_ptr<net::NetworkHost> host_;
  net::PingService ping_;
  net::IdentifyService identify_;
  std::unique_ptr<dht::Dht> dht_;
};

net::Task<Result<void>> publish_manifest(dht::Dht& dht, swarm::SignedManifest manifest);
// The offer of the manifest to whoever looks for it, until it is destroyed.
net::Task<void> keep_published(net::Scheduler& scheduler, dht::Dht& dht, swarm::SignedManifest manifest);
// Tries until `limit` has passed; the error says what to check.
net::Task<Result<swarm::SignedManifest>> find_manifest(net::Scheduler& scheduler, dht::Dht& dht,
                                                       swarm::RunId run, net::Duration limit);

}  // namespace testudo::node
