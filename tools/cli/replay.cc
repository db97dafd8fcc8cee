#include "tools/cli/replay.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "crypto/base/counted.h"
#include "tools/cli/output.h"

namespace testudo::tools {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t most_seeds = 1'000'000;
constexpr auto redraw_interval = 200ms;
constexpr auto plain_interval = 5s;  // where there is no terminal

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

void add_seed_options(CLI::App& command, SeedOptions& options) {
  auto* seed =
      command.add_option("--seed", options.seed, "What everything is drawn from")->capture_default_str();
  command.add_option("--seeds", options.seeds, "Many runs: N for the seeds 1 to N, or A..B")
      ->excludes(seed)
      ->check([](const std::string& text) {
        const auto seeds = chosen_seeds({.seeds = text});
        return seeds ? std::string() : seeds.error().message;
      });
}

Result<std::vector<std::uint64_t>> chosen_seeds(const SeedOptions& options) {
  if (options.seeds.empty()) return std::vector{options.seed};
  const std::string& text = options.seeds;
  const std::size_t dots = text.find("..");
  const auto first = dots == std::string::npos ? 1 : number_of(text.substr(0, dots));
  const auto last = number_of(dots == std::string::npos ? text : text.substr(dots + 2));
  if (!first || !last || *last < *first || *last - *first >= most_seeds) {
    return fail(ErrorCode::invalid_argument,
                "\"" + text +
                    "\" is no range of seeds: write N for the seeds 1 to N, or A..B with A not above B; " +
                    std::to_string(most_seeds) + " of them at most");
  }
  std::vector<std::uint64_t> seeds;
  for (std::uint64_t seed = *first; seeds.size() <= *last - *first; ++seed) seeds.push_back(seed);
  return seeds;
}

std::string replay_line(const CLI::App& command, std::uint64_t seed) {
  std::string line = command.get_name();
  for (const CLI::App* app = command.get_parent(); app != nullptr; app = app->get_parent()) {
    line = app->get_name() + " " + line;
  }
  line += fmt::format(" --seed {}", seed);
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_single_name();
    if (name == "help" || name == "seed" || name == "seeds" || name == "trace") continue;
    const bool flag = option->get_expected_min() == 0;
    if (flag) {
      if (option->count() > 0) line += " --" + name;
      continue;
    }
    const std::string value = option->count() > 0 ? option->results().back() : option->get_default_str();
    if (!value.empty()) line += " --" + name + " " + value;
  }
  return line;
}

SimulationProgress::SimulationProgress()
    : terminal_(isatty(fileno(stderr)) == 1), started_(std::chrono::steady_clock::now()), next_(started_) {}

SimulationProgress::~SimulationProgress() { erase(); }

void SimulationProgress::add_run(double virtual_seconds) {
  ++runs_;
  virtual_seconds_ += virtual_seconds;
}

std::string SimulationProgress::summary() const {
  return fmt::format("{}, {} of virtual time in {:.1f} s: {:.1f} times real time", counted(runs_, "run"),
                     duration_text(virtual_seconds_), seconds(),
                     virtual_seconds_ / std::max(seconds(), 1e-9));
}

double SimulationProgress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

void SimulationProgress::show(const std::string& text, double virtual_seconds) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? std::chrono::steady_clock::duration(redraw_interval) : plain_interval);
  erase();
  const std::string line =
      fmt::format("{}, {} of virtual time, {:.1f} times real time", text, duration_text(virtual_seconds),
                  virtual_seconds / std::max(seconds(), 1e-9));
  std::fputs(line.c_str(), stderr);
  if (!terminal_) std::fputc('\n', stderr);
  shown_ = terminal_;
  std::fflush(stderr);
}

void SimulationProgress::say(const std::string& text) {
  erase();
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

void SimulationProgress::erase() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
  shown_ = false;
}

}  // namespace testudo::tools
