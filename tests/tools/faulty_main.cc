// testudo-faulty: a member that fails on purpose: its process dies at a write of its life, as by kill -9, or
// it holds still at the end of a phase. For tests. The member itself is `testudo join`, unchanged.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <thread>

#include "net/storage/faulty_storage.h"
#include "tools/cli/join.h"

namespace testudo::tools {
namespace {

constexpr int killed_itself = 137;

// Takes its time for a contribution, so that a round is longer than the test needs to act on it.
class SlowModel final : public training::Model {
 public:
  SlowModel(std::shared_ptr<training::Model> quick, std::chrono::milliseconds pause)
      : quick_(std::move(quick)), pause_(pause) {}
  std::size_t parameter_count() const override { return quick_->parameter_count(); }
  std::vector<float> initial_parameters(const Digest& seed) const override {
    return quick_->initial_parameters(seed);
  }
  Result<training::Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                              std::uint32_t samples, std::span<float> gradient) override {
    std::this_thread::sleep_for(pause_);
    return quick_->contribution(parameters, seed, samples, gradient);
  }
  Result<training::Evaluation> evaluate(std::span<const float> parameters) override {
    return quick_->evaluate(parameters);
  }
  std::vector<training::NamedTensorInfo> layout() const override { return quick_->layout(); }

 private:
  std::shared_ptr<training::Model> quick_;
  std::chrono::milliseconds pause_;
};

// Blocked in every thread and only ever waited for: it stays pending until somebody does.
sigset_t turns() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return set;
}

}  // namespace
}  // namespace testudo::tools

int main(int argc, char** argv) {
  using namespace testudo;
  using namespace testudo::tools;
  const sigset_t turn = turns();
  sigprocmask(SIG_BLOCK, &turn, nullptr);
  Program program("testudo-faulty", "Takes part in a run and fails on purpose, for tests.",
                  "Example:  testudo-faulty RUN --bootstrap ADDRESS --data DIR --die-before 2");
  JoinOptions options;
  std::uint64_t die_before = 0;
  std::uint64_t die_after = 0;
  std::string hold_after;
  std::uint32_t compute_ms = 0;
  add_join_options(program.app(), options);
  program.app().add_option("--die-before", die_before, "Dies at this write, which is not done; 0: never");
  program.app().add_option("--die-after", die_after, "Dies at this write, once it is done; 0: never");
  program.app().add_option("--hold-after", hold_after,
                           "After a SIGUSR1, holds still at the next end of this phase until another one");
  program.app().add_option("--compute-ms", compute_ms, "How long a contribution takes at least");
  program.set_command([&](Output& output) {
    JoinHooks hooks;
    hooks.wrap_storage = [&](net::Storage& disk) {
      auto faulty = std::make_unique<net::FaultyStorage>(disk, [] { _exit(killed_itself); });
      if (die_before > 0) faulty->plan(die_before, net::FaultyStorage::Fault::death_before);
      if (die_after > 0) faulty->plan(die_after, net::FaultyStorage::Fault::death_after);
      return faulty;
    };
    hooks.wrap_model =
        [&](const swarm::Manifest&,
            std::shared_ptr<training::Model> quick) -> Result<std::shared_ptr<training::Model>> {
      if (compute_ms == 0) return quick;
      return std::make_shared<SlowModel>(std::move(quick), std::chrono::milliseconds(compute_ms));
    };
    hooks.on_phase_ended = [&](const std::string& phase) {
      constexpr timespec at_once{};
      if (phase != hold_after || sigtimedwait(&turn, nullptr, &at_once) != SIGUSR1) return;
      output.say({{"event", "held"}, {"phase", phase}}, "held after " + phase);
      int number = 0;
      sigwait(&turn, &number);
    };
    return join(options, hooks, output);
  });
  return program.run(argc, argv);
}
