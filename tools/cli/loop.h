// How a command runs on the loop: one task from beginning to end, with signals.
#pragma once

#include "crypto/base/result.h"
#include "net/async/libuv_scheduler.h"
#include "net/async/task.h"

namespace testudo::tools {

// Runs `task` on the calling thread until it ends. SIGINT and SIGTERM cancel it: that is a success, for
// whatever a node has certified is on disk already. A second signal ends the process at once.
Result<void> run_task(net::LibuvScheduler& scheduler, net::Task<Result<void>> task);

}  // namespace testudo::tools
