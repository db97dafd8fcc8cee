// DownloadWindow: how much of what downloads ask for may be on its way to this host at a time, all of them
// together. One for a host; it outlives the downloads that use it, and the scheduler outlives it. Loop thread
// only.
//
// A request has ten seconds on every line, so that who holds an answer back holds nobody up for longer. What
// is asked for together shares this host's line: on a slow one it comes in time only if it is little. Nobody
// knows the line before, hence a window that finds out, as congestion windows do:
// 1. It begins narrow. What comes within two seconds widens it by its size, so that it doubles in a round
//    trip; not beyond twice what has been on its way, for that says nothing of the line.
// 2. What did not come in six seconds is overdue. If others came meanwhile, the line is to blame, or a liar:
//    the window becomes half as wide, once in six seconds. Honest donors keep nothing back for so long
//    (sync::longest_wait), and widen it in round trips.
// 3. What is overdue takes no room any more: donors that hold back what they were asked for keep nobody else
//    from being asked for longer than that.
// 4. Requests enter in the order in which they were made: nobody is asked again and again before the others.
// At its narrowest it is one request of 16 KiB, which a line of 3 kB/s bears.
#pragma once

#include <set>
#include <utility>

#include "crypto/base/result.h"
#include "net/async/event.h"
#include "net/async/task.h"

namespace testudo::swarm {

class DownloadWindow {
 public:
  // What one request asks for.
  static constexpr std::size_t least_request = 16 * 1024;
  static constexpr std::size_t greatest_request = 256 * 1024;
  static constexpr std::size_t first_width = 4 * least_request;
  static constexpr std::size_t greatest_width = 32 * greatest_request;  // 1 Gbit/s over 60 ms
  static constexpr net::Duration quick = std::chrono::seconds(2);
  static constexpr net::Duration overdue_after = std::chrono::seconds(6);

  explicit DownloadWindow(net::Scheduler& scheduler) : scheduler_(scheduler), changed_(scheduler) {}
  DownloadWindow(const DownloadWindow&) = delete;
  DownloadWindow& operator=(const DownloadWindow&) = delete;

  // Bytes that a request asks for where so many are made side by side: its share, or half of the room, which
  // is more where others are overdue.
  std::size_t request_bytes(std::size_t side_by_side) const;
  // For a request that nobody waits for.
  bool has_room() const { return waiting_.empty() && fits(least_request); }

  // Asks when there is room for the answer's bytes. The deadline is the request's own.
  template <typename T>
  net::Task<Result<T>> ask_for(std::size_t bytes, net::Task<Result<T>> request) {
    co_await enter(bytes);
    OnItsWay on_its_way(*this, bytes);
    auto answer = co_await std::move(request);
    if (answer) on_its_way.arrived();
    co_return answer;
  }

 private:
  class OnItsWay {
   public:
    OnItsWay(DownloadWindow& window, std::size_t bytes);
    OnItsWay(const OnItsWay&) = delete;
    OnItsWay& operator=(const OnItsWay&) = delete;
    ~OnItsWay() { leave(); }
    void arrived();

   private:
    void overdue();
    void leave();
    DownloadWindow& window_;
    std::size_t bytes_;  // 0 once they take no room
    net::TimePoint asked_;
    net::Timer overdue_;
  };

  bool fits(std::size_t bytes) const { return on_its_way_ == 0 || on_its_way_ + bytes <= width_; }
  net::Task<void> enter(std::size_t bytes);

  net::Scheduler& scheduler_;
  std::size_t width_ = first_width;
  std::size_t on_its_way_ = 0;
  std::size_t most_on_its_way_ = 0;  // since nothing was
  net::TimePoint last_arrival_{};
  net::TimePoint halve_from_{};
  std::set<std::uint64_t> waiting_;  // in the order of their numbers
  std::uint64_t next_ = 0;
  net::Event changed_;  // pulsed: there may be room
};

}  // namespace testudo::swarm
