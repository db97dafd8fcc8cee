#include "tools/cli/checks.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cstdint>
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

std::string check_count(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return text + " is too large a number";
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return "\"" + text + "\" is no whole number of 0 or more";
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

void refuse_negative_counts(CLI::App& program) {
  for (CLI::Option* option : program.get_options()) {
    if (!option->get_type_name().starts_with(CLI::detail::type_name<std::uint64_t>())) continue;
    // Before the option's own checks, which see a number already.
    option->transform(CLI::Validator([](std::string& text) { return check_count(text); }, ""));
  }
  for (CLI::App* command : program.get_subcommands([](CLI::App*) { return true; }))
    refuse_negative_counts(*command);
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
