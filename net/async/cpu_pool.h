// CpuPool: threads for work that takes long. Each scheduler has its own: the pool of libuv is shared by
// everybody in the process, and a model that computes must not keep others' name look-ups waiting.
// submit() from any thread; made and destroyed by its owner.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace testudo::net {

class CpuPool {
 public:
  // Threads start when there is work for them, at most so many. They are named testudo-cpu and take no
  // signals.
  explicit CpuPool(std::size_t threads) : most_(threads) {}
  // Waits for the jobs that have begun; drops the others.
  ~CpuPool();
  CpuPool(const CpuPool&) = delete;
  CpuPool& operator=(const CpuPool&) = delete;

  void submit(std::function<void()> job);

 private:
  void work();

  const std::size_t most_;
  std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::size_t idle_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

// A thread of ours in somebody's process: named, and signals are for the others.
std::thread start_thread(const char* name, std::function<void()> body);

}  // namespace testudo::net
