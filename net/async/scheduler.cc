#include "net/async/scheduler.h"

namespace testudo::net {

void Timer::cancel() {
  if (scheduler_ != nullptr) std::exchange(scheduler_, nullptr)->timers_.erase(key_);
}

void Scheduler::post(std::function<void()> function) {
  posted_.push_back(std::move(function));
  wake();
}

Timer Scheduler::at(TimePoint when, std::function<void()> function) {
  Timer::Key key{when, next_timer_id_++};
  timers_.emplace(key, std::move(function));
  wake();
  return Timer(this, key);
}

void Scheduler::resume(Waiter& waiter) {
  ready_.push_back(waiter);
  wake();
}

void Scheduler::run_turn(TimePoint now) {
  now_ = now;
  // Timers armed by the callbacks of this turn wait for the next one, even when due at once.
  const std::uint64_t first_new_timer = next_timer_id_;
  for (auto it = timers_.begin(); it != timers_.end() && it->first.first <= now_;) {
    if (it->first.second >= first_new_timer) {
      ++it;
      continue;
    }
    auto function = std::move(it->second);
    timers_.erase(it);
    function();
    it = timers_.begin();  // the callback may have cancelled any of them
  }

  WaitList batch;
  while (Waiter* waiter = ready_.front()) batch.push_back(*waiter);
  std::deque<std::function<void()>> posted;
  posted.swap(posted_);
  // A coroutine that is destroyed meanwhile unlinks itself from the batch.
  while (Waiter* waiter = batch.front()) {
    waiter->unlink();
    waiter->handle().resume();
  }
  for (auto& function : posted) function();
}

}  // namespace testudo::net
