// Participant: one member of a run, from joining to the last round. It finds the others, downloads ledger and
// state, asks for a seat, takes part in every round, and survives restarts. Everything a program needs to
// train with others: `testudo join` is this and a printer. Loop thread only; the models run on the CPU pool.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/host/host.h"
#include "net/storage/storage.h"
#include "swarm/manifest.h"
#include "swarm/outcome.h"
#include "training/model.h"
#include "training/round/misconduct.h"
#include "training/round/state.h"

namespace testudo::dht {
class Dht;
}

namespace testudo::training {

struct PhaseTime {
  std::string phase;  // "compute", "commit", "scatter", "reduce", "serve", "gather", "reveal", "check",
                      // "settle", "step", "certify"
  double seconds = 0;
};

struct RoundReport {
  swarm::RoundNumber round;
  swarm::Attempt attempt;
  swarm::OutcomeKind kind = swarm::OutcomeKind::apply;
  std::size_t members = 0;               // of the roster that the round ended with
  std::size_t contributors = 0;          // whose gradients are in the average
  bool founding = true;                  // every certificate after this one needs the founders
  float loss = 0;                        // mean of what the contributors claim
  std::optional<Evaluation> evaluation;  // on held-out data, where this round was evaluated
  Digest parameters{};                   // after the round
  std::uint64_t bytes_sent = 0;          // by this member in this round, everything included
  std::uint64_t bytes_received = 0;
  double seconds = 0;
  std::vector<PhaseTime> phases;
};

// How far a member that is behind has come with fetching the state of the run: a snapshot, and steps from
// there.
struct FetchProgress {
  std::uint64_t bytes = 0;  // that are here
  std::uint64_t total = 0;  // about; what others add to the run meanwhile is fetched afterwards
  double seconds = 0;       // since it began
};

// Called on the loop thread, in order. Quick: nobody waits for a slow disk in here.
class ParticipantObserver {
 public:
  virtual ~ParticipantObserver() = default;
  // A round (an attempt of it) begins; before the contribution is computed.
  virtual void on_round_started(swarm::RoundNumber) {}
  // A phase of it has ended on this member, named as in PhaseTime.
  virtual void on_phase_ended(const std::string&) {}
  virtual void on_round(const RoundReport&) {}
  virtual void on_removed(const swarm::Removal&, swarm::RoundNumber) {}
  virtual void on_admitted(const swarm::PeerId&, swarm::RoundNumber) {}
  virtual void on_strike(const swarm::Strike&, swarm::RoundNumber) {}
  // Who reduces nothing because of strikes, ascending, from this round on; when it changes.
  virtual void on_resting(const std::vector<swarm::PeerId>&, swarm::RoundNumber) {}
  // Why nothing happens at the moment ("waiting for the founders: 1 of 2 connected"), once per change.
  virtual void on_waiting(const std::string&) {}
  // While the state is fetched, about once a second; nothing where that takes less.
  virtual void on_fetching(const FetchProgress&) {}
};

struct ParticipantOptions {
  // Rounds between evaluations on this member; those that would make reports lag are left out, the last round
  // is always evaluated. 0: never.
  std::uint64_t evaluate_every = 10;
  bool client_mode = false;
  // After the last round: how long to stay at most for members that are behind or have to come back.
  net::Duration linger = std::chrono::seconds(10);
  Misconduct* misconduct = nullptr;  // of tests and experiments; outlives the participant
};

class Participant {
 public:
  // `model` computes contributions, `evaluator` (may be null) evaluates beside them.
  Participant(net::Host& host, dht::Dht& dht, net::Storage& storage, swarm::SignedManifest manifest,
              std::shared_ptr<Model> model, std::shared_ptr<Model> evaluator, ParticipantObserver& observer,
              ParticipantOptions options = {});
  ~Participant();

  // Ends after the last round, or with an error that ends the program (a data directory of another run, a
  // ledger that does not check, a model that does not fit the manifest). Destroying the task stops at once.
  net::Task<Result<void>> run();

  // After run(): the trained parameters. Before that those of finished_rounds(); empty while it has none.
  std::span<const float> parameters() const;
  swarm::RoundNumber finished_rounds() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace testudo::training
