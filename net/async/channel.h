// Channel<T>: a bounded queue between coroutines. A full channel makes its writer wait: that is how a slow
// consumer slows its producer. Loop thread only.
#pragma once

#include <deque>
#include <optional>

#include "net/async/event.h"
#include "net/async/task.h"

namespace testudo::net {

template <typename T>
class Channel {
 public:
  Channel(Scheduler& scheduler, std::size_t capacity)
      : capacity_(capacity), readable_(scheduler), writable_(scheduler) {}

  // False when the channel was closed.
  Task<bool> push(T value) {
    while (items_.size() >= capacity_ && !closed_) co_await writable_.wait();
    if (closed_) co_return false;
    items_.push_back(std::move(value));
    readable_.pulse();
    co_return true;
  }
  bool try_push(T value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    readable_.pulse();
    return true;
  }
  // Nothing when the channel was closed and is empty.
  Task<std::optional<T>> pop() {
    while (items_.empty() && !closed_) co_await readable_.wait();
    if (items_.empty()) co_return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    writable_.pulse();
    co_return value;
  }
  void close() {
    closed_ = true;
    readable_.pulse();
    writable_.pulse();
  }
  std::size_t size() const { return items_.size(); }

 private:
  std::size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  Event readable_;
  Event writable_;
};

}  // namespace testudo::net
