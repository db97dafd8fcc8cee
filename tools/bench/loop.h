// Running one task to its end from outside the loop.
#pragma once

#include <optional>
#include <string>

#include "net/async/combinators.h"
#include "net/async/libuv_scheduler.h"

namespace testudo::bench {

template <typename T>
net::Task<void> complete_into(net::Task<Result<T>> task, std::optional<Result<T>>& result) {
  auto outcome = co_await task;
  result.emplace(std::move(outcome));
}

// The task's result, or a timeout error about `what`. Loop thread, outside of its turns.
template <typename T>
Result<T> complete(net::LibuvScheduler& scheduler, net::Task<Result<T>> task, net::Duration limit,
                   std::string what) {
  std::optional<Result<T>> result;
  net::TaskGroup group(scheduler);
  group.spawn(complete_into(net::with_timeout(scheduler, limit, std::move(task), std::move(what)), result));
  scheduler.run_until([&result] { return result.has_value(); });
  return std::move(*result);
}

}  // namespace testudo::bench
