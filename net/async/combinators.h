// Ways to run tasks together: with a deadline, all of them, on the CPU pool. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "crypto/base/result.h"
#include "net/async/task_group.h"

namespace testudo::net {

namespace detail {
template <typename T>
Task<void> run_into(Task<T> task, std::optional<T>& result, Event& done) {
  result.emplace(co_await task);
  done.set();
}
template <typename T>
Task<void> count_down_into(Task<T> task, std::optional<T>& result, std::size_t& left, Event& done) {
  result.emplace(co_await task);
  if (--left == 0) done.set();
}
}  // namespace detail

// The task's result, or a timeout error that says `what` took too long; the task is then cancelled.
template <typename T>
Task<Result<T>> with_deadline(Scheduler& scheduler, TimePoint deadline, Task<Result<T>> task,
                              std::string what) {
  Event done(scheduler);
  std::optional<Result<T>> result;
  TaskGroup group(scheduler);
  group.spawn(detail::run_into(std::move(task), result, done));
  Timer timer = scheduler.at(deadline, [&done] { done.set(); });
  co_await done.wait();
  if (!result) co_return fail(ErrorCode::timeout, what + " took too long");
  co_return std::move(*result);
}
template <typename T>
Task<Result<T>> with_timeout(Scheduler& scheduler, Duration timeout, Task<Result<T>> task, std::string what) {
  return with_deadline(scheduler, scheduler.now() + timeout, std::move(task), std::move(what));
}

// All results, in the order of the tasks.
template <typename T>
Task<std::vector<T>> when_all(Scheduler& scheduler, std::vector<Task<T>> tasks) {
  std::vector<std::optional<T>> results(tasks.size());
  std::size_t left = tasks.size();
  Event done(scheduler);
  TaskGroup group(scheduler);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    group.spawn(detail::count_down_into(std::move(tasks[i]), results[i], left, done));
  }
  if (left == 0) done.set();
  co_await done.wait();
  std::vector<T> values;
  values.reserve(results.size());
  for (auto& result : results) values.push_back(std::move(*result));
  co_return values;
}

// Runs `work` on the CPU pool. When the waiting coroutine is destroyed meanwhile, the work still finishes
// and its result is dropped: it must own (or share) everything it touches.
template <typename Work>
Task<std::invoke_result_t<Work>> offload(Scheduler& scheduler, Work work) {
  using Value = std::invoke_result_t<Work>;
  struct State {
    explicit State(Scheduler& s, Work w) : done(s), work(std::move(w)) {}
    Event done;
    Work work;
    std::optional<Value> value;
  };
  auto state = std::make_shared<State>(scheduler, std::move(work));
  scheduler.offload([state] { state->value.emplace(state->work()); }, [state] { state->done.set(); });
  co_await state->done.wait();
  co_return std::move(*state->value);
}

}  // namespace testudo::net
