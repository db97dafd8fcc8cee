#include "tools/cli/metrics.h"

#include "tools/cli/checks.h"

namespace testudo::tools {

void add_metrics_option(CLI::App& app, std::string& address) {
  app.add_option(
         "--metrics", address,
         "Answer GET /metrics (Prometheus) on this address, like 127.0.0.1:9464; port 0: any free one")
      ->check(check_metrics_address);
}

Result<std::unique_ptr<Metrics>> Metrics::start(const std::string& address, node::Node& node,
                                                Output& output) {
  std::unique_ptr<net::MetricsServer> server;
  if (!address.empty()) {
    TRY(server, net::MetricsServer::start(address));
    output.say({{"event", "metrics"}, {"url", server->url()}}, "metrics " + server->url());
  }
  return std::unique_ptr<Metrics>(new Metrics(std::move(server), node));
}

Metrics::Metrics(std::unique_ptr<net::MetricsServer> server, node::Node& node)
    : scheduler_(node.scheduler()), server_(std::move(server)) {
  if (!server_) return;
  node.collect_metrics(registry_);
  lateness_ = std::make_unique<net::LoopLateness>(
      scheduler_, registry_, [] { return net::TimePoint(std::chrono::nanoseconds(uv_hrtime())); });
  publish();
}

void Metrics::publish() {
  server_->publish(registry_.text());
  timer_ = scheduler_.after(interval, [this] { publish(); });
}

}  // namespace testudo::tools
