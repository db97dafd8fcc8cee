// ChildProcess: one program started by us, its lines on stdout, its log in a file. It is ended by its own
// process id and no other, and does not outlive this object, nor this process when that is killed. Loop
// thread only, and never destroyed within a callback of the loop: the destructor runs the loop until the
// child is gone.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/base/result.h"
#include "net/async/libuv_scheduler.h"

namespace testudo::tools {

class ChildProcess {
 public:
  struct Exit {
    std::int64_t status = 0;
    int signal = 0;
    bool clean() const { return status == 0 && signal == 0; }
  };
  using LineHandler = std::function<void(const std::string& line)>;
  // Longer lines are cut: a child that writes without end costs bounded memory.
  static constexpr std::size_t max_line = std::size_t{1} << 20;

  // stderr goes into the file `log`. `on_line` and `on_change` are called on the loop thread, `on_change`
  // after the child ended and its output was read.
  static Result<std::unique_ptr<ChildProcess>> start(net::LibuvScheduler& scheduler,
                                                     std::vector<std::string> command, const std::string& log,
                                                     LineHandler on_line, std::function<void()> on_change);
  // Kills the child if it still runs, and waits until the loop has forgotten it.
  ~ChildProcess();

  int pid() const { return process_.pid; }
  bool finished() const { return exited_ && output_closed_; }
  const Exit& exit() const { return exit_; }
  const std::string& log() const { return log_; }
  void signal(int number);

 private:
  explicit ChildProcess(net::LibuvScheduler& scheduler) : scheduler_(scheduler) {}
  void close_handles();
  void receive(std::string_view bytes);

  net::LibuvScheduler& scheduler_;
  LineHandler on_line_;
  std::function<void()> on_change_;
  std::string log_;
  uv_process_t process_{};
  uv_pipe_t output_{};
  std::vector<char> buffer_ = std::vector<char>(std::size_t{64} * 1024);
  std::string line_;
  Exit exit_;
  bool spawned_ = false;
  bool exited_ = false;
  bool output_closed_ = false;
  int open_handles_ = 0;
};

// "exit status 1", "killed by signal 9".
std::string describe(const ChildProcess::Exit& exit);
// The end of a text file, for error messages; empty when it cannot be read.
std::string last_lines(const std::string& path, std::size_t count);

}  // namespace testudo::tools
