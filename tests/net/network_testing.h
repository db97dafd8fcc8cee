// What the tests of the real network share: hosts on loopback, and waiting for a task's result.
#pragma once

#include <doctest/doctest.h>

#include <optional>

#include "net/async/combinators.h"
#include "net/host/network_host.h"

namespace testudo::net::testing {

inline crypto::KeyPair key(std::uint8_t number) { return crypto::KeyPair::from_seed(Digest{number}); }

template <typename T>
Task<void> keep(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await task);
}

// Runs the loop until `condition` holds; a test that would hang fails instead.
inline bool run_until(LibuvScheduler& scheduler, const std::function<bool()>& condition,
                      Duration limit = 20s) {
  bool late = false;
  const Timer timer = scheduler.after(limit, [&] { late = true; });
  scheduler.run_until([&] { return late || condition(); });
  return !late;
}

template <typename T>
T wait_for(LibuvScheduler& scheduler, Task<T> task) {
  TaskGroup group(scheduler);
  std::optional<T> result;
  group.spawn(keep(std::move(task), result));
  REQUIRE(run_until(scheduler, [&] { return result.has_value(); }));
  return std::move(*result);
}

inline std::unique_ptr<NetworkHost> make_host(LibuvScheduler& scheduler, std::uint8_t number,
                                              NetworkHostOptions options = {}) {
  auto host = make_network_host(scheduler, key(number), std::move(options));
  auto address = wait_for(scheduler, host->listen(*Multiaddr::from_text("/ip4/127.0.0.1/tcp/0")));
  REQUIRE(address.has_value());
  return host;
}

}  // namespace testudo::net::testing
