// SimDhtNetwork: many production Dht nodes in one simulated network and virtual time, a pure function of its
// options. add() in sim_dht_network.cc is the wiring: the host is a SimHost, time and randomness are its own.
// Loop thread only, which is the caller's.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "dht/dht.h"
#include "net/async/task_group.h"
#include "net/sim/sim_network.h"

namespace testudo::dht {

class SimDhtNetwork {
 public:
  explicit SimDhtNetwork(net::SimOptions network, net::SimHostOptions host = {}, Dht::Options node = {});
  ~SimDhtNetwork();
  SimDhtNetwork(const SimDhtNetwork&) = delete;
  SimDhtNetwork& operator=(const SimDhtNetwork&) = delete;

  // A node that has not joined. The first is the bootstrap of all others.
  Dht& add() { return add(node_options_); }
  Dht& add(Dht::Options options);
  // What joining is: through the first node.
  Task<Result<void>> bootstrap(std::size_t i);
  // The process dies with all that it knows; its tasks are cancelled.
  void kill(std::size_t i);
  // The same identity and address, an empty table, no records.
  Dht& restart(std::size_t i);

  // Runs the task to its end; nothing if virtual time passes the limit before.
  template <typename T>
  std::optional<T> run(Task<T> task, net::Duration limit = std::chrono::hours(2)) {
    std::optional<T> out;
    net::TaskGroup group(scheduler_);
    group.spawn(store(std::move(task), out));
    scheduler_.run_for([&] { return out.has_value(); }, limit);
    return out;
  }
  // Some live node other than the bootstrap. REQUIRES: live() > 1.
  std::size_t pick();

  net::SimHost& host(std::size_t i) { return *network_.hosts()[i]; }
  Dht& node(std::size_t i) { return *nodes_[i].dht; }
  const Dht& node(std::size_t i) const { return *nodes_[i].dht; }
  // Tasks that end with the node.
  net::TaskGroup& tasks(std::size_t i) { return *nodes_[i].tasks; }
  std::size_t size() const { return nodes_.size(); }
  bool alive(std::size_t i) const { return nodes_[i].dht != nullptr; }
  std::size_t live() const { return live_; }
  net::SimScheduler& scheduler() { return scheduler_; }
  net::SimNetwork& network() { return network_; }
  crypto::Rng& rng() { return rng_; }

 private:
  template <typename T>
  static Task<void> store(Task<T> task, std::optional<T>& out) {
    out.emplace(co_await task);
  }
  struct Node {
    std::unique_ptr<Dht> dht;
    std::unique_ptr<net::TaskGroup> tasks;  // last: they refer to it
  };

  net::SimHostOptions host_options_;
  Dht::Options node_options_;
  net::SimScheduler scheduler_;
  net::SimNetwork network_;
  crypto::SeededRng rng_;
  std::vector<Node> nodes_;
  std::size_t live_ = 0;
};

}  // namespace testudo::dht
