// What is behind a public Node: the thread that it lives on, and how calls from other threads get there.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crypto/base/log.h"
#include "net/async/event.h"
#include "net/async/libuv_scheduler.h"
#include "net/async/task_group.h"
#include "node/data_directory.h"
#include "node/node.h"
#include "testudo/node.h"

namespace testudo::face {

class RunState;

// Everything of a node that only its loop thread touches.
class Core {
 public:
  Core(net::LibuvScheduler& scheduler, std::optional<node::DataDirectory> data, crypto::KeyPair identity,
       std::vector<net::PeerAddress> bootstrap, const NodeOptions& options);
  ~Core();

  // Begins to dial the bootstrap nodes.
  void go_online();
  bool has_bootstrap() const { return !bootstrap_.empty(); }
  net::Duration patience() const { return patience_; }
  // Until one of them answered. Errors: `unreachable` after the node's patience, with what went wrong last.
  net::Task<Result<void>> wait_online();

  // In the order of their making: what is below refers to what is above.
  net::LibuvScheduler& scheduler;
  std::optional<node::DataDirectory> data;
  node::Node node;
  const bool client;
  std::map<swarm::RunId, swarm::SignedManifest> founded;  // by this node
  std::shared_ptr<RunState> run;                          // the one it is in; null: none

 private:
  net::Task<void> connect();
  net::Task<Result<void>> until_online();

  std::vector<net::PeerAddress> bootstrap_;
  net::Duration patience_;
  net::Event online_;
  std::string trouble_;  // why not yet

 public:
  net::TaskGroup run_tasks;  // of `run`
  net::TaskGroup tasks;      // calls, and what goes on in the background
};

// The way to a loop thread that may have ended: shared by the node and its runs. Any thread.
class LoopHandle {
 public:
  // Runs `function` in a turn of the loop; false: the node is gone, and it never runs.
  bool post(std::function<void(Core&)> function);
  // Its core when the calling thread is its loop thread, else null.
  Core* core_here() const;
  // Whether the calling thread must not wait for this node: it is its loop thread, or computes for it.
  bool is_inside() const;

  void open(net::LibuvScheduler& scheduler, Core& core);  // loop thread
  void close();                                           // loop thread
  void stop();

  // The calling thread computes for this node while it lives.
  class Inside {
   public:
    explicit Inside(const LoopHandle& handle);
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    const LoopHandle* outer_;
  };

 private:
  mutable std::mutex mutex_;  // guards what follows
  net::LibuvScheduler* scheduler_ = nullptr;
  Core* core_ = nullptr;
  std::thread::id loop_thread_;
};

// The loop thread of a public node, and what it does from its start to its end. Any thread but its own.
class NodeLoop {
 public:
  // Listens when it returns. Throws what Node's constructor does.
  explicit NodeLoop(const NodeOptions& options);
  ~NodeLoop();
  NodeLoop(const NodeLoop&) = delete;
  NodeLoop& operator=(const NodeLoop&) = delete;

  const std::string& id() const { return id_; }
  const std::shared_ptr<LoopHandle>& handle() const { return handle_; }

 private:
  struct Start;

  void run(Start start);
  void log_line(LogLevel level, const std::string& line) const;

  const NodeOptions options_;
  const std::shared_ptr<LoopHandle> handle_ = std::make_shared<LoopHandle>();
  std::string id_;
  std::thread thread_;
};

[[noreturn]] void throw_error(const Error& error);
// Throws `refused` when the calling thread would wait for itself.
void refuse_inside(const LoopHandle& handle, const char* call);

// One value that a thread waits for and another gives, once.
template <typename T>
class Answer {
  struct Slot {
    std::mutex mutex;
    std::condition_variable given;
    std::optional<Result<T>> result;
  };

 public:
  Answer() : slot_(std::make_shared<Slot>()) {}

  // To be held by whoever answers: nobody left who could is an answer, too.
  class Giver {
   public:
    explicit Giver(const Answer& answer) : slot_(answer.slot_) {}
    ~Giver() { give(fail(ErrorCode::closed, "the node was destroyed meanwhile")); }
    Giver(const Giver&) = delete;
    Giver& operator=(const Giver&) = delete;
    void give(Result<T> result) {
      const std::lock_guard lock(slot_->mutex);
      if (slot_->result) return;
      slot_->result.emplace(std::move(result));
      slot_->given.notify_all();
    }

   private:
    std::shared_ptr<Slot> slot_;
  };
  std::shared_ptr<Giver> giver() const { return std::make_shared<Giver>(*this); }

  Result<T> wait() {
    std::unique_lock lock(slot_->mutex);
    slot_->given.wait(lock, [this] { return slot_->result.has_value(); });
    return std::move(*slot_->result);
  }

 private:
  std::shared_ptr<Slot> slot_;
};

template <typename T>
net::Task<void> answer_with(net::Task<Result<T>> task, std::shared_ptr<typename Answer<T>::Giver> giver) {
  auto result = co_await task;
  giver->give(std::move(result));
}

// Runs what `start` gives on the loop and waits for it. Throws what it fails with.
template <typename T>
T call(LoopHandle& handle, const char* name, std::function<net::Task<Result<T>>(Core&)> start) {
  refuse_inside(handle, name);
  Answer<T> answer;
  handle.post([start = std::move(start), giver = answer.giver()](Core& core) {
    core.tasks.spawn(answer_with<T>(start(core), giver));
  });
  Result<T> result = answer.wait();
  if (!result) throw_error(result.error());
  return std::move(*result);
}

}  // namespace testudo::face
