// Scheduler: the seam for time and execution. One thread, the loop thread, runs everything that touches
// protocol state, in turns: due timers, then resumed coroutines and posted functions in order. now() is
// frozen within a turn. LibuvScheduler drives it from a libuv loop, SimScheduler in virtual time.
// Loop thread only, but for post_from_any_thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "net/async/wait_list.h"

namespace testudo::net {

using Duration = std::chrono::nanoseconds;
struct SchedulerClock {  // monotonic; its epoch means nothing
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<SchedulerClock>;
  static constexpr bool is_steady = true;
};
using TimePoint = SchedulerClock::time_point;
using UnixTime = std::chrono::sys_time<std::chrono::milliseconds>;
using namespace std::chrono_literals;

inline double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
inline Duration from_seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

class Scheduler;

// A pending timer; destroying it cancels it. Must not outlive its scheduler.
class [[nodiscard]] Timer {
 public:
  Timer() = default;
  Timer(Timer&& other) noexcept : scheduler_(std::exchange(other.scheduler_, nullptr)), key_(other.key_) {}
  Timer& operator=(Timer&& other) noexcept {
    if (this != &other) {
      cancel();
      scheduler_ = std::exchange(other.scheduler_, nullptr);
      key_ = other.key_;
    }
    return *this;
  }
  ~Timer() { cancel(); }
  void cancel();

 private:
  friend class Scheduler;
  using Key = std::pair<TimePoint, std::uint64_t>;
  Timer(Scheduler* scheduler, Key key) : scheduler_(scheduler), key_(key) {}
  Scheduler* scheduler_ = nullptr;
  Key key_{};
};

class Scheduler {
 public:
  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  virtual ~Scheduler() = default;

  TimePoint now() const { return now_; }
  // Wall clock, for what other machines read: record expiry, peer record sequence numbers. Never for
  // deadlines.
  virtual UnixTime unix_now() const = 0;

  // Runs `function` in the next turn.
  void post(std::function<void()> function);
  virtual void post_from_any_thread(std::function<void()> function) = 0;
  Timer at(TimePoint when, std::function<void()> function);
  Timer after(Duration delay, std::function<void()> function) {
    return at(now_ + delay, std::move(function));
  }
  // Runs `work` on the CPU pool and `done` on the loop thread afterwards. `work` must own what it touches.
  virtual void offload(std::function<void()> work, std::function<void()> done) = 0;

  // Resumes the waiting coroutine from the loop, never from the caller's stack.
  void resume(Waiter& waiter);

 protected:
  // One turn at time `now`. Work that is queued while it runs waits for the next turn.
  void run_turn(TimePoint now);
  bool has_ready_work() const { return !ready_.empty() || !posted_.empty(); }
  bool has_timers() const { return !timers_.empty(); }
  TimePoint next_timer() const { return timers_.begin()->first.first; }
  void set_now(TimePoint now) { now_ = now; }
  // Called when work was queued outside a turn; a driver that sleeps must wake up.
  virtual void wake() {}

 private:
  friend class Timer;
  TimePoint now_{};
  std::uint64_t next_timer_id_ = 0;
  std::map<Timer::Key, std::function<void()>> timers_;
  std::deque<std::function<void()>> posted_;
  WaitList ready_;
};

}  // namespace testudo::net
