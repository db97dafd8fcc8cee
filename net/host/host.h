// Host: the seam to the network. It owns an identity, listens, dials, keeps at most one connection per peer
// and opens streams on named protocols. NetworkHost is the real one (TCP, Noise, Yamux), SimHost lives in a
// SimNetwork. dht/, swarm/ and training/ see nothing else of the network. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/peer_id.h"
#include "crypto/rng.h"
#include "net/address/multiaddr.h"
#include "net/async/scheduler.h"
#include "net/async/task.h"
#include "net/host/peer_store.h"
#include "net/host/stream.h"
#include "net/limits/guard.h"

namespace testudo::net {

struct Traffic {
  std::uint64_t bytes_sent = 0;  // on the wire where there is one, payload otherwise
  std::uint64_t bytes_received = 0;
};

// Takes over one inbound stream. The host owns the task and cancels it when it is destroyed.
using StreamHandler = std::function<Task<void>(std::unique_ptr<Stream>)>;

class Host {
 public:
  virtual ~Host() = default;

  virtual Scheduler& scheduler() = 0;
  virtual crypto::Rng& rng() = 0;
  virtual const crypto::KeyPair& identity() const = 0;
  const PeerId& id() const { return id_; }
  virtual PeerStore& peer_store() = 0;

  // The address with the real port in the place of 0. Errors name the address and the cause (port in use).
  virtual Task<Result<Multiaddr>> listen(Multiaddr address) = 0;
  // Where others reach us: listen addresses, with unspecified ones spelled out per interface.
  virtual std::vector<Multiaddr> addresses() const = 0;

  // Replaces an earlier handler of the same protocol. Handlers bound what they read and how long they wait.
  virtual void set_handler(std::string protocol, StreamHandler handler) = 0;
  virtual void remove_handler(const std::string& protocol) = 0;
  // Those with a handler: what identify announces.
  virtual std::vector<std::string> protocols() const { return {}; }

  // Connects if not connected, to `addresses` and those of the peer store. The error lists every address
  // with what failed there.
  virtual Task<Result<void>> connect(PeerId peer, std::vector<Multiaddr> addresses) = 0;
  // Connects if need be. `not_found` when the peer does not speak the protocol.
  virtual Task<Result<std::unique_ptr<Stream>>> open_stream(PeerId peer, std::string protocol) = 0;
  virtual void disconnect(const PeerId& peer) = 0;
  // The same for what it did, in a turn of its own where a handler may call it; the error says what.
  virtual void disconnect_for(const PeerId& peer, Error) { disconnect(peer); }
  virtual bool is_connected(const PeerId& peer) const = 0;
  virtual std::vector<PeerId> connected_peers() const = 0;
  // Where a connected peer's packets come from, where the host knows it.
  virtual std::optional<Multiaddr> remote_address(const PeerId&) const { return std::nullopt; }

  // The ban gate: drops the connection and refuses later ones, both ways.
  virtual void ban(const PeerId& peer) = 0;
  virtual bool is_banned(const PeerId& peer) const = 0;

  // What peers take of this host, and what was refused.
  Guard& guard() { return guard_; }
  const Guard& guard() const { return guard_; }

  virtual Traffic traffic() const = 0;
  virtual Traffic traffic_with(const PeerId& peer) const = 0;

  // Calls back in a turn of its own after a peer's first connection and after the loss of its last one.
  using ConnectionObserver = std::function<void(const PeerId&, bool connected)>;
  virtual void observe_connections(ConnectionObserver observer) = 0;
  // Calls back when identify learned a peer's protocols and addresses (they are in the peer store).
  using IdentifyObserver = std::function<void(const PeerId&)>;
  virtual void observe_identified(IdentifyObserver observer) = 0;
  // For the identify service: tells those observers. A host that needs no identify ignores it.
  virtual void notify_identified(const PeerId&) {}

 protected:
  explicit Host(PeerId id, const Limits& limits = {}) : id_(std::move(id)), guard_(limits) {}

 private:
  PeerId id_;
  Guard guard_;
};

}  // namespace testudo::net
