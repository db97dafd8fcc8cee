// Events: what a member says about its run, round by round, on stdout. Loop thread only.
#pragma once

#include <functional>
#include <optional>

#include "net/async/scheduler.h"
#include "node/node.h"
#include "node/session.h"
#include "tools/cli/output.h"

namespace testudo::tools {

// {"event": "round", …}; `run` as 64 hex digits.
Json round_event(const std::string& run, const training::RoundReport& report);
std::string round_text(const training::RoundReport& report);
// {"event": "fetching", …}, and the same for people.
Json fetching_event(const std::string& run, const training::FetchProgress& progress);
std::string fetching_text(const training::FetchProgress& progress);

// "between A and B: answered challenge", "of A: silent validator".
std::string strike_text(const swarm::Strike& strike);
// {"peer", "reason", "with"}; nobody is null.
Json strike_json(const swarm::Strike& strike);

// Listens on all of them, then says each address that others can dial.
net::Task<Result<void>> listen(node::Node& node, std::vector<net::Multiaddr> addresses, Output& output);

class RunEvents final : public node::SessionObserver {
 public:
  RunEvents(Output& output, const net::Scheduler& scheduler, const swarm::RunId& run,
            std::function<void(swarm::RoundNumber)> on_round_started,
            std::function<void(const std::string&)> on_phase_ended);

  void on_manifest(const swarm::SignedManifest& manifest) override {
    last_round_ = manifest.manifest.last_round;
  }

  void on_round_started(swarm::RoundNumber round) override;
  void on_phase_ended(const std::string& phase) override;
  void on_round(const training::RoundReport& report) override;
  void on_removed(const swarm::Removal& removal, swarm::RoundNumber round) override;
  void on_admitted(const swarm::PeerId& peer, swarm::RoundNumber round) override;
  void on_strike(const swarm::Strike& strike, swarm::RoundNumber round) override;
  void on_resting(const std::vector<swarm::PeerId>& resting, swarm::RoundNumber from) override;
  void on_waiting(const std::string& reason) override;
  void on_fetching(const training::FetchProgress& progress) override;

  const std::optional<training::Evaluation>& last_evaluation() const { return last_evaluation_; }

 private:
  void show_progress(const training::RoundReport& report);

  Output& output_;
  const net::Scheduler& scheduler_;
  std::string run_;
  std::uint64_t last_round_ = 1;
  std::vector<swarm::PeerId> resting_;
  std::function<void(swarm::RoundNumber)> started_;
  std::function<void(const std::string&)> phase_ended_;
  std::optional<training::Evaluation> last_evaluation_;
  net::TimePoint next_fetching_line_;
  // Where the estimate of the time left starts: the first round seen, which need not be round 1.
  std::optional<std::pair<std::uint64_t, net::TimePoint>> first_;
};

}  // namespace testudo::tools
