#include "net/async/task_group.h"

namespace testudo::net {

struct TaskGroup::RootLinks {
  TaskGroup* group = nullptr;
  RootLinks* previous = nullptr;
  RootLinks* next = nullptr;
  std::coroutine_handle<> handle;
  Waiter start;

  void link(TaskGroup& owner) {
    group = &owner;
    next = owner.first_;
    if (next != nullptr) next->previous = this;
    owner.first_ = this;
    ++owner.size_;
    owner.idle_.reset();
  }
  void unlink() {
    (previous != nullptr ? previous->next : group->first_) = next;
    if (next != nullptr) next->previous = previous;
    if (--group->size_ == 0) group->idle_.set();
  }
};

struct TaskGroup::Root {
  struct promise_type : RootLinks {
    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    // At its final suspension the coroutine may be destroyed: that is where a finished task leaves the group.
    auto final_suspend() noexcept {
      struct Leave {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
          self.promise().unlink();
          self.destroy();
        }
        void await_resume() const noexcept {}
      };
      return Leave{};
    }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

TaskGroup::Root TaskGroup::run(TaskGroup*, Task<void> task) { co_await task; }

void TaskGroup::spawn(Task<void> task) {
  Root root = run(this, std::move(task));
  auto& promise = root.handle.promise();
  promise.handle = root.handle;
  promise.link(*this);
  promise.start.set_handle(root.handle);
  scheduler_.resume(promise.start);
}

void TaskGroup::cancel_all() {
  while (first_ != nullptr) {
    RootLinks* root = first_;
    root->unlink();
    root->handle.destroy();
  }
}

}  // namespace testudo::net
