// Waiter and WaitList: suspended coroutines in intrusive lists. A Waiter unlinks itself when its coroutine
// is destroyed: that is what makes cancellation by destruction safe. Loop thread only.
#pragma once

#include <coroutine>

namespace testudo::net {

class WaitList;

class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { unlink(); }

  void set_handle(std::coroutine_handle<> handle) { handle_ = handle; }
  std::coroutine_handle<> handle() const { return handle_; }
  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }

 private:
  friend class WaitList;
  std::coroutine_handle<> handle_;
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
};

class WaitList {
 public:
  WaitList() { head_.previous_ = head_.next_ = &head_; }
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;
  ~WaitList() {
    while (Waiter* waiter = front()) waiter->unlink();
    head_.previous_ = head_.next_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  Waiter* front() const { return empty() ? nullptr : head_.next_; }
  void push_back(Waiter& waiter) {
    waiter.unlink();
    waiter.previous_ = head_.previous_;
    waiter.next_ = &head_;
    head_.previous_->next_ = &waiter;
    head_.previous_ = &waiter;
  }

 private:
  Waiter head_;
};

}  // namespace testudo::net
