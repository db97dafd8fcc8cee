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
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/base/log.h"
#include "tools/cli/checks.h"

namespace testudo::tools {
namespace {

// Messages of ours may span lines where a list is part of them; the contract is one line.
std::string on_one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

// Steps from one word to the other: characters that are put in, left out or exchanged.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t exchanged = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, exchanged}));
    }
  }
  return row[b.size()];
}

// Where a command was expected and another word stands: that word, and the nearest that there is.
std::optional<std::string> unknown_command(const CLI::App& app) {
  const CLI::App* group = &app;
  while (!group->get_subcommands().empty()) group = group->get_subcommands().front();
  const auto commands = group->get_subcommands([](const CLI::App*) { return true; });
  const auto words = app.remaining(true);
  const auto word = std::ranges::find_if(words, [](const auto& text) { return !text.starts_with('-'); });
  if (commands.empty() || word == words.end()) return std::nullopt;
  const auto nearest = std::ranges::min_element(
      commands, {}, [&](const CLI::App* command) { return edit_distance(*word, command->get_name()); });
  return "there is no command \"" + *word + "\"; did you mean " + (*nearest)->get_name() + "?";
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

void end_with_reader() { std::signal(SIGPIPE, SIG_DFL); }

Program::Program(std::string name, const std::string& description, const std::string& teaching)
    : app_(description, name), name_(std::move(name)) {
  prepare_process();
  app_.failure_message([this](const CLI::App*, const CLI::Error& error) {
    std::optional<std::string> unknown;
    if (error.get_name() == "RequiredError") unknown = unknown_command(app_);
    return name_ + ": " + on_one_line(unknown.value_or(error.what())) + " (see --help)\n";
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
  refuse_negative_counts(app_);
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
