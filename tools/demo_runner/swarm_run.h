// One run of the demo's swarm: a bootstrap node and the trainers, each a process with its own key and
// directory, on loopback ports that the system chooses. The trainers know the bootstrap address and the run
// id, nothing else.
#pragma once

#include <functional>
#include <string>

#include "crypto/base/result.h"
#include "net/async/libuv_scheduler.h"
#include "tools/demo_runner/progress.h"
#include "tools/demo_runner/record.h"

namespace testudo::tools {

struct SwarmSettings {
  std::string programs;  // the folder with testudo and testudo-hostile
  std::string work;      // keys, data and logs go below it
  std::string rule;
  std::string model = "fashion_convnet";
  std::size_t members = 10;
  std::size_t hostile = 3;
  std::uint64_t rounds = 400;
  std::uint64_t evaluate_every = 10;

  std::size_t founders() const;       // half of the members, honest ones
  std::uint64_t attack_from() const;  // a quarter into the run
};

struct SwarmResult {
  RunRecord record;
  std::string fault;  // what went wrong, with the log's last lines; empty when every process ended well
};

// Ends with the last round, at the first fault, or soon after `interrupted` holds; no process is left over.
// The error is for a swarm that did not even start.
Result<SwarmResult> train_swarm(net::LibuvScheduler& scheduler, const SwarmSettings& settings,
                                Progress& progress, const std::function<bool()>& interrupted);

}  // namespace testudo::tools
