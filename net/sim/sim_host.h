// SimHost: the Host of a SimNetwork, which owns it. Protocols and addresses of a peer are known to the
// other side as soon as they are connected, and again when they change, as identify would tell. Loop thread
// only.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/async/task_group.h"
#include "net/host/host.h"
#include "net/sim/sim_options.h"

namespace testudo::net {

class SimNetwork;
class SimConnection;

class SimHost final : public Host {
 public:
  SimHost(SimNetwork& network, std::size_t index, SimHostOptions options, crypto::KeyPair identity,
          crypto::SeededRng rng);
  ~SimHost() override;

  Scheduler& scheduler() override;
  crypto::Rng& rng() override { return rng_; }
  const crypto::KeyPair& identity() const override { return identity_; }
  PeerStore& peer_store() override { return peer_store_; }

  // Moves the host to that address; a port of 0 becomes a free one.
  Task<Result<Multiaddr>> listen(Multiaddr address) override;
  std::vector<Multiaddr> addresses() const override;

  void set_handler(std::string protocol, StreamHandler handler) override;
  void remove_handler(const std::string& protocol) override;

  Task<Result<void>> connect(PeerId peer, std::vector<Multiaddr> addresses) override;
  Task<Result<std::unique_ptr<Stream>>> open_stream(PeerId peer, std::string protocol) override;
  void disconnect(const PeerId& peer) override;
  bool is_connected(const PeerId& peer) const override { return connections_.contains(peer); }
  std::vector<PeerId> connected_peers() const override;

  void ban(const PeerId& peer) override;
  bool is_banned(const PeerId& peer) const override { return banned_.contains(peer); }

  Traffic traffic() const override { return traffic_; }
  Traffic traffic_with(const PeerId& peer) const override;
  void observe_connections(ConnectionObserver observer) override;
  void observe_identified(IdentifyObserver observer) override;

  // For tests and reports.
  bool is_up() const { return up_; }
  std::size_t index() const { return index_; }
  PeerAddress peer_address() const { return {id(), addresses()}; }
  const std::string& ip() const { return options_.ip; }
  std::size_t open_streams() const;

 private:
  friend class SimNetwork;
  friend class SimConnection;
  friend class SimStream;

  struct Dial;
  Task<void> run_dial(std::shared_ptr<Dial> dial, PeerId peer, std::vector<Multiaddr> addresses);
  Task<Result<void>> dial_address(PeerId peer, Multiaddr address);
  void add_connection(const PeerId& peer, std::shared_ptr<SimConnection> connection);
  void lost_connection(const PeerId& peer, const SimConnection* connection);
  void identified(const SimHost& peer);
  void handlers_changed();
  void tell_observers(const PeerId& peer, bool connected);
  static void abandon(Dial& dial);

  SimNetwork& network_;
  std::size_t index_;
  SimHostOptions options_;
  crypto::KeyPair identity_;
  crypto::SeededRng rng_;
  PeerStore peer_store_;
  bool up_ = true;
  std::uint64_t group_ = 0;
  TimePoint upload_free_{};    // when the uplink has sent all it was given
  TimePoint download_free_{};  // the same for the downlink
  std::map<std::string, StreamHandler> handlers_;
  std::map<PeerId, std::shared_ptr<SimConnection>> connections_;
  std::map<PeerId, std::shared_ptr<Dial>> dials_;
  std::set<PeerId> banned_;
  Traffic traffic_;
  std::map<PeerId, Traffic> traffic_with_;
  std::vector<ConnectionObserver> connection_observers_;
  std::vector<IdentifyObserver> identify_observers_;
  TaskGroup tasks_;  // handlers and dials
};

}  // namespace testudo::net
