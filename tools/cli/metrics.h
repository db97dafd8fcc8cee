// Metrics: --metrics ADDRESS of a command: a node's numbers over HTTP. Loop thread only; the node outlives
// it.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "net/metrics/loop_lateness.h"
#include "net/metrics/metrics_server.h"
#include "net/metrics/registry.h"
#include "node/node.h"
#include "tools/cli/output.h"

namespace testudo::tools {

void add_metrics_option(CLI::App& app, std::string& address);

class Metrics {
 public:
  // Says where it answers. An empty address makes the registry alone, and nobody listens.
  static Result<std::unique_ptr<Metrics>> start(const std::string& address, node::Node& node, Output& output);

  net::Registry& registry() { return registry_; }

 private:
  // How old what a reader gets may be.
  static constexpr net::Duration interval = std::chrono::seconds(1);

  Metrics(std::unique_ptr<net::MetricsServer> server, node::Node& node);
  void publish();

  net::Scheduler& scheduler_;
  net::Registry registry_;
  std::unique_ptr<net::MetricsServer> server_;
  std::unique_ptr<net::LoopLateness> lateness_;
  net::Timer timer_;
};

}  // namespace testudo::tools
