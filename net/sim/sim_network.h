// SimNetwork: a whole network in one process, in virtual time, as a pure function of one seed. It makes
// SimHosts, carries their segments with latency, bandwidth and loss, and breaks things on demand:
// partitions, crashes. Loop thread only; it must outlive what uses its hosts, and the scheduler outlives it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "crypto/rng.h"
#include "net/async/sim_scheduler.h"
#include "net/sim/sim_host.h"
#include "net/sim/sim_options.h"

namespace testudo::net {

class SimNetwork {
 public:
  SimNetwork(SimScheduler& scheduler, SimOptions options);
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // A host that is up, with an identity drawn from the network's seed unless one is given.
  SimHost& add_host(SimHostOptions options = {});
  SimHost& add_host(SimHostOptions options, crypto::KeyPair identity);
  const std::vector<std::unique_ptr<SimHost>>& hosts() const { return hosts_; }

  // The process dies: its streams are reset, its handlers and tasks are gone. Whatever runs on the host
  // elsewhere should be destroyed by its owner. Dialling it times out.
  void crash(SimHost& host);
  // Reachable again, with the same identity and address and no handlers.
  void restart(SimHost& host);

  // Hosts reach each other within a group only. Existing connections between groups break at once, or stall
  // until the partition heals.
  enum class Across { breaks, stalls };
  void partition(const std::vector<std::vector<SimHost*>>& groups, Across across = Across::breaks);
  void heal();
  void set_loss(double loss) { options_.loss = loss; }

  // A running hash over everything that was ever carried: equal for equal seeds.
  std::uint64_t trace() const { return trace_; }
  std::uint64_t segments() const { return segments_; }
  // Segments and other events that have not happened yet.
  std::size_t in_flight() const { return events_.size() + parked_.size(); }
  const SimOptions& options() const { return options_; }
  SimScheduler& scheduler() { return scheduler_; }

 private:
  friend class SimHost;
  friend class SimConnection;
  friend class SimStream;

  struct Event {
    TimePoint when;
    std::uint64_t order;
    std::function<void()> function;
    bool operator<(const Event& other) const {  // a heap keeps its largest on top: the next one is "largest"
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  struct Parked {
    std::shared_ptr<SimConnection> connection;
    int from;
    std::size_t size;
    std::function<void()> deliver;
  };

  void schedule(TimePoint when, std::function<void()> function);
  void run_due();
  void arm();
  // Carries `size` bytes over the connection and calls `deliver` on arrival, in order per direction.
  void transmit(std::shared_ptr<SimConnection> connection, int from, std::size_t size,
                std::function<void()> deliver);
  Duration one_way(const SimHost& from, const SimHost& to);
  Duration loss_delay(std::size_t size);
  bool reachable(const SimHost& a, const SimHost& b) const;
  SimHost* find(const std::string& ip, std::uint16_t port) const;
  void establish(SimHost& dialer, SimHost& listener);
  void note(std::uint64_t value);

  SimScheduler& scheduler_;
  SimOptions options_;
  crypto::SeededRng rng_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::unordered_map<std::string, SimHost*> by_endpoint_;
  std::vector<Event> events_;
  std::uint64_t next_order_ = 0;
  Timer timer_;
  std::optional<TimePoint> armed_for_;
  bool running_ = false;
  Across across_ = Across::breaks;
  std::deque<Parked> parked_;
  std::unordered_set<SimConnection*> connections_;  // all that exist, to cut them loose at the end
  std::uint64_t trace_ = 0xcbf29ce484222325;
  std::uint64_t segments_ = 0;
};

}  // namespace testudo::net
