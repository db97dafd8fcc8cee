// What a node tells its operator, as instruments of a Registry (net/metrics/registry.h). Loop thread only.
#pragma once

#include "dht/dht.h"
#include "net/host/network_host.h"
#include "net/metrics/registry.h"
#include "node/session.h"

namespace testudo::node {

// Connections, streams, bytes, limits, protocols, the DHT and the process. Host and DHT outlive the
// registry's last text.
void collect_node_metrics(net::Registry& registry, net::NetworkHost& host, const dht::Dht& dht);

// Counts the rounds of a session and passes everything on to another observer. Both outlive it.
class RoundMetrics final : public SessionObserver {
 public:
  RoundMetrics(net::Registry& registry, SessionObserver& next);

  void on_manifest(const swarm::SignedManifest& manifest) override { next_.on_manifest(manifest); }
  void on_round_started(swarm::RoundNumber round) override;
  void on_phase_ended(const std::string& phase) override { next_.on_phase_ended(phase); }
  void on_round(const training::RoundReport& report) override;
  void on_removed(const swarm::Removal& removal, swarm::RoundNumber round) override;
  void on_admitted(const swarm::PeerId& peer, swarm::RoundNumber round) override;
  void on_strike(const swarm::Strike& strike, swarm::RoundNumber round) override;
  void on_resting(const std::vector<swarm::PeerId>& resting, swarm::RoundNumber from) override;
  void on_waiting(const std::string& reason) override { next_.on_waiting(reason); }
  void on_fetching(const training::FetchProgress& progress) override { next_.on_fetching(progress); }

 private:
  net::Registry& registry_;
  SessionObserver& next_;
};

}  // namespace testudo::node
