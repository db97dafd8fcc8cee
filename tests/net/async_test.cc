#include <doctest/doctest.h>

#include "net/async/channel.h"
#include "net/async/combinators.h"
#include "net/async/libuv_scheduler.h"
#include "net/async/sim_scheduler.h"

namespace testudo::net {
namespace {

struct Probe {
  explicit Probe(int& count) : destroyed(&count) {}
  Probe(Probe&& other) noexcept : destroyed(std::exchange(other.destroyed, nullptr)) {}
  ~Probe() {
    if (destroyed != nullptr) ++*destroyed;
  }
  int* destroyed;
};

Task<int> add_later(Scheduler& scheduler, int a, int b, Duration delay) {
  co_await sleep_for(scheduler, delay);
  co_return a + b;
}
Task<Result<int>> answer_later(Scheduler& scheduler, Duration delay, Probe probe) {
  co_await sleep_for(scheduler, delay);
  (void)probe;
  co_return 42;
}
template <typename T>
Task<void> store(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await task);
}
Task<void> sleep_then_count(Scheduler& scheduler, Duration delay, int& count, Probe probe) {
  (void)probe;
  co_await sleep_for(scheduler, delay);
  ++count;
}

TEST_CASE("a task runs when it is awaited and virtual time jumps over its sleep") {
  SimScheduler scheduler;
  TaskGroup group(scheduler);
  std::optional<int> sum;
  const TimePoint start = scheduler.now();
  group.spawn(store(add_later(scheduler, 2, 3, 1h), sum));
  CHECK(scheduler.run_for([&] { return sum.has_value(); }, 2h));
  CHECK(*sum == 5);
  CHECK(scheduler.now() - start == 1h);
  scheduler.run_for(1s);
  CHECK(group.size() == 0);
}

TEST_CASE("a deadline cancels what it guards and names it") {
  SimScheduler scheduler;
  TaskGroup group(scheduler);
  int destroyed = 0;
  std::optional<Result<int>> late;
  std::optional<Result<int>> early;
  group.spawn(
      store(with_timeout(scheduler, 1s, answer_later(scheduler, 5s, Probe(destroyed)), "the answer"), late));
  group.spawn(
      store(with_timeout(scheduler, 9s, answer_later(scheduler, 5s, Probe(destroyed)), "the answer"), early));
  CHECK(scheduler.run_for([&] { return late.has_value(); }, 2s));
  CHECK(late->error().code == ErrorCode::timeout);
  CHECK(late->error().message == "the answer took too long");
  CHECK(destroyed == 1);
  CHECK(scheduler.run_for([&] { return early.has_value(); }, 10s));
  CHECK(early->value() == 42);
}

TEST_CASE("destroying a group cancels its tasks wherever they are suspended") {
  SimScheduler scheduler;
  int count = 0;
  int destroyed = 0;
  {
    TaskGroup group(scheduler);
    for (int i = 0; i < 10; ++i) group.spawn(sleep_then_count(scheduler, i * 1s, count, Probe(destroyed)));
    scheduler.run_for(4500ms);
    CHECK(count == 5);
    CHECK(group.size() == 5);
  }
  CHECK(destroyed == 10);
  scheduler.run_for(1h);
  CHECK(count == 5);
}

TEST_CASE("a group destroyed before its tasks start leaves nothing behind") {
  SimScheduler scheduler;
  int count = 0;
  int destroyed = 0;
  {
    TaskGroup group(scheduler);
    group.spawn(sleep_then_count(scheduler, 1s, count, Probe(destroyed)));
  }
  scheduler.run_for(1h);
  CHECK(destroyed == 1);
  CHECK(count == 0);
}

Task<void> produce(Channel<int>& channel, int n) {
  for (int i = 0; i < n; ++i) {
    const bool open = co_await channel.push(i);
    if (!open) co_return;
  }
  channel.close();
}
Task<void> consume(Scheduler& scheduler, Channel<int>& channel, std::vector<int>& out, std::size_t& longest) {
  while (true) {
    longest = std::max(longest, channel.size());
    auto item = co_await channel.pop();
    if (!item) co_return;
    out.push_back(*item);
    co_await sleep_for(scheduler, 1ms);
  }
}

TEST_CASE("a bounded channel slows its writer and keeps the order") {
  SimScheduler scheduler;
  Channel<int> channel(scheduler, 4);
  std::vector<int> out;
  std::size_t longest = 0;
  TaskGroup group(scheduler);
  group.spawn(consume(scheduler, channel, out, longest));
  group.spawn(produce(channel, 100));
  scheduler.run_for(1h);
  REQUIRE(out.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(out[static_cast<std::size_t>(i)] == i);
  CHECK(longest <= 4);
}

TEST_CASE("when_all gives the results in the order of the tasks") {
  SimScheduler scheduler;
  TaskGroup group(scheduler);
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(add_later(scheduler, i, 0, (5 - i) * 1s));
  std::optional<std::vector<int>> all;
  group.spawn(store(when_all(scheduler, std::move(tasks)), all));
  CHECK(scheduler.run_for([&] { return all.has_value(); }, 1min));
  CHECK(*all == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("the libuv scheduler runs timers, the pool and calls from other threads") {
  LibuvScheduler scheduler;
  TaskGroup group(scheduler);
  std::optional<int> sum;
  std::optional<int> squared;
  group.spawn(store(add_later(scheduler, 2, 3, 5ms), sum));
  group.spawn(store(offload(scheduler, [] { return 12 * 12; }), squared));
  bool posted = false;
  scheduler.post_from_any_thread([&] { posted = true; });
  Timer guard = scheduler.after(10s, [] { FAIL("the scheduler hung"); });
  scheduler.run_until([&] { return sum && squared && posted; });
  CHECK(*sum == 5);
  CHECK(*squared == 144);
  scheduler.post([&] { scheduler.stop(); });
  scheduler.run();
}

TEST_CASE("a cancelled offload drops its result") {
  LibuvScheduler scheduler;
  std::optional<int> value;
  {
    TaskGroup group(scheduler);
    group.spawn(store(offload(scheduler, [] { return 1; }), value));
    bool turned = false;
    scheduler.post([&] { turned = true; });
    scheduler.run_until([&] { return turned; });
  }
  CHECK_FALSE(value.has_value());
}

}  // namespace
}  // namespace testudo::net
