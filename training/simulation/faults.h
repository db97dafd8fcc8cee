// Faults: what is done to a simulated swarm from outside, drawn from a seed: members that join late, are
// killed and restarted, parts of the network that are cut off for a while. It acts between turns, when no
// member runs: call apply() whenever virtual time has come to next(). Owned by whoever drives the swarm.
#pragma once

#include <set>

#include "crypto/rng.h"
#include "training/simulation/sim_swarm.h"

namespace testudo::training {

struct FaultOptions {
  double kills_per_minute = 0;                       // kill -9 of a member drawn at random; 0: nobody dies
  net::Duration downtime = std::chrono::seconds(5);  // on average, until it is started again
  std::size_t late = 0;  // joiners that start at a random moment of the first minute
  double partitions_per_minute = 0;
  net::Duration partition_time = std::chrono::seconds(5);  // on average

  bool any() const { return kills_per_minute > 0 || late > 0 || partitions_per_minute > 0; }
  // Within this time after the last fault everybody is there again.
  net::Duration longest_absence() const;
};

class Faults {
 public:
  // Starts everybody who is not late.
  Faults(SimSwarm& swarm, FaultOptions options, std::uint64_t seed);

  net::TimePoint next() const;
  void apply();
  // Nothing more is broken, and what is down or cut off comes back as planned.
  void stop_breaking() { breaking_ = false; }
  std::uint64_t kills() const { return kills_; }
  std::uint64_t partitions() const { return partitions_; }

 private:
  enum class Kind { start, kill, cut, heal };
  struct Event {
    net::TimePoint when;
    std::uint64_t order;
    Kind kind;
    std::size_t member;
    auto operator<=>(const Event&) const = default;
  };
  void plan(net::Duration delay, Kind kind, std::size_t member = 0);
  void kill_somebody();
  void cut_network();
  // Of a Poisson process.
  net::Duration until_next(double per_minute);
  net::Duration about(net::Duration mean);

  SimSwarm& swarm_;
  FaultOptions options_;
  crypto::SeededRng rng_;
  std::set<Event> events_;
  std::uint64_t next_order_ = 0;
  bool breaking_ = true;
  std::uint64_t kills_ = 0;
  std::uint64_t partitions_ = 0;
};

}  // namespace testudo::training
