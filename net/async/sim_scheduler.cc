#include "net/async/sim_scheduler.h"

#include <algorithm>

namespace testudo::net {

namespace {
constexpr UnixTime sim_epoch{std::chrono::sys_days{std::chrono::year{2024} / 1 / 1}};
}

UnixTime SimScheduler::unix_now() const {
  return sim_epoch + std::chrono::duration_cast<std::chrono::milliseconds>(now().time_since_epoch());
}

void SimScheduler::offload(std::function<void()> work, std::function<void()> done) {
  const std::uint64_t job = next_job_++;
  jobs_.emplace(job, after(offload_time_, [this, job, work = std::move(work), done = std::move(done)] {
                  auto own = jobs_.extract(job);
                  work();
                  done();
                }));
}

bool SimScheduler::run_until(const std::function<bool()>& finished, TimePoint limit) {
  while (!finished()) {
    TimePoint next = now();
    if (!has_ready_work()) {
      if (!has_timers() || next_timer() > limit) {
        set_now(std::max(now(), limit));
        return false;
      }
      next = std::max(now(), next_timer());
    }
    run_turn(next);
    ++turns_;
  }
  return true;
}

}  // namespace testudo::net
