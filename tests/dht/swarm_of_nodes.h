// Many DHT nodes in one simulated network, for the tests of this folder.
#pragma once

#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "dht/simulation/sim_dht_network.h"
#include "net/async/combinators.h"
#include "tests/repetitions.h"

namespace testudo::dht {

constexpr std::size_t many_nodes = slow_build ? 120 : 1000;

// The simulated network, whose failures fail the test.
class SwarmOfNodes : public SimDhtNetwork {
 public:
  explicit SwarmOfNodes(std::uint64_t seed, Dht::Options options = {})
      : SimDhtNetwork({.seed = seed}, {}, std::move(options)), seed_(seed) {}

  // All join through the first, `at_a_time` of them at once.
  void join(std::size_t count, std::size_t at_a_time = 50) {
    while (size() < count) {
      const std::size_t until = size() == 0 ? 1 : std::min(count, size() + at_a_time);
      std::vector<Task<Result<void>>> tasks;
      while (size() < until) {
        add();
        tasks.push_back(bootstrap(size() - 1));
      }
      for (const auto& result : run(net::when_all(scheduler(), std::move(tasks)))) {
        CHECK_MESSAGE(result.has_value(), "seed ", seed_);
      }
    }
  }
  template <typename T>
  T run(Task<T> task) {
    auto out = SimDhtNetwork::run(std::move(task));
    REQUIRE_MESSAGE(out.has_value(), "seed ", seed_);
    return std::move(*out);
  }
  std::uint64_t seed() const { return seed_; }

 private:
  std::uint64_t seed_;
};

}  // namespace testudo::dht
