// What simulations share on the command line: seeds, the line that repeats a run, progress on stderr.
// Loop thread only.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/result.h"

namespace testudo::tools {

struct SeedOptions {
  std::uint64_t seed = 1;
  std::string seeds;  // "A..B" or "N" for 1..N; empty: `seed` alone
};
void add_seed_options(CLI::App& command, SeedOptions& options);
// invalid_argument: not a range, or an empty one.
Result<std::vector<std::uint64_t>> chosen_seeds(const SeedOptions& options);

// The command line that runs this command with this seed once more: every option with the value that it has,
// so that the line keeps its meaning when defaults change. Options that only change what is shown are left
// out.
std::string replay_line(const CLI::App& command, std::uint64_t seed);

// Where a simulation stands, on stderr: in place on a terminal, else a line now and then. Not for stdout,
// which is a function of the options.
class SimulationProgress {
 public:
  SimulationProgress();
  ~SimulationProgress();
  SimulationProgress(const SimulationProgress&) = delete;
  SimulationProgress& operator=(const SimulationProgress&) = delete;

  // `text`, and how fast virtual time passes, earlier runs included; at most a few times a second.
  void show(const std::string& text, double virtual_seconds);
  // A line that stays.
  void say(const std::string& text);
  // A run ended after so much virtual time.
  void add_run(double virtual_seconds);
  // What all runs together took.
  std::string summary() const;

 private:
  void erase();
  double seconds() const;  // on the clock, since this was made

  bool terminal_;
  bool shown_ = false;
  std::size_t runs_ = 0;
  double virtual_seconds_ = 0;  // of the runs that ended
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace testudo::tools
