// Run: a node's part in a run, with what defines a run and what is reported about it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "testudo/model.h"

#pragma GCC visibility push(default)

namespace testudo {

// What a new run is: it stands in the run's manifest, the same for all members, and never changes. Values out
// of their bounds are refused when the run is founded (invalid_argument names the field).
struct RunOptions {
  std::string name = "unnamed";
  // What is trained, for people: the manifest says "custom:" and this. Only programs that have this model can
  // join.
  std::string model = "model";
  // Peer ids; empty: this node. More than half of them have to be there in every round until 16 members are.
  // With validators, until 16 have earned a vote: from the first round on some 80 to 150 rounds with one
  // validator a round, 60 with two, 50 with four, or as much longer as it takes 16 to come.
  std::vector<std::string> founders;
  std::optional<Seed> seed;  // of the initial parameters and all batches; drawn when there is none

  std::uint64_t rounds = 400;
  std::uint32_t samples = 64;  // that a member contributes in a round

  // SGD. The rate is linear between these (round, rate) points, constant before and behind them; without any
  // it falls from 0.1 to 0.
  std::vector<std::pair<std::uint64_t, float>> learning_rate;
  float momentum = 0.9F;
  float weight_decay = 0;
  bool nesterov = false;
  float gradient_norm_limit = 0;  // the average is clipped to this norm; 0: it is not

  // Or "mean", "coordinate_median", "trimmed_mean", "geometric_median", "krum", "multi_krum"; each alone or
  // behind "nnm+", "bucketing:2+" or both.
  std::string rule = "centered_clip";
  double tau = 1.0;            // clipping radius of centered_clip; 0: automatic
  std::string codec = "int8";  // how numbers travel; or "fp16", "fp32"
  float g_max = 1e6F;          // a contribution with a larger value is refused

  double hostile_share = 1.0 / 3;     // of the votes, that the run survives; below 0.5
  std::uint32_t group_max = 64;       // members at most
  std::uint32_t start_members = 2;    // the first round waits for so many, applicants included
  double growth_cap = 0.5;            // admissions a round, as a share of the members (at least one)
  std::uint32_t challenge_limit = 2;  // challenges of a member in a round

  // Members drawn each round to recompute somebody else's contribution; who sent another one is banned. Only
  // for models whose contribution follows from parameters, seed and samples alone, on every member's computer
  // and as often as one asks; so none unless you say so. How far two honest computers may be apart, relative
  // to the contribution's length: 0 for the same bits, at most 0.25.
  std::uint32_t validators = 0;
  double recompute_tolerance = 0;

  std::chrono::milliseconds delta{500};                // what a message between honest members takes at most
  std::chrono::milliseconds compute_deadline{10'000};  // for a contribution
  std::chrono::milliseconds exchange_deadline{5'000};  // for every other phase of a round
};

struct RoundReport {
  std::uint64_t round = 0;
  bool applied = true;           // false: nothing came of it, and the round is tried again
  std::size_t members = 0;       // after the round
  std::size_t contributors = 0;  // whose gradients are in the average
  float loss = 0;                // mean of what the contributors say
  std::optional<Evaluation> evaluation;
  std::string parameters;  // their digest after the round, 64 hex digits: equal on all members
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  double seconds = 0;
};

// What happens in a run, for whoever overrides it. Called on the node's loop thread ("testudo-loop"), one at
// a time and in order: be quick, nothing else of this node goes on meanwhile. From in here Node::id(),
// Node::addresses() and Run::finished() may be called; everything that waits is refused. An exception that
// leaves a callback is caught and logged.
class RunObserver {
 public:
  RunObserver() = default;
  RunObserver(const RunObserver&) = delete;
  RunObserver& operator=(const RunObserver&) = delete;
  virtual ~RunObserver() = default;

  virtual void on_round(const RoundReport& report) { static_cast<void>(report); }
  virtual void on_member(const std::string& peer, bool joined) {
    static_cast<void>(peer);
    static_cast<void>(joined);
  }
  // Why nothing happens at the moment, once per change.
  virtual void on_waiting(const std::string& reason) { static_cast<void>(reason); }
  // The model threw an exception, or what it computed does not do.
  virtual void on_problem(const std::string& what) { static_cast<void>(what); }
};

struct JoinOptions {
  std::shared_ptr<Model> model;
  // Another object of the same kind, that evaluates while `model` computes; none: nothing is evaluated.
  std::shared_ptr<Model> evaluator;
  std::uint64_t evaluate_every = 10;      // rounds; the last one is always evaluated
  std::shared_ptr<RunObserver> observer;  // may be null
};

struct RunResult {
  std::uint64_t rounds = 0;
  std::vector<float> parameters;
};

// A handle, made by Node::join, owned by the caller; it may outlive its node. All calls from any thread but
// those of callbacks and of models, where they are refused (finished() is not).
class Run {
 public:
  Run(Run&& other) noexcept;
  Run& operator=(Run&& other) noexcept;  // the run that was here before is left
  // Leaves the run as stop() does, unless it has ended. Within a callback it does not wait.
  ~Run();

  // Until the last round is over and the others have it. Errors: what ended it: `unreachable` (no bootstrap
  // node answers), `not_found` (nobody knows the run), `invalid_argument` (the model does not fit it),
  // `corrupt` and `io` (the data directory), `refused` (banned); `closed` after stop() or when the node was
  // destroyed. The result is good as long as this lives.
  const RunResult& wait();
  // The same with a limit: false when it has passed.
  bool wait_for(std::chrono::milliseconds limit);
  bool finished() const;

  // Leaves the run: what was certified is kept in the data directory, and joining again goes on from there.
  // Afterwards neither model nor observer is called any more. Waits for a model's call that is under way.
  void stop();

 private:
  friend class Node;
  class Impl;
  explicit Run(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace testudo

#pragma GCC visibility pop
