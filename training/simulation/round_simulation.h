// One simulated run from the first member's start to the last round on everybody, with faults, checks and
// figures: what `testudo simulate round` runs once for every seed. A pure function of its options.
#pragma once

#include "training/simulation/faults.h"
#include "training/simulation/sim_swarm.h"

namespace testudo::training {

struct RoundSimulationOptions {
  SwarmOptions swarm;
  FaultOptions faults;
  // Virtual time within which the run must end; 0: as long as the worst rounds take.
  net::Duration within{};
};

struct RoundSimulationReport {
  std::vector<Violation> violations;  // empty: all properties held
  std::uint64_t applied = 0;          // rounds
  std::uint64_t voided = 0;           // attempts
  std::vector<double> round_seconds;  // of applied rounds on each honest member, ascending
  double bytes_sent = 0;              // of an honest member in a round, on average
  double final_loss = 0;              // f at the last parameters
  std::uint64_t kills = 0;
  std::uint64_t partitions = 0;
  std::uint64_t eliminated_honest = 0;  // removals, as the member counted that saw the most
  std::uint64_t banned_honest = 0;
  std::uint64_t banned_hostile = 0;
  std::uint64_t strikes = 0;        // as the same member saw them
  std::uint64_t rested_honest = 0;  // that reduced nothing for a while because of strikes
  std::uint64_t rested_hostile = 0;
  double rounds_to_ban = 0;  // of those that were banned: mean number from the first attacked round on
  net::Duration virtual_time{};
  std::uint64_t segments = 0;
  std::uint64_t trace = 0;  // a hash of everything that was carried
};

// Who wants to see more: SwarmObserver for every report and event, and:
class RoundSimulationObserver : public SwarmObserver {
 public:
  // Before it starts. The swarm lives as long as the simulation.
  virtual void on_start(SimSwarm&) {}
  // Every virtual second, and at every fault.
  virtual void on_progress(const SimSwarm&) {}
};

RoundSimulationReport simulate_round(const RoundSimulationOptions& options,
                                     RoundSimulationObserver* observer = nullptr);

// The value that a share of the values does not exceed; 0 of none. `ascending` is sorted.
double quantile(const std::vector<double>& ascending, double share);

}  // namespace testudo::training
