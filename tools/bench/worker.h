// Worker: a copy of this program that plays one role of a benchmark in a process of its own: the other end of
// a connection, a member of a round. It says events on stdout as any command of ours with --json does, and
// dies with this object or with its parent. Loop thread only.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "tools/bench/loop.h"
#include "tools/cli/output.h"
#include "tools/demo_runner/child_process.h"

namespace testudo::bench {

// A folder for what workers write, below $TMPDIR; gone with this object.
class Scratch {
 public:
  static Result<Scratch> make();
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch();
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

class Worker {
 public:
  // `role` is what run_worker gets over there; its log is in `scratch`.
  static Result<std::unique_ptr<Worker>> start(net::LibuvScheduler& scheduler, const Scratch& scratch,
                                               const tools::Json& role);
  // Any other program that says events, or nothing.
  static Result<std::unique_ptr<Worker>> start_program(net::LibuvScheduler& scheduler, const Scratch& scratch,
                                                       std::vector<std::string> command);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The next event of this kind, in the order that they were said; what comes before it is dropped. An error
  // when it does not come, with the end of the worker's log.
  Result<tools::Json> wait_for(const std::string& event, net::Duration limit);
  pid_t pid() const { return child_->pid(); }

 private:
  explicit Worker(net::LibuvScheduler& scheduler) : scheduler_(scheduler) {}

  net::LibuvScheduler& scheduler_;
  std::string name_;
  std::deque<tools::Json> events_;
  std::unique_ptr<tools::ChildProcess> child_;  // last: its callbacks use the rest
};

// What a worker does; runs in its process.
Result<void> run_worker(const std::string& role, tools::Output& output);

// The roles; each says {"event": "ready", …} once it can be used.
Result<void> net_server_role(tools::Output& output);
Result<void> raw_server_role(tools::Output& output);

}  // namespace testudo::bench
