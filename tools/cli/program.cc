#include "tools/cli/program.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <csignal>

namespace testudo::tools {
namespace {

// Messages of ours may span lines where a list is part of them; the contract is one line.
std::string on_one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

void prepare_process(const std::string& log_level) {
  // Whoever reads our stdout may go away before we do.
  std::signal(SIGPIPE, SIG_IGN);
  // libuv's pool: one thread for the contribution, one for an evaluation beside it, one for aggregation and
  // name look-ups, which must not wait behind those two. A model computes on one thread, so that results do
  // not depend on the machine.
  setenv("UV_THREADPOOL_SIZE", "3", /*overwrite=*/0);
  auto logger = spdlog::stderr_color_mt("testudo");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(log_level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

Program::Program(std::string name, const std::string& description, const std::string& teaching)
    : app_(description, name), name_(std::move(name)) {
  app_.set_version_flag("--version", name_ + " " + TESTUDO_VERSION, "Print the version and exit");
  app_.add_flag("--json", json_, "Print one JSON object a line instead of text");
  app_.add_option("--log-level", log_level_, "What goes to stderr: trace, debug, info, warn, error, off")
      ->capture_default_str()
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
  app_.footer(teaching);
  // So that --json and --log-level may stand behind the command as well.
  app_.fallthrough();
}

CLI::App* Program::add(const std::string& name, const std::string& description, const std::string& teaching,
                       Command command, CLI::App* parent) {
  CLI::App* app = (parent == nullptr ? &app_ : parent)->add_subcommand(name, description);
  app->footer(teaching);
  app->callback([this, command = std::move(command)] { chosen_ = command; });
  return app;
}

CLI::App* Program::add_group(const std::string& name, const std::string& description,
                             const std::string& teaching) {
  CLI::App* app = app_.add_subcommand(name, description);
  app->footer(teaching);
  app->require_subcommand(1);
  return app;
}

int Program::run(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? 0 : 2;  // --help and --version end here as well
  }
  prepare_process(log_level_);
  Output output(json_);
  auto result = chosen_(output);
  if (result) return 0;
  std::fprintf(stderr, "%s: %s\n", name_.c_str(), on_one_line(result.error().message).c_str());
  return 1;
}

}  // namespace testudo::tools
