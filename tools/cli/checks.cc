#include "tools/cli/checks.h"

#include <spdlog/fmt/fmt.h>

#include <cstdlib>

#include "net/metrics/metrics_server.h"
#include "node/addresses.h"
#include "training/aggregation/rule.h"

namespace testudo::tools {
namespace {

template <typename T>
std::string complaint(const Result<T>& parsed) {
  return parsed ? std::string() : parsed.error().message;
}

}  // namespace

std::string check_listen_address(const std::string& text) {
  return complaint(node::parse_listen_addresses({text}));
}
std::string check_peer_address(const std::string& text) {
  return complaint(node::parse_peer_addresses({text}));
}
std::string check_peer_id(const std::string& text) { return complaint(node::parse_peer_id(text)); }
std::string check_run_id(const std::string& text) { return complaint(node::parse_run_id(text)); }
std::string check_rule(const std::string& text) { return complaint(training::make_rule(text)); }

std::string check_metrics_address(const std::string& text) {
  return complaint(net::MetricsServer::check_address(text));
}

CLI::Validator finite_range(double least, double greatest) {
  const std::string bounds = fmt::format("[{:g} - {:g}]", least, greatest);
  return CLI::Validator(
      [=](std::string& text) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        const bool inside = end != text.c_str() && *end == '\0' && value >= least && value <= greatest;
        return inside ? std::string() : "Value " + text + " not in range " + bounds;
      },
      "in " + bounds);
}

void check_together(CLI::App& command, std::function<Result<void>()> check) {
  command.parse_complete_callback([check = std::move(check)] {
    const auto checked = check();
    if (!checked) throw CLI::ValidationError(checked.error().message);
  });
}

}  // namespace testudo::tools
