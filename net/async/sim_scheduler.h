// SimScheduler: virtual time on one thread. Time jumps from event to event, so that hours pass in
// milliseconds and a run is a pure function of its seed.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "net/async/scheduler.h"

namespace testudo::net {

class SimProcess;

class SimScheduler final : public Scheduler {
 public:
  UnixTime unix_now() const override;
  void post_from_any_thread(std::function<void()> function) override { post(std::move(function)); }
  // Runs the work in place and charges offload_time for it, with as many workers as there is work.
  void offload(std::function<void()> work, std::function<void()> done) override;

  // Runs turn after turn until `finished` holds (true), or nothing is left to do or virtual time passed
  // `limit` (false).
  bool run_until(const std::function<bool()>& finished, TimePoint limit);
  bool run_for(const std::function<bool()>& finished, Duration limit) {
    return run_until(finished, now() + limit);
  }
  void run_for(Duration duration) {
    run_until([] { return false; }, now() + duration);
  }
  void set_offload_time(Duration time) { offload_time_ = time; }
  std::uint64_t turns() const { return turns_; }

 private:
  friend class SimProcess;
  bool anything_ready() const;
  std::optional<TimePoint> earliest_timer() const;
  void set_everywhere(TimePoint now);

  std::vector<SimProcess*> processes_;
  std::uint64_t turns_ = 0;
  Duration offload_time_{};
  std::uint64_t next_job_ = 0;
  std::map<std::uint64_t, Timer> jobs_;
};

// SimProcess: the scheduler of one process in the virtual time that it shares with others. It can be stopped
// like a laptop that is closed, so that everything in it happens late, and its wall clock can be wrong. Jobs
// that it offloads refer to it: it lives as long as the whole runs. Loop thread only.
class SimProcess final : public Scheduler {
 public:
  explicit SimProcess(SimScheduler& whole);
  ~SimProcess() override;
  UnixTime unix_now() const override { return whole_.unix_now() + clock_error_; }
  void post_from_any_thread(std::function<void()> function) override { post(std::move(function)); }
  void offload(std::function<void()> work, std::function<void()> done) override;

  void freeze() { frozen_ = true; }
  void thaw() { frozen_ = false; }
  void set_clock_error(std::chrono::milliseconds error) { clock_error_ = error; }
  // From now on jobs take the CPU time that they really take, by this clock of the calling thread, and wait
  // for one of so many cores. Such a run is no pure function of its seed any more.
  void set_cores(std::size_t cores, std::function<Duration()> cpu_clock);
  Duration job_time() const { return job_time_; }  // of all jobs since then

 private:
  friend class SimScheduler;
  bool has_work_at(TimePoint now) const;
  SimScheduler& whole_;
  bool frozen_ = false;
  std::chrono::milliseconds clock_error_{};
  std::vector<TimePoint> cores_;  // when each is free
  std::function<Duration()> cpu_clock_;
  Duration job_time_{};
  std::uint64_t next_job_ = 0;
  std::map<std::uint64_t, Timer> jobs_;
};

}  // namespace testudo::net
