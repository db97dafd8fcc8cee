// Interruption: what SIGINT and SIGTERM do to an experiment. Cells take minutes, and nothing of them can be
// stopped in order; so a thread of its own waits for the signals, says on stderr what is kept, and ends the
// process with 0 at once. One a process, made before any other thread: those inherit that the signals are not
// theirs.
#pragma once

#include <csignal>
#include <mutex>
#include <string>
#include <thread>

namespace testudo::tools {

class Interruption {
 public:
  Interruption();
  ~Interruption();  // signals act as before again
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // What is said if it comes now. Any thread.
  void expect(std::string last_words);

 private:
  void wait();

  sigset_t waited_for_{};
  sigset_t blocked_before_{};
  std::mutex mutex_;
  std::string last_words_ = "interrupted: nothing is kept yet";
  std::thread thread_;
};

}  // namespace testudo::tools
