// join: takes part in a run until its last round. `testudo join` is this; testudo-hostile is this with
// misconduct.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/storage/storage.h"
#include "node/data_directory.h"
#include "tools/cli/program.h"
#include "training/model.h"
#include "training/round/misconduct.h"

namespace testudo::tools {

struct JoinOptions {
  std::string run;
  std::vector<std::string> bootstrap;
  std::vector<std::string> listen = {"/ip4/0.0.0.0/tcp/0"};
  std::string data = node::default_data_directory();
  std::uint64_t evaluate_every = 10;
  bool client = false;
  std::string metrics;  // where to answer; empty: nowhere
};

// What a program may put between the member and its model, or its disk; and when it hears of the round. For
// tests and demonstrations.
struct JoinHooks {
  std::function<Result<std::shared_ptr<training::Model>>(const swarm::Manifest&,
                                                         std::shared_ptr<training::Model>)>
      wrap_model;
  std::function<std::unique_ptr<net::Storage>(net::Storage&)> wrap_storage;
  std::function<void(swarm::RoundNumber)> on_round_started;  // before the round's contribution is computed
  std::function<void(const std::string& phase)> on_phase_ended;
  training::Misconduct* misconduct = nullptr;
};

void add_join_options(CLI::App& app, JoinOptions& options);
Result<void> join(const JoinOptions& options, const JoinHooks& hooks, Output& output);

}  // namespace testudo::tools
