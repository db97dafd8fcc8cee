#include "swarm/download_window.h"

#include <doctest/doctest.h>

#include <vector>

#include "net/async/sim_scheduler.h"
#include "net/async/task_group.h"

namespace testudo::swarm {
namespace {

using namespace std::chrono_literals;

struct Line {
  net::SimScheduler scheduler;
  DownloadWindow window{scheduler};
  std::size_t asked = 0;
  std::size_t came = 0;
  net::TaskGroup tasks{scheduler};

  net::Task<Result<std::size_t>> answer_after(net::Duration time, std::size_t bytes) {
    ++asked;
    co_await net::sleep_for(scheduler, time);
    co_return bytes;
  }
  net::Task<void> ask(net::Duration time, std::size_t bytes, std::size_t& answers) {
    const auto answer = co_await window.ask_for(bytes, answer_after(time, bytes));
    answers += answer.has_value();
  }
  net::Task<void> keep_asking_for_little(net::Duration time) {
    while (true) co_await ask(time, DownloadWindow::least_request, came);
  }
  // For ever, each as large as the window makes it for so many.
  net::Task<void> keep_asking(net::Duration time, std::size_t side_by_side, std::size_t& answers) {
    while (true) co_await ask(time, window.request_bytes(side_by_side), answers);
  }
  void run(net::Duration time) { scheduler.run_for(time); }
};

constexpr std::size_t least = DownloadWindow::least_request;

TEST_CASE_FIXTURE(Line, "a request waits for room, and one that is larger than the window goes alone") {
  tasks.spawn(ask(3s, DownloadWindow::first_width, came));
  tasks.spawn(ask(3s, 2 * DownloadWindow::first_width, came));
  tasks.spawn(ask(3s, least, came));
  run(2s);
  CHECK(asked == 1);
  run(2s);
  CHECK(asked == 2);
  run(3s);
  CHECK(asked == 3);
  run(3s);
  CHECK(came == 3);
}

TEST_CASE_FIXTURE(Line, "the window opens in round trips while answers come at once") {
  for (int i = 0; i < 32; ++i) tasks.spawn(keep_asking(100ms, 32, came));
  run(2s);
  CHECK(window.request_bytes(32) == DownloadWindow::greatest_request);
}

TEST_CASE_FIXTURE(Line, "small answers that come at once say nothing of what a line bears") {
  tasks.spawn(keep_asking_for_little(100ms));
  run(60s);
  CHECK(window.request_bytes(1) == DownloadWindow::first_width);
}

TEST_CASE_FIXTURE(Line, "what comes late makes the window narrower, down to one small request") {
  for (int i = 0; i < 8; ++i) tasks.spawn(keep_asking(7s, 8, came));
  run(60s);
  CHECK(window.request_bytes(1) == least);
}

TEST_CASE_FIXTURE(Line,
                  "who holds back what it was asked for has one turn before others, and narrows nothing") {
  for (int i = 0; i < 8; ++i) tasks.spawn(keep_asking(9900ms, 16, came));
  run(1s);
  CHECK(asked == 3);
  std::size_t honest = 0;
  for (int i = 0; i < 8; ++i) tasks.spawn(keep_asking(100ms, 16, honest));
  run(10s);
  CHECK(honest == 0);  // the others have theirs
  run(3s);
  CHECK(honest > 0);
  run(60s);
  CHECK(honest > 8 * 10 * 30);  // half of the time at the very least
  CHECK(window.request_bytes(16) > least);
}

TEST_CASE_FIXTURE(Line, "a request that is cancelled while it waits, or on its way, leaves its place") {
  {
    net::TaskGroup cancelled(scheduler);
    cancelled.spawn(ask(1h, DownloadWindow::first_width, came));
    cancelled.spawn(ask(1h, least, came));
    run(1s);
    tasks.spawn(ask(1s, least, came));
    run(1s);
    CHECK(asked == 1);
    CHECK_FALSE(window.has_room());
  }
  run(2s);
  CHECK(came == 1);
  CHECK(window.has_room());
}

}  // namespace
}  // namespace testudo::swarm
