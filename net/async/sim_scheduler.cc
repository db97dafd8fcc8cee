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

bool SimScheduler::anything_ready() const {
  return has_ready_work() || std::ranges::any_of(processes_, [](const SimProcess* process) {
           return !process->frozen_ && process->has_ready_work();
         });
}

std::optional<TimePoint> SimScheduler::earliest_timer() const {
  std::optional<TimePoint> earliest;
  if (has_timers()) earliest = next_timer();
  for (const SimProcess* process : processes_) {
    if (process->frozen_ || !process->has_timers()) continue;
    earliest = earliest ? std::min(*earliest, process->next_timer()) : process->next_timer();
  }
  return earliest;
}

void SimScheduler::set_everywhere(TimePoint now) {
  set_now(now);
  for (SimProcess* process : processes_) process->set_now(now);
}

bool SimScheduler::run_until(const std::function<bool()>& finished, TimePoint limit) {
  while (!finished()) {
    TimePoint next = now();
    if (!anything_ready()) {
      const auto timer = earliest_timer();
      if (!timer || *timer > limit) {
        set_everywhere(std::max(now(), limit));
        return false;
      }
      next = std::max(now(), *timer);
    }
    set_everywhere(next);
    run_turn(next);
    for (SimProcess* process : processes_) {
      if (process->has_work_at(next)) process->run_turn(next);
    }
    ++turns_;
  }
  return true;
}

SimProcess::SimProcess(SimScheduler& whole) : whole_(whole) {
  set_now(whole.now());
  whole_.processes_.push_back(this);
}

bool SimProcess::has_work_at(TimePoint now) const {
  return !frozen_ && (has_ready_work() || (has_timers() && next_timer() <= now));
}

SimProcess::~SimProcess() { std::erase(whole_.processes_, this); }

void SimProcess::set_cores(std::size_t cores, std::function<Duration()> cpu_clock) {
  cores_.assign(cores, now());
  cpu_clock_ = std::move(cpu_clock);
}

void SimProcess::offload(std::function<void()> work, std::function<void()> done) {
  if (!cores_.empty()) {
    const Duration before = cpu_clock_();
    work();
    const Duration cost = cpu_clock_() - before;
    job_time_ += cost;
    const auto core = std::ranges::min_element(cores_);
    *core = std::max(now(), *core) + cost;
    const std::uint64_t job = next_job_++;
    jobs_.emplace(job, at(*core, [this, job, done = std::move(done)] {
                    auto own = jobs_.extract(job);
                    done();
                  }));
    return;
  }
  whole_.offload(std::move(work), [this, done = std::move(done)]() mutable { post(std::move(done)); });
}

}  // namespace testudo::net
