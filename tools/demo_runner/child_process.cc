#include "tools/demo_runner/child_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>

namespace testudo::tools {

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(net::LibuvScheduler& scheduler,
                                                          std::vector<std::string> command,
                                                          const std::string& log, LineHandler on_line,
                                                          std::function<void()> on_change) {
  const int log_file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_file < 0) return fail(ErrorCode::io, "cannot write " + log + ": " + std::strerror(errno));

  std::unique_ptr<ChildProcess> child(new ChildProcess(scheduler));
  child->on_line_ = std::move(on_line);
  child->on_change_ = std::move(on_change);
  child->log_ = log;
  child->process_.data = child->output_.data = child.get();
  uv_pipe_init(scheduler.loop(), &child->output_, 0);

  // It dies with us however we die: setpriv asks the kernel for that and becomes the program.
  static constexpr const char* with_parent[] = {"setpriv", "--pdeathsig", "KILL", "--"};
  command.insert(command.begin(), std::begin(with_parent), std::end(with_parent));
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  uv_stdio_container_t stdio[3];
  stdio[0].flags = UV_IGNORE;
  stdio[1].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
  stdio[1].data.stream = reinterpret_cast<uv_stream_t*>(&child->output_);
  stdio[2].flags = UV_INHERIT_FD;
  stdio[2].data.fd = log_file;
  uv_process_options_t options{};
  options.file = arguments[0];
  options.args = arguments.data();
  options.stdio = stdio;
  options.stdio_count = 3;
  options.exit_cb = [](uv_process_t* process, std::int64_t status, int signal) {
    auto* self = static_cast<ChildProcess*>(process->data);
    self->exit_ = {status, signal};
    self->exited_ = true;
    if (self->finished() && self->on_change_) self->on_change_();
  };
  child->open_handles_ = 2;
  const int status = uv_spawn(scheduler.loop(), &child->process_, &options);
  ::close(log_file);
  if (status != 0) {
    return fail(ErrorCode::io,
                "cannot start " + command[std::size(with_parent)] + ": " + uv_strerror(status));
  }
  child->spawned_ = true;
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&child->output_),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* out) {
        auto* self = static_cast<ChildProcess*>(handle->data);
        *out = uv_buf_init(self->buffer_.data(), static_cast<unsigned>(self->buffer_.size()));
      },
      [](uv_stream_t* stream, ssize_t size, const uv_buf_t* data) {
        auto* self = static_cast<ChildProcess*>(stream->data);
        if (size > 0) {
          self->receive({data->base, static_cast<std::size_t>(size)});
        } else if (size < 0) {  // the end, or an error, which ends it as well
          uv_read_stop(stream);
          self->output_closed_ = true;
          if (self->finished() && self->on_change_) self->on_change_();
        }
      });
  return child;
}

ChildProcess::~ChildProcess() {
  on_line_ = nullptr;
  on_change_ = nullptr;
  if (spawned_ && !exited_) {
    signal(SIGKILL);
    // It dies at once; without waiting it would stay a zombie and its handle would dangle.
    while (!exited_) uv_run(scheduler_.loop(), UV_RUN_ONCE);
  }
  close_handles();
}

void ChildProcess::close_handles() {
  const uv_close_cb closed = [](uv_handle_t* handle) {
    --static_cast<ChildProcess*>(handle->data)->open_handles_;
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&output_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&process_), closed);
  while (open_handles_ > 0) uv_run(scheduler_.loop(), UV_RUN_NOWAIT);
}

void ChildProcess::signal(int number) {
  if (spawned_ && !exited_) uv_process_kill(&process_, number);
}

void ChildProcess::receive(std::string_view bytes) {
  for (const char c : bytes) {
    if (c != '\n') {
      if (line_.size() < max_line) line_ += c;
      continue;
    }
    const std::string line = std::exchange(line_, {});
    if (on_line_) on_line_(line);
  }
}

std::string describe(const ChildProcess::Exit& exit) {
  if (exit.signal != 0) return "killed by signal " + std::to_string(exit.signal);
  return "exit status " + std::to_string(exit.status);
}

std::string last_lines(const std::string& path, std::size_t count) {
  std::ifstream file(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > count) lines.pop_front();
  }
  std::string out;
  for (const std::string& line : lines) out += "  " + line + "\n";
  return out;
}

}  // namespace testudo::tools
