#include "tools/cli/loop.h"

#include <unistd.h>

#include <csignal>
#include <optional>

#include "crypto/base/log.h"
#include "net/async/task_group.h"

namespace testudo::tools {
namespace {

// A model's computation on the pool cannot be interrupted, and the loop's end waits for it. Everything that
// must survive was on disk before it was acted on, so after this many seconds the process may simply go.
constexpr unsigned patience_seconds = 3;

void leave_now(int) { _exit(0); }

net::Task<void> run_into(net::Task<Result<void>> task, std::optional<Result<void>>& result) {
  auto outcome = co_await task;
  result.emplace(std::move(outcome));
}

}  // namespace

Result<void> run_task(net::LibuvScheduler& scheduler, net::Task<Result<void>> task) {
  std::optional<Result<void>> result;
  bool interrupted = false;
  for (const int number : {SIGINT, SIGTERM}) {
    scheduler.on_signal(number, [&interrupted] {
      if (interrupted) leave_now(0);
      interrupted = true;
      std::signal(SIGALRM, leave_now);
      alarm(patience_seconds);
    });
  }
  {
    net::TaskGroup group(scheduler);
    group.spawn(run_into(std::move(task), result));
    scheduler.run_until([&] { return interrupted || result.has_value(); });
  }
  if (interrupted) log::info("stopping");
  if (result) return std::move(*result);
  return {};
}

}  // namespace testudo::tools
