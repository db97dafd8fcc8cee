// RunState: what a public Run holds: how the run goes on, and how it ended. Shared by the handle and the loop
// thread. The observer's calls and end() on the loop thread, the rest from any.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "node/face/adapted_model.h"
#include "node/face/loop.h"
#include "node/session.h"

namespace testudo::face {

class RunState final : public node::SessionObserver, public std::enable_shared_from_this<RunState> {
 public:
  RunState(std::shared_ptr<LoopHandle> loop, swarm::RunId run, JoinOptions options);

  // Takes part to the end, then says so here.
  net::Task<void> take_part(Core& core);
  // The first call counts.
  void end(Result<RunResult> result);

  const RunResult& wait();
  bool wait_for(std::chrono::milliseconds limit);
  bool finished() const;
  void stop();
  // Without waiting.
  void leave();
  bool is_inside() const { return loop_->is_inside(); }

  void on_round(const training::RoundReport& report) override;
  void on_removed(const swarm::Removal& removal, swarm::RoundNumber round) override;
  void on_admitted(const swarm::PeerId& peer, swarm::RoundNumber round) override;
  void on_waiting(const std::string& reason) override;

 private:
  net::Task<Result<RunResult>> session(Core& core);
  Result<node::Models> make_models(const swarm::Manifest& manifest);
  // From any thread: tells the observer on the loop thread.
  void report_problem(const std::string& what);
  template <typename Call>
  void tell(Call call);

  const std::shared_ptr<LoopHandle> loop_;
  const swarm::RunId run_;
  const JoinOptions options_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable ended_;
  std::optional<Result<RunResult>> result_;
};

// The initial parameters of a model, drawn and checked, and what a manifest says about them.
struct DrawnModel {
  std::shared_ptr<AdaptedModel> model;
  Digest digest{};
};
Result<DrawnModel> draw_model(const std::shared_ptr<testudo::Model>& model,
                              const std::shared_ptr<LoopHandle>& loop, const std::shared_ptr<Gate>& gate,
                              std::function<void(const std::string&)> on_problem, const Digest& seed);

}  // namespace testudo::face
