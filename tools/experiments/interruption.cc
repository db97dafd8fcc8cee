#include "tools/experiments/interruption.h"

#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace testudo::tools {
namespace {

// Wakes the thread for its own end.
constexpr int wake = SIGUSR1;

}  // namespace

Interruption::Interruption() {
  sigemptyset(&waited_for_);
  for (const int number : {SIGINT, SIGTERM, wake}) sigaddset(&waited_for_, number);
  pthread_sigmask(SIG_BLOCK, &waited_for_, &blocked_before_);
  thread_ = std::thread([this] { wait(); });
}

Interruption::~Interruption() {
  pthread_kill(thread_.native_handle(), wake);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &blocked_before_, nullptr);
}

void Interruption::expect(std::string last_words) {
  const std::scoped_lock lock(mutex_);
  last_words_ = std::move(last_words);
}

void Interruption::wait() {
  int number = 0;
  if (sigwait(&waited_for_, &number) != 0 || number == wake) return;
  const std::scoped_lock lock(mutex_);
  // Below the line of progress, where there is one.
  std::fprintf(stderr, "%stestudo-experiment: %s\n", isatty(STDOUT_FILENO) == 1 ? "\n" : "",
               last_words_.c_str());
  _exit(0);
}

}  // namespace testudo::tools
