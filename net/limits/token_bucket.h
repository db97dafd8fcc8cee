// TokenBucket: how often something may happen. A bucket holds four seconds of its rate and fills up again;
// what is taken beyond that is a debt, which says how long the taker has to wait. Time is an argument. One
// owner, one thread.
#pragma once

#include <algorithm>

#include "net/async/scheduler.h"

namespace testudo::net {

class TokenBucket {
 public:
  static constexpr double burst_seconds = 4;

  explicit TokenBucket(std::uint64_t per_second)
      : rate_(static_cast<double>(per_second)), level_(rate_ * burst_seconds) {}

  // Takes them in any case. How long until that many would have been there; 0 when they were.
  Duration take(TimePoint now, double tokens = 1) {
    fill(now);
    level_ -= tokens;
    if (level_ >= 0) return Duration(0);
    return Duration(static_cast<Duration::rep>(-level_ / std::max(rate_, 1e-9) * 1e9));
  }
  // The debt is as large as a full bucket: waiting does not help against this one.
  bool hopeless() const { return level_ < -rate_ * burst_seconds; }
  bool full(TimePoint now) const {
    TokenBucket later = *this;
    later.fill(now);
    return later.level_ >= rate_ * burst_seconds;
  }

 private:
  void fill(TimePoint now) {
    if (now <= filled_) return;
    if (filled_ != TimePoint{}) {
      const double passed = std::chrono::duration<double>(now - filled_).count();
      level_ = std::min(level_ + passed * rate_, rate_ * burst_seconds);
    }
    filled_ = now;
  }

  double rate_;
  double level_;
  TimePoint filled_{};
};

}  // namespace testudo::net
