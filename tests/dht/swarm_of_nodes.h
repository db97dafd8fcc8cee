// Many DHT nodes in one simulated network, for the tests of this folder.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <vector>

#include "dht/dht.h"
#include "net/async/combinators.h"
#include "net/sim/sim_network.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TESTUDO_SLOW_BUILD 1
#endif
#endif

namespace testudo::dht {

// Sanitizers cost a factor of ten and look for other things than scale.
#ifdef TESTUDO_SLOW_BUILD
constexpr std::size_t many_nodes = 120;
#else
constexpr std::size_t many_nodes = 1000;
#endif

template <typename T>
Task<void> store_result(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await task);
}

class SwarmOfNodes {
 public:
  explicit SwarmOfNodes(std::uint64_t seed, Dht::Options options = {})
      : seed_(seed), options_(std::move(options)), network_(scheduler_, sim_options(seed)), rng_(seed + 1) {}

  // The first node is the bootstrap of all others.
  Dht& add() { return add(options_); }
  Dht& add(Dht::Options options) {
    net::SimHost& host = network_.add_host();
    nodes_.push_back(std::make_unique<Dht>(host, std::move(options)));
    return *nodes_.back();
  }
  // All join through the first, `at_a_time` of them at once.
  void join(std::size_t count, std::size_t at_a_time = 50) {
    if (nodes_.empty()) {
      add();
      REQUIRE(run(nodes_[0]->bootstrap({})).has_value());
    }
    while (nodes_.size() < count) {
      std::vector<std::size_t> joining;
      while (nodes_.size() < count && joining.size() < at_a_time) {
        joining.push_back(nodes_.size());
        add();
      }
      std::vector<Task<Result<void>>> tasks;
      for (std::size_t i : joining) tasks.push_back(nodes_[i]->bootstrap({host(0).peer_address()}));
      auto results = run(net::when_all(scheduler_, std::move(tasks)));
      for (const auto& result : results) CHECK_MESSAGE(result.has_value(), "seed ", seed_);
    }
  }
  void kill(std::size_t i) {
    network_.crash(host(i));
    nodes_[i].reset();
  }

  template <typename T>
  T run(Task<T> task, net::Duration limit = std::chrono::hours(2)) {
    std::optional<T> out;
    net::TaskGroup group(scheduler_);
    group.spawn(store_result(std::move(task), out));
    const bool finished = scheduler_.run_for([&] { return out.has_value(); }, limit);
    REQUIRE_MESSAGE(finished, "seed ", seed_);
    return std::move(*out);
  }
  // Some live node other than the bootstrap.
  std::size_t pick() {
    while (true) {
      const auto i = static_cast<std::size_t>(1 + rng_.below(nodes_.size() - 1));
      if (nodes_[i]) return i;
    }
  }

  net::SimHost& host(std::size_t i) { return *network_.hosts()[i]; }
  Dht& node(std::size_t i) { return *nodes_[i]; }
  std::size_t size() const { return nodes_.size(); }
  bool alive(std::size_t i) const { return nodes_[i] != nullptr; }
  net::SimScheduler& scheduler() { return scheduler_; }
  net::SimNetwork& network() { return network_; }
  crypto::Rng& rng() { return rng_; }
  std::uint64_t seed() const { return seed_; }

 private:
  static net::SimOptions sim_options(std::uint64_t seed) {
    net::SimOptions options;
    options.seed = seed;
    return options;
  }

  std::uint64_t seed_;
  Dht::Options options_;
  net::SimScheduler scheduler_;
  net::SimNetwork network_;
  crypto::SeededRng rng_;
  std::vector<std::unique_ptr<Dht>> nodes_;
};

}  // namespace testudo::dht
