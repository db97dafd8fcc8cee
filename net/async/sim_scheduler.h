// SimScheduler: virtual time on one thread. Time jumps from event to event, so that hours pass in
// milliseconds and a run is a pure function of its seed.
#pragma once

#include "net/async/scheduler.h"

namespace testudo::net {

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
  std::uint64_t turns_ = 0;
  Duration offload_time_{};
  std::uint64_t next_job_ = 0;
  std::map<std::uint64_t, Timer> jobs_;
};

}  // namespace testudo::net
