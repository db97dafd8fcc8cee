// Dht: Kademlia over a Host, with libp2p's kad-dht messages. A rendezvous: what it returns is checked by a
// validator, and nothing that must be safe depends on what it does not return. Loop thread only. The host
// outlives it; destroying it cancels everything it does, so its own tasks must not outlive it either.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dht/lookup.h"
#include "dht/message.h"
#include "dht/record_store.h"
#include "dht/routing_table.h"
#include "dht/run_dictionary.h"
#include "dht/validator.h"
#include "net/async/task_group.h"
#include "net/host/host.h"
#include "net/messages/service.h"

namespace testudo::dht {

using net::Task;

struct DhtOptions {
  std::string protocol = "/testudo/kad/1.0.0";
  // Servers answer and stand in routing tables; clients (behind a NAT) only ask.
  bool server = true;
  RoutingTable::Options table;
  std::size_t alpha = 3;
  std::size_t paths = 1;           // disjoint paths of lookups for values, peers and providers
  std::size_t max_per_subnet = 8;  // of one lookup
  std::size_t read_quorum = 5;     // valid values after which a reader of a selected value stops
  Duration request_timeout = std::chrono::seconds(10);
  Duration lookup_timeout = std::chrono::seconds(60);
  Duration refresh_interval = std::chrono::minutes(10);
  Duration record_ttl = std::chrono::hours(48);
  Duration provider_ttl = std::chrono::hours(48);
  RecordStore::Limits limits;
  // Whether the peer proved the cost of its identity.
  std::function<bool(const PeerId&)> is_verified;
  RunDictionary::IdentityCost identity_cost;
};

class Dht {
 public:
  using Options = DhtOptions;

  Dht(net::Host& host, Options options);
  ~Dht();
  Dht(const Dht&) = delete;
  Dht& operator=(const Dht&) = delete;

  // Dials the given peers and finds its own neighbourhood. Then it can be used, and is found; in the
  // background it fills its table, and keeps it fresh. An error when peers were given and none could be
  // reached or answered (it may be called again). With none, this is the first.
  Task<Result<void>> bootstrap(std::vector<PeerAddress> peers);

  // The namespace is the prefix of its keys, as "/testudo/run/".
  void register_namespace(std::string prefix, std::unique_ptr<Validator> validator);

  // At the k servers nearest to the key; an error when nobody took it, or it is not valid.
  Task<Result<void>> put(std::string key, Bytes value);
  // The best (or merged) value there is; peers that were asked and lacked it get it. `not_found` if none.
  Task<Result<Bytes>> get(std::string key);

  // Puts it now and every `interval`, until it is destroyed: servers forget what nobody puts again.
  Task<void> keep_put(std::string key, std::function<Bytes()> value, Duration interval);

  Task<Result<PeerAddress>> find_peer(PeerId peer);
  // The servers nearest to a place, from the whole network. For tests and reports.
  Task<std::vector<PeerAddress>> find_closest(Bytes key);

  // We have what has this digest (any 32 bytes; on the wire a sha2-256 multihash).
  Task<Result<void>> provide(Digest content);
  Task<Result<std::vector<PeerAddress>>> providers(Digest content);

  // Our entry in the run's dictionary, replacing our earlier one. `ttl` up to RunDictionary::max_ttl.
  Task<Result<void>> announce(Digest run_id, Bytes payload, Duration ttl);
  // Everybody's live entries, each signed by its peer.
  Task<Result<std::vector<RunEntry>>> run_entries(Digest run_id);
  // Announces now and every third of the ttl, until it is destroyed.
  Task<void> keep_announced(Digest run_id, std::function<Bytes()> payload, Duration ttl);

  const RoutingTable& table() const { return table_; }
  const RecordStore& records() const { return records_; }
  const net::Misbehaviour& misbehaviour() const { return misbehaviour_; }
  // Worth keeping over a restart, to bootstrap from.
  std::vector<PeerAddress> known_peers() const;
  struct Statistics {
    std::uint64_t lookups = 0;
    std::uint64_t requests = 0;
    std::uint64_t failed_requests = 0;
    std::uint64_t hops = 0;  // summed over lookups
  };
  const Statistics& statistics() const { return statistics_; }

 private:
  // Called with every answer; true ends the lookup.
  using OnAnswer = std::function<bool(const PeerAddress&, const Message&)>;
  struct Walk;

  // lookups (walk.cc)
  Task<std::vector<PeerAddress>> walk(MessageType type, Bytes key, std::size_t paths, OnAnswer on_answer);
  Task<void> walk_path(std::shared_ptr<Walk> walk, std::size_t path);
  Task<Result<Message>> call(PeerId peer, Message message);
  Task<void> send_put(PeerId peer, Bytes key, Bytes value, std::shared_ptr<std::size_t> stored);
  Task<std::size_t> put_at(std::vector<PeerAddress> peers, Bytes key, Bytes value);
  Task<void> notify_provider(PeerId peer, Bytes key, std::shared_ptr<std::size_t> told);
  Task<void> repair(std::vector<PeerId> peers, Bytes key, Bytes value);
  struct Dials;
  Task<void> dial_bootstrap_peer(PeerAddress peer, std::shared_ptr<Dials> dials);
  Task<void> dial_bootstrap_peers();
  // Looks itself up; whether anybody answered.
  Task<bool> find_neighbours();
  // Looks up a random place in every bucket.
  Task<void> look_around();
  Task<void> refresh_periodically();

  // server side (server.cc)
  Task<Result<Bytes>> answer(PeerId peer, Bytes request);
  Result<Message> handle(const PeerId& peer, Message message);
  Result<void> store(std::string_view key, Bytes value);
  std::vector<PeerAddress> closer_peers(const Place& place, const PeerId& asker) const;

  Validator* validator_of(std::string_view key) const;
  // A peer that has answered on our protocol serves it, whatever identify said so far.
  void consider(const PeerId& peer, bool answered = false);
  bool is_near(ByteView key) const;
  PeerAddress with_addresses(const PeerId& peer) const;

  net::Host& host_;
  net::Scheduler& scheduler_;
  Options options_;
  RoutingTable table_;
  RecordStore records_;
  std::map<std::string, std::unique_ptr<Validator>, std::less<>> validators_;
  net::Misbehaviour misbehaviour_;
  Statistics statistics_;
  std::map<Digest, std::uint64_t> sequences_;  // the last one we used for a run
  std::vector<PeerAddress> bootstrap_peers_;
  bool refreshing_ = false;
  std::shared_ptr<Dht*> alive_;  // what observers, which the host never forgets, find empty afterwards
  net::TaskGroup background_;
  net::Service service_;
};

}  // namespace testudo::dht
