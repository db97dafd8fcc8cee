// TaskGroup: the one owner of tasks that run beside their creator. Destroying the group cancels them all;
// a task that finishes leaves by itself. A task must not destroy the group it runs in. Loop thread only.
#pragma once

#include <cstddef>

#include "net/async/event.h"
#include "net/async/task.h"

namespace testudo::net {

class TaskGroup {
 public:
  explicit TaskGroup(Scheduler& scheduler) : scheduler_(scheduler), idle_(scheduler) { idle_.set(); }
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { cancel_all(); }

  // Starts in the next turn, never on the caller's stack.
  void spawn(Task<void> task);
  void cancel_all();
  std::size_t size() const { return size_; }
  // Until no task is left.
  auto wait_idle() { return idle_.wait(); }

 private:
  struct Root;       // the coroutine that holds one spawned task
  struct RootLinks;  // its place in the group's list
  static Root run(TaskGroup* group, Task<void> task);

  Scheduler& scheduler_;
  Event idle_;
  RootLinks* first_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace testudo::net
