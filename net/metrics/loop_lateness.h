// LoopLateness: how much later than asked the loop comes back to a timer: how long others have to wait when
// they become ready. Loop thread only; the scheduler outlives it.
#pragma once

#include "net/async/scheduler.h"
#include "net/metrics/registry.h"

namespace testudo::net {

class LoopLateness {
 public:
  // `clock` is the real time, which goes on within a turn.
  LoopLateness(Scheduler& scheduler, Registry& registry, std::function<TimePoint()> clock);

 private:
  static constexpr Duration interval = 100ms;
  void arm();

  Scheduler& scheduler_;
  Registry::Histogram& lateness_;
  std::function<TimePoint()> clock_;
  Timer timer_;
};

}  // namespace testudo::net
