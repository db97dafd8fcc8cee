// ReceiveWindow: how much a peer may send on one stream before we have read it, and when it may send more.
// Bytes and times in, grants out; no clock, no loop. Specification:
//
// 1. A stream begins with the protocol's initial window and never holds more unread bytes than its window.
// 2. What was read is granted again in steps of half a window, or of `grant_step` when that is less: the
//    window of a long and fast link is then always nearly whole (with halves a link stalls as soon as its
//    round trip times its rate is more than half the window), and a grant still costs a frame in half a MiB.
// 3. A window whose half is read within two round trips doubles, up to `largest`, as long as the budget that
//    the streams of a connection share allows: it ends at four to eight times what the link holds, or where
//    the reader is the slower one. Reaching 16 MiB takes six doublings, under ten round trips.
// 4. A window never shrinks; what it took from the budget goes back when the stream ends.
//
// Value semantics but for the budget, which outlives it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "net/async/scheduler.h"

namespace testudo::net {

class ReceiveWindow {
 public:
  // What tuned windows of one connection may take together beyond the initial ones.
  struct Budget {
    std::uint64_t limit = 0;
    std::uint64_t used = 0;
  };
  static constexpr std::uint32_t grant_step = 512 * 1024;
  // The round trip of a loopback is shorter than a turn of a busy loop: no window grows for less.
  static constexpr Duration least_round_trip = 1ms;

  explicit ReceiveWindow(std::uint32_t initial) : initial_(initial), size_(initial), open_(initial) {}

  // What the peer may still send.
  std::uint32_t open() const { return open_; }
  // REQUIRES: size <= open().
  void arrived(std::uint32_t size) { open_ -= size; }
  // So much was read; the grant to tell the peer of now, or 0. Nothing is known of the round trip at first.
  std::uint32_t read(TimePoint now, std::uint32_t size, std::optional<Duration> round_trip,
                     std::uint32_t largest, Budget& budget) {
    owed_ += size;
    read_ += size;
    std::uint32_t growth = 0;
    if (read_ >= size_ / 2) {
      const bool fast = round_trip && since_ && now - *since_ < 2 * std::max(*round_trip, least_round_trip);
      if (fast) growth = grow(largest, budget);
      since_ = now;
      read_ = 0;
    }
    if (growth == 0 && owed_ < std::min(size_ / 2, grant_step)) return 0;
    const std::uint32_t grant = std::exchange(owed_, 0) + growth;
    open_ += grant;
    return grant;
  }
  void give_back(Budget& budget) {
    budget.used -= size_ - initial_;
    size_ = initial_;
  }

 private:
  std::uint32_t grow(std::uint32_t largest, Budget& budget) {
    if (size_ >= largest) return 0;
    const std::uint32_t growth = std::min(size_, largest - size_);
    if (budget.used + growth > budget.limit) return 0;
    budget.used += growth;
    size_ += growth;
    return growth;
  }

  std::uint32_t initial_;
  std::uint32_t size_;
  std::uint32_t open_;
  std::uint32_t owed_ = 0;          // read and not granted again
  std::uint32_t read_ = 0;          // since `since_`
  std::optional<TimePoint> since_;  // when half a window was last complete
};

}  // namespace testudo::net
