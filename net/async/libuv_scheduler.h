// LibuvScheduler: the scheduler of a real node. A turn runs after every poll of the libuv loop; libuv
// callbacks only move bytes and mark coroutines ready.
#pragma once

#include <uv.h>

#include <memory>
#include <mutex>
#include <vector>

#include "net/async/cpu_pool.h"
#include "net/async/scheduler.h"

namespace testudo::net {

// While it lives, a write to a connection whose other end is gone is an error of that write on the calling
// thread, not a signal that ends the process: libuv writes without MSG_NOSIGNAL. Other threads, and what the
// process does about SIGPIPE, stay as they are. Made and destroyed on one thread.
class BrokenPipesAreErrors {
 public:
  BrokenPipesAreErrors();
  ~BrokenPipesAreErrors();
  BrokenPipesAreErrors(const BrokenPipesAreErrors&) = delete;
  BrokenPipesAreErrors& operator=(const BrokenPipesAreErrors&) = delete;

 private:
  bool blocked_before_;
};

// Made, run and destroyed on one thread, the loop thread.
class LibuvScheduler final : public Scheduler {
 public:
  LibuvScheduler();
  // Every handle made on loop() must be closed by its owner before; closing callbacks are run here.
  ~LibuvScheduler() override;

  UnixTime unix_now() const override;
  void post_from_any_thread(std::function<void()> function) override;
  void offload(std::function<void()> work, std::function<void()> done) override;

  // Runs on the calling thread, which becomes the loop thread, until stop().
  void run();
  // Runs until `finished` holds after a turn.
  void run_until(const std::function<bool()>& finished);
  void stop();  // loop thread
  // Calls `function` on the loop thread when the process gets the signal (SIGINT, SIGTERM).
  void on_signal(int signal, std::function<void()> function);

  uv_loop_t* loop() { return &loop_; }

 protected:
  void wake() override;

 private:
  struct SignalHandle;
  void turn();
  void arm();

  BrokenPipesAreErrors broken_pipes_;
  uv_loop_t loop_{};
  uv_check_t check_{};
  uv_idle_t idle_{};
  uv_timer_t timer_{};
  uv_async_t async_{};
  bool in_turn_ = false;
  bool stopping_ = false;
  bool closing_ = false;
  std::mutex mutex_;  // guards from_other_threads_ only
  std::vector<std::function<void()>> from_other_threads_;
  std::vector<std::unique_ptr<SignalHandle>> signals_;
  std::unique_ptr<CpuPool> pool_;  // ends before the loop: its threads post to it
};

}  // namespace testudo::net
