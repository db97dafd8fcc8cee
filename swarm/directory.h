// Directory: how members find one another. Announces this peer in the run's dictionary in the DHT and keeps
// connections to the others listed there. Safety never depends on it. Loop thread only; host and DHT outlive
// it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dht/dht.h"
#include "net/async/task_group.h"
#include "net/host/host.h"
#include "swarm/types.h"

namespace testudo::swarm {

// What a peer says of itself in the dictionary. Nothing depends on its truth.
struct Presence {
  static constexpr std::size_t max_agent = 64;
  std::string agent;
  RoundNumber round;  // that it works on

  Bytes encode() const;
  static Result<Presence> decode(ByteView bytes);
};

class Directory {
 public:
  // A member that is gone leaves the dictionary within this time.
  static constexpr net::Duration announcement_ttl = std::chrono::minutes(3);
  static constexpr net::Duration announcement_interval = std::chrono::minutes(1);
  // The dictionary is read often while a swarm gathers, and rarely once it stands.
  static constexpr net::Duration eager_interval = std::chrono::seconds(1);
  static constexpr net::Duration lookup_interval = std::chrono::seconds(15);
  static constexpr unsigned eager_lookups = 20;
  static constexpr net::Duration first_back_off = std::chrono::milliseconds(500);
  static constexpr net::Duration last_back_off = std::chrono::seconds(10);
  // Names in the dictionary cost nothing: what they may make this peer remember and do is bounded.
  static constexpr std::size_t max_listed = 1024;
  static constexpr std::size_t dials_at_once = 16;

  Directory(net::Host& host, dht::Dht& dht, RunId run);
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory();

  // Announces now and before every expiry, and looks the dictionary up: every second at first, then every 15
  // s, and at once after look_up_now(). Unknown peers are dialled; lost ones again with back-off (0.5 s
  // doubling to 10 s).
  void start();
  void look_up_now();
  // Members whom the ledger names: dialled like those from the dictionary (addresses by dht.find_peer).
  void set_wanted(std::vector<PeerId> members);
  // What the next announcement says.
  void set_presence(Presence presence) { presence_ = std::move(presence); }
  // Peers of the run that are connected now.
  std::vector<PeerId> connected() const;
  // Everybody ever seen in the dictionary and not expired.
  const std::set<PeerId>& listed() const { return listed_; }
  // What a listed peer says of itself; nothing when it said nothing readable.
  std::optional<Presence> presence_of(const PeerId& peer) const;

 private:
  struct Entry {
    net::UnixTime expires;
    std::optional<Presence> presence;
  };
  struct Dial {
    bool running = false;
    unsigned failures = 0;
    net::TimePoint next{};  // not before
  };

  net::Task<void> announce_loop();
  net::Task<void> lookup_loop();
  net::Task<void> dial_loop();
  net::Task<void> dial(PeerId peer);
  net::Task<Result<void>> reach(PeerId peer);
  void take(std::vector<dht::RunEntry> entries);
  void start_due_dials();
  void connection_changed(const PeerId& peer, bool connected);
  bool is_sought(const PeerId& peer) const { return listed_.contains(peer) || wanted_.contains(peer); }

  net::Host& host_;
  dht::Dht& dht_;
  RunId run_;
  std::string protection_;  // for whom the host keeps the members (net::Guard)
  Presence presence_;
  std::set<PeerId> listed_;
  std::map<PeerId, Entry> entries_;  // of listed_
  std::set<PeerId> wanted_;
  std::map<PeerId, Dial> dials_;  // of peers that are sought
  std::size_t running_dials_ = 0;
  net::TimePoint next_dial_{};  // the earliest time at which there is something to dial
  net::Event look_up_;
  net::Event changed_;
  bool started_ = false;
  std::shared_ptr<Directory*>
      alive_;  // what the observer, which the host never forgets, finds gone afterwards
  net::TaskGroup tasks_;
};

}  // namespace testudo::swarm
