#include "tools/cli/program.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>

#include "crypto/base/log.h"

namespace testudo::tools {
namespace {

// Messages of ours may span lines where a list is part of them; the contract is one line.
std::string on_one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

void leave_at_once(int) { _exit(0); }

// The first thing that the process does: what a command builds up may take a while, and until it handles
// signals itself there is nothing to end in order.
void prepare_process() {
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, leave_at_once);
  // Whoever reads our stdout may go away before we do: an error of that write.
  std::signal(SIGPIPE, SIG_IGN);
}

// The log of a program: lines on stderr, with their time.
LogFunction log_to_stderr() {
  auto logger =
      std::make_shared<spdlog::logger>("testudo", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::trace);
  return [logger](LogLevel level, const std::string& line) {
    constexpr std::array levels = {spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                                   spdlog::level::warn,  spdlog::level::err,   spdlog::level::off};
    logger->log(levels.at(static_cast<std::size_t>(level)), line);
  };
}

constexpr std::array<const char*, 6> level_names = {"trace", "debug", "info", "warn", "error", "off"};

LogLevel level_of(const std::string& name) {
  return static_cast<LogLevel>(std::ranges::find(level_names, name) - level_names.begin());
}

}  // namespace

Program::Program(std::string name, const std::string& description, const std::string& teaching)
    : app_(description, name), name_(std::move(name)) {
  prepare_process();
  app_.failure_message([this](const CLI::App*, const CLI::Error& error) {
    return name_ + ": " + on_one_line(error.what()) + " (see --help)\n";
  });
  app_.set_version_flag("--version", name_ + " " + TESTUDO_VERSION, "Print the version and exit");
  app_.add_flag("--json", json_, "Print one JSON object a line instead of text");
  app_.add_option("--log-level", log_level_, "What goes to stderr: trace, debug, info, warn, error, off")
      ->capture_default_str()
      ->check(CLI::IsMember(std::vector<std::string>(level_names.begin(), level_names.end())));
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

int Program::complain(const std::string& message) const {
  std::fprintf(stderr, "%s: %s\n", name_.c_str(), on_one_line(message).c_str());
  return 1;
}

int Program::run(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app_.exit(error) != 0) return 2;
    // --help and --version end here as well.
    if (std::cout.flush()) return 0;
    return complain(std::string("cannot write to stdout: ") + std::strerror(errno));
  }
  const log::Sink sink(level_of(log_level_), log_to_stderr());
  Output output(json_);
  auto result = chosen_(output);
  if (!result) return complain(result.error().message);
  if (output.failure()) return complain("cannot write to stdout: " + *output.failure());
  return 0;
}

}  // namespace testudo::tools
