// ChildProcess: what becomes of a child whose parent is killed.
#include "tools/demo_runner/child_process.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

using namespace testudo;
using namespace testudo::tools;
using namespace std::chrono_literals;

namespace {

// Gone, or dead and not yet collected by whoever inherited it.
bool has_ended(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return true;
  const auto name_end = line.rfind(')');
  return name_end == std::string::npos || line.substr(name_end, 3) == ") Z";
}

}  // namespace

TEST_CASE("a child does not outlive a parent that is killed") {
  int channel[2];
  REQUIRE(pipe(channel) == 0);
  const pid_t parent = fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    net::LibuvScheduler scheduler;
    auto started = ChildProcess::start(scheduler, {"sleep", "600"}, "/dev/null", nullptr, nullptr);
    pid_t pid = started ? (*started)->pid() : -1;
    if (write(channel[1], &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
    for (;;) pause();
  }
  pid_t child = -1;
  REQUIRE(read(channel[0], &child, sizeof(child)) == sizeof(child));
  REQUIRE(child > 0);
  // Until it has become the program: before, it has not asked to die with its parent yet.
  net::LibuvScheduler scheduler;
  const auto wait = [&scheduler](const std::function<bool()>& condition) {
    bool late = false;
    const net::Timer limit = scheduler.after(30s, [&late] { late = true; });
    while (!late && !condition()) {
      bool polled = false;
      const net::Timer next = scheduler.after(5ms, [&polled] { polled = true; });
      scheduler.run_until([&] { return polled || late; });
    }
    return condition();
  };
  const auto runs_sleep = [child] {
    std::ifstream file("/proc/" + std::to_string(child) + "/comm");
    std::string name;
    return std::getline(file, name) && name == "sleep";
  };
  CHECK(wait(runs_sleep));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  CHECK(wait([child] { return has_ended(child); }));
  close(channel[0]);
  close(channel[1]);
}
