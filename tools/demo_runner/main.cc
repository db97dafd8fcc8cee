// testudo-demo: trains a swarm with attackers in it on this machine, once with a rule that withstands them
// and once with the plain average, and writes a report. `tools/demo` builds everything and runs it.

#include <spdlog/fmt/fmt.h>
#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/demo_runner/progress.h"
#include "tools/demo_runner/report.h"
#include "tools/demo_runner/swarm_run.h"

namespace testudo::tools {
namespace {

struct DemoOptions {
  std::string out = "demo-report";
  std::uint64_t rounds = 0;  // 0: 400, or 40 with --quick
  std::size_t members = 10;
  std::size_t hostile = 3;
  std::string model = "fashion_convnet";
  bool quick = false;
  bool keep = false;
};

// A folder for keys, data and logs, removed at the end unless somebody wants to look into it.
class WorkFolder {
 public:
  static Result<WorkFolder> make(bool keep) {
    std::string path = (std::filesystem::temp_directory_path() / "testudo-demo-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) return fail(ErrorCode::io, "cannot make the folder " + path);
    return WorkFolder(std::move(path), keep);
  }
  WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})), keep_(other.keep_) {}
  WorkFolder& operator=(WorkFolder&&) = delete;
  ~WorkFolder() {
    if (path_.empty() || keep_) return;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  WorkFolder(std::string path, bool keep) : path_(std::move(path)), keep_(keep) {}
  std::string path_;
  bool keep_;
};

// The last lines: what was reached, and whether everybody held the same model.
bool print_verdict(Progress& progress, const std::vector<RunRecord>& runs) {
  bool equal = true;
  for (const RunRecord& run : runs) {
    const auto accuracy = run.test_accuracy();
    progress.say(
        fmt::format("{:<14} test accuracy {} after {} rounds, {:.0f} s", run.rule(),
                    accuracy ? fmt::format("{:.1f} %", *accuracy * 100) : std::string("not measured"),
                    run.latest_round(), run.wall_seconds));
  }
  std::string apart;
  std::uint64_t compared = 0;
  for (const RunRecord& run : runs) {
    const Agreement agreement = run.agreement();
    compared += agreement.rounds_compared;
    equal = equal && agreement.holds();
    if (!agreement.rounds_apart.empty()) {
      apart += fmt::format("; {}: {} rounds, the first is round {}", run.rule(),
                           agreement.rounds_apart.size(), agreement.rounds_apart.front());
    }
  }
  progress.say(
      equal ? fmt::format("check: all honest members held equal parameters after each of {} rounds", compared)
            : fmt::format("check FAILED: honest members' parameters differed or could not be compared ({} "
                          "rounds compared{})",
                          compared, apart));
  return equal;
}

int run_demo(const DemoOptions& options, const std::string& programs) {
  Progress progress(stdout);
  auto work = WorkFolder::make(options.keep);
  if (!work) {
    fmt::print(stderr, "testudo-demo: {}\n", work.error().message);
    return 1;
  }
  net::LibuvScheduler scheduler;
  bool interrupted = false;
  scheduler.on_signal(SIGINT, [&interrupted] { interrupted = true; });
  scheduler.on_signal(SIGTERM, [&interrupted] { interrupted = true; });

  std::vector<RunRecord> runs;
  std::string fault;
  for (const char* rule : {"centered_clip", "mean"}) {
    SwarmSettings settings;
    settings.programs = programs;
    settings.work = work->path() + "/" + rule;
    settings.rule = rule;
    settings.model = options.model;
    settings.members = options.members;
    settings.hostile = options.hostile;
    settings.rounds = options.rounds > 0 ? options.rounds : options.quick ? 40 : 400;
    progress.say(fmt::format("{}: {} members ({} hostile from round {} on), {} rounds", rule,
                             settings.members, settings.hostile, settings.attack_from(), settings.rounds));
    auto result = train_swarm(scheduler, settings, progress, [&interrupted] { return interrupted; });
    progress.finish();
    if (!result) {
      fault = result.error().message;
      break;
    }
    runs.push_back(std::move(result->record));
    fault = std::move(result->fault);
    if (!fault.empty()) break;
  }
  if (options.keep) progress.say("keys, data and logs are kept in " + work->path());
  if (!fault.empty()) fmt::print(stderr, "testudo-demo: {}\n", fault);
  if (runs.empty() || interrupted) return 1;

  auto written = write_report(options.out, runs);
  if (!written) {
    fmt::print(stderr, "testudo-demo: {}\n", written.error().message);
    return 1;
  }
  const std::string out = std::filesystem::absolute(options.out).lexically_normal().string();
  progress.say("report:  " + out + "/index.html");
  progress.say("figures: " + out + "/summary.json");
  const bool equal = print_verdict(progress, runs);
  return fault.empty() && equal ? 0 : 1;
}

}  // namespace
}  // namespace testudo::tools

int main(int argc, char** argv) {
  using namespace testudo::tools;
  std::signal(SIGPIPE, SIG_IGN);
  DemoOptions options;
  CLI::App app{"Trains a swarm with attackers in it on this machine and writes a report with plots."};
  app.add_option("--out", options.out, "Folder for index.html and summary.json")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds of each of the two runs (400; 40 with --quick)")
      ->check(CLI::Range(4, 1'000'000));
  app.add_option("--members", options.members, "Trainers, hostile ones included")
      ->capture_default_str()
      ->check(CLI::Range(2, 64));
  app.add_option("--hostile", options.hostile, "Trainers that attack")->capture_default_str();
  app.add_option("--model", options.model, "What is trained: fashion_convnet, synthetic")
      ->capture_default_str();
  app.add_flag("--quick", options.quick, "A short run that shows the machinery, not the final accuracy");
  app.add_flag("--keep", options.keep, "Keep the members' keys, data and logs");
  try {
    app.parse(argc, argv);
    if (2 * options.hostile >= options.members) {
      throw CLI::ValidationError("--hostile", "fewer than half of the members can be hostile");
    }
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  // The programs lie beside this one.
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return run_demo(options, self.parent_path().string());
}
