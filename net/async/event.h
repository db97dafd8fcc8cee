// Event: a flag that coroutines wait for. sleep: wait for a time. Loop thread only.
#pragma once

#include "net/async/scheduler.h"

namespace testudo::net {

class Event {
 public:
  explicit Event(Scheduler& scheduler) : scheduler_(scheduler) {}

  bool is_set() const { return set_; }
  void reset() { set_ = false; }
  // Stays set: whoever waits now or later goes on.
  void set() {
    set_ = true;
    pulse();
  }
  // Wakes whoever waits now, and leaves the flag as it is: for "something changed, look again".
  void pulse() {
    while (Waiter* waiter = waiters_.front()) scheduler_.resume(*waiter);
  }

  auto wait() {
    struct Awaiter : Waiter {
      explicit Awaiter(Event& owner) : event(owner) {}
      Event& event;
      bool await_ready() const { return event.set_; }
      void await_suspend(std::coroutine_handle<> coroutine) {
        set_handle(coroutine);
        event.waiters_.push_back(*this);
      }
      void await_resume() const {}
    };
    return Awaiter(*this);
  }

 private:
  Scheduler& scheduler_;
  bool set_ = false;
  WaitList waiters_;
};

inline auto sleep_until(Scheduler& scheduler, TimePoint when) {
  struct Awaiter : Waiter {
    Awaiter(Scheduler& s, TimePoint t) : scheduler(s), when(t) {}
    Scheduler& scheduler;
    TimePoint when;
    Timer timer;
    bool await_ready() const { return when <= scheduler.now(); }
    void await_suspend(std::coroutine_handle<> coroutine) {
      set_handle(coroutine);
      timer = scheduler.at(when, [this] { scheduler.resume(*this); });
    }
    void await_resume() const {}
  };
  return Awaiter(scheduler, when);
}
inline auto sleep_for(Scheduler& scheduler, Duration delay) {
  return sleep_until(scheduler, scheduler.now() + delay);
}

// Lets everything else that is ready run first.
inline auto yield(Scheduler& scheduler) {
  struct Awaiter : Waiter {
    explicit Awaiter(Scheduler& s) : scheduler(s) {}
    Scheduler& scheduler;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
      set_handle(coroutine);
      scheduler.resume(*this);
    }
    void await_resume() const {}
  };
  return Awaiter(scheduler);
}

}  // namespace testudo::net
