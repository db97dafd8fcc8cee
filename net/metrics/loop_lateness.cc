#include "net/metrics/loop_lateness.h"

#include <algorithm>

namespace testudo::net {

LoopLateness::LoopLateness(Scheduler& scheduler, Registry& registry, std::function<TimePoint()> clock)
    : scheduler_(scheduler),
      lateness_(
          registry.histogram("testudo_loop_lateness_seconds",
                             "How late the loop thread came back to a timer, sampled ten times a second",
                             {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5})),
      clock_(std::move(clock)) {
  arm();
}

void LoopLateness::arm() {
  const TimePoint due = clock_() + interval;
  timer_ = scheduler_.at(due, [this, due] {
    lateness_.observe(std::max(seconds(clock_() - due), 0.0));
    arm();
  });
}

}  // namespace testudo::net
