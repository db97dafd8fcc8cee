// testudo-experiment: attacks against defences, cell by cell, into a folder. `tools/experiments/btard` builds
// and runs it; never installed.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <regex>

#include "crypto/base/counted.h"
#include "crypto/base/log.h"
#include "tools/cli/checks.h"
#include "tools/cli/program.h"
#include "tools/experiments/cell_folder.h"
#include "tools/experiments/interruption.h"
#include "tools/experiments/report.h"
#include "training/simulation/label_flip.h"
#include "training/torch/builtin_models.h"

namespace testudo::tools {
namespace {

// Measured on after every few rounds; the whole test set takes longer than the rounds between.
constexpr std::size_t images_on_the_way = 1000;
constexpr std::uint64_t lines_a_cell = 10;

struct Options {
  ExperimentSettings settings;
  std::string out = "experiment-btard";
  std::string cells;
  std::uint64_t rounds = 0;  // 0: as the settings have it
  std::uint64_t attack_from = 0;
  std::string model;
  std::uint64_t seeds = 0;  // 0: one, and three where the attack asks for it
  bool quick = false;
  bool list = false;
};

// A small network and few members: the machinery, and the one result that must not change.
ExperimentSettings quick_settings() {
  return {.model = "fashion_convnet",
          .members = 8,
          .hostile = 3,
          .survive = 0.4,
          .rounds = 100,
          .attack_from = 40,
          .evaluate_every = 5,
          .samples = 32,
          .rate = 0.05F};
}
constexpr const char* quick_cells = "sign_flip/(btard_1|mean)/1";

ExperimentSettings settings_of(const Options& options) {
  ExperimentSettings settings = options.quick ? quick_settings() : ExperimentSettings{};
  if (options.rounds > 0) settings.rounds = options.rounds;
  if (options.attack_from > 0) settings.attack_from = options.attack_from;
  if (!options.model.empty()) settings.model = options.model;
  return settings;
}

std::uint64_t seeds_of(const Options& options, const AttackRow& attack) {
  if (options.seeds > 0) return options.seeds;
  constexpr std::string_view thrice[] = {"sign_flip", "alie", "ipm_0.6"};
  return std::ranges::find(thrice, attack.name) != std::end(thrice) ? 3 : 1;
}

std::string check_regex(const std::string& text) {
  try {
    const std::regex expression(text);
    return {};
  } catch (const std::regex_error& e) {
    return std::string("no regular expression: ") + e.what();
  }
}

std::vector<Cell> chosen_cells(const Options& options) {
  const std::regex wanted(!options.cells.empty() ? options.cells : options.quick ? quick_cells : ".*");
  std::vector<Cell> cells;
  // First seeds first: a table without holes comes before its precision.
  for (std::uint64_t seed = 1; seed <= std::max<std::uint64_t>(options.seeds, 3); ++seed) {
    for (const AttackRow& attack : attack_rows()) {
      for (const DefenceColumn& defence : defence_columns()) {
        const Cell cell{&attack, &defence, seed};
        if (seed <= seeds_of(options, attack) && std::regex_search(cell.name(), wanted))
          cells.push_back(cell);
      }
    }
  }
  return cells;
}

Result<void> check_options(const Options& options) {
  const ExperimentSettings settings = settings_of(options);
  if (settings.attack_from >= settings.rounds) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the attack would start in round {}, and the last one is round {}",
                            settings.attack_from, settings.rounds));
  }
  if (chosen_cells(options).empty()) {
    return fail(ErrorCode::invalid_argument,
                "no cell matches \"" + options.cells + "\"; --list names them all");
  }
  return {};
}

Result<ExperimentModels> make_models(const std::string& name) {
  TRY(const auto data, training::load_fashion_mnist());
  const auto few = data.test->first(images_on_the_way);
  const auto wrong =
      std::make_shared<training::FlippedLabels>(data.training, training::ImageDataset::classes);
  TRY(auto examiner, training::make_builtin_model(name, data));
  TRY(auto model, training::make_builtin_model(name, data.training, few));
  TRY(auto flipped, training::make_builtin_model(name, wrong, few));
  return ExperimentModels{std::move(model), std::move(examiner), std::move(flipped)};
}

std::string result_text(const ExperimentSettings& settings, const Cell& cell, const CellRecord& record) {
  std::string text = fmt::format("accuracy {:.1f} %", 100 * record.final_accuracy);
  if (record.diverged) text += fmt::format(", diverged in round {}", *record.diverged);
  if (!cell.defence->server && !cell.attack->attack.kind.empty()) {
    text += fmt::format(", {} of {} hostile members banned", record.banned(true), settings.hostile);
    if (const auto rounds = record.rounds_to_ban(settings.attack_from)) {
      text += fmt::format(" after {:.0f} rounds on average", *rounds);
    }
  }
  return text;
}

// Runs cells, and knows how long they take.
class Experiment {
 public:
  Experiment(const Options& options, ExperimentSettings settings, CellFolder folder, Output& output)
      : options_(options), settings_(std::move(settings)), folder_(std::move(folder)), output_(output) {}

  Result<void> run(const std::vector<Cell>& cells) {
    TRY_VOID(folder_.make());
    Interruption interruption;
    std::vector<Cell> open;
    for (const Cell& cell : cells) {
      TRY(auto record, folder_.load(settings_, cell));
      if (record) {
        keep(cell, std::move(*record));
      } else {
        open.push_back(cell);
      }
    }
    if (open.size() < cells.size()) {
      output_.say(
          {{"event", "resumed"}, {"finished", cells.size() - open.size()}, {"cells", cells.size()}},
          fmt::format("{} of {} finished", cells.size() - open.size(), counted(cells.size(), "cell")));
    }
    std::optional<ExperimentModels> models;
    for (; !open.empty(); open.erase(open.begin())) {
      const Cell cell = open.front();
      interruption.expect(fmt::format(
          "interrupted: {} of {} finished and kept in {}, {} not; the same command goes on from there",
          cells.size() - open.size(), counted(cells.size(), "cell"), folder_.path(), cell.name()));
      TRY(const auto lock, folder_.lock(cell));
      if (!lock) continue;                              // another process has it
      TRY(auto record, folder_.load(settings_, cell));  // and may have finished it
      if (!record) {
        if (!models) {
          TRY(models, make_models(settings_.model));
        }
        TRY(record, run_cell(cell, *models, open));
        TRY_VOID(folder_.store(settings_, cell, *record));
      }
      keep(cell, std::move(*record));
      TRY_VOID(write_experiment(options_.out, settings_, finished_));
    }
    return write_experiment(options_.out, settings_, finished_);
  }

  const FinishedCells& finished() const { return finished_; }
  const ExperimentSettings& settings() const { return settings_; }

 private:
  void keep(const Cell& cell, CellRecord record) {
    auto& [count, seconds] = taken_[cell.defence->server];
    ++count;
    seconds += record.seconds;
    finished_[{cell.attack->name, cell.defence->name}].push_back(std::move(record));
  }

  // What the cells still take, the first of them only a share: as long as those of their kind took.
  double seconds_left(const std::vector<Cell>& open, double share, double so_far) const {
    double left = 0;
    for (std::size_t i = 0; i < open.size(); ++i) {
      const auto known = taken_.find(open[i].defence->server);
      const double whole =
          known != taken_.end() ? known->second.second / known->second.first : so_far / share;
      left += i == 0 ? so_far / share - so_far : whole;
    }
    return left;
  }

  Result<CellRecord> run_cell(const Cell& cell, const ExperimentModels& models,
                              const std::vector<Cell>& open) {
    const auto started = std::chrono::steady_clock::now();
    const std::uint64_t step = std::max<std::uint64_t>(1, settings_.rounds / lines_a_cell);
    const auto watch = [&](std::uint64_t round, const CellRecord& record) {
      const double so_far = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
      const double left =
          seconds_left(open, static_cast<double>(round) / static_cast<double>(settings_.rounds), so_far);
      const std::string text = fmt::format(
          "{}: round {} of {}, accuracy {}, {} banned; {} to go, {} left", cell.name(), round,
          settings_.rounds,
          record.accuracy.empty() ? "–" : fmt::format("{:.1f} %", 100 * record.accuracy.back().second),
          record.banned(true), counted(open.size(), "cell"), duration_text(left));
      output_.progress(text);
      if (round % step != 0) return;
      output_.say(
          {{"event", "progress"},
           {"cell", cell.name()},
           {"round", round},
           {"rounds", settings_.rounds},
           {"accuracy", record.accuracy.empty() ? Json(nullptr) : Json(record.accuracy.back().second)},
           {"banned_hostile", record.banned(true)},
           {"seconds", so_far},
           {"seconds_left", left}},
          text);
    };
    auto record = cell.defence->server ? run_server(settings_, cell, models, watch)
                                       : run_btard(settings_, cell, models, watch);
    if (!record) return record;
    output_.say({{"event", "cell"},
                 {"cell", cell.name()},
                 {"accuracy", record->final_accuracy},
                 {"banned_hostile", record->banned(true)},
                 {"banned_honest", record->banned(false)},
                 {"seconds", record->seconds}},
                fmt::format("{}: {}; {}", cell.name(), result_text(settings_, cell, *record),
                            duration_text(record->seconds)));
    return record;
  }

  const Options& options_;
  ExperimentSettings settings_;
  CellFolder folder_;
  Output& output_;
  FinishedCells finished_;
  std::map<bool, std::pair<double, double>> taken_;  // by kind (at a server?): cells, seconds
};

// What --quick is for: the protocol finds all attackers, bans nobody else and recovers; without it all is
// lost.
Result<void> check_quick(const Experiment& experiment) {
  const ExperimentSettings& settings = experiment.settings();
  for (const auto& [name, records] : experiment.finished()) {
    const CellRecord& record = records.front();
    const std::string what = fmt::format("{}/{}: ", name.first, name.second);
    if (name.second == "mean") {
      if (record.final_accuracy <= 2 * chance) continue;
      return fail(ErrorCode::internal, what + "the attack does nothing to the plain average");
    }
    double before = 0;
    for (const auto& [round, value] : record.accuracy) {
      if (round < settings.attack_from) before = value;
    }
    if (record.banned(true) != settings.hostile || record.banned(false) != 0) {
      return fail(ErrorCode::internal,
                  what + fmt::format("{} of {} hostile members were banned, and {} honest ones",
                                     record.banned(true), settings.hostile, record.banned(false)));
    }
    if (record.final_accuracy < before) {
      return fail(ErrorCode::internal,
                  what + fmt::format("accuracy {:.3f} in the end, {:.3f} before the attack",
                                     record.final_accuracy, before));
    }
  }
  return {};
}

// A file that says nothing is one cell's misfortune.
void list(const ExperimentSettings& settings, const Cell& cell,
          const Result<std::optional<CellRecord>>& record, Output& output) {
  const bool finished = record && *record;
  Json event = {{"event", "listed"}, {"cell", cell.name()}, {"finished", finished}};
  if (!record) event["problem"] = record.error().message;
  output.say(event, fmt::format("{:<36} {}", cell.name(),
                                !record    ? record.error().message
                                : finished ? result_text(settings, cell, **record)
                                           : "–"));
}

Result<void> run_experiment(const Options& options, Output& output) {
  const ExperimentSettings settings = settings_of(options);
  const std::vector<Cell> cells = chosen_cells(options);
  CellFolder folder(options.out);
  if (options.list) {
    for (const Cell& cell : cells) list(settings, cell, folder.load(settings, cell), output);
    return {};
  }
  // What a simulated member warns of is part of the attack.
  const log::Sink errors_only(LogLevel::error);
  Experiment experiment(options, settings, std::move(folder), output);
  TRY_VOID(experiment.run(cells));
  output.say(
      {{"event", "done"}, {"cells", cells.size()}, {"out", options.out}},
      "\n" + experiment_table(settings, experiment.finished()) + "\ntable, plots and cells: " + options.out);
  return options.quick && options.cells.empty() ? check_quick(experiment) : Result<void>();
}

}  // namespace
}  // namespace testudo::tools

int main(int argc, char** argv) {
  using namespace testudo::tools;
  Program program(
      "testudo-experiment", "Attacks against defences, on Fashion-MNIST: accuracy by round.",
      R"(A cell is one attack against one defence from one seed. BTARD cells run the protocol's own code on a simulated
network, with one validator a round; the others aggregate by a rule at a server that all trust. Cells that are
finished are not run again: interrupt whenever you like, and give the same command to go on; only the cell that was
being computed begins anew. A second process with the same --out takes other cells.

Example:  testudo-experiment --cells '^sign_flip/' --out results
          testudo-experiment --list
Next:     OUT/index.html (plots), OUT/table.md, OUT/cells (JSON lines))");
  Options options;
  CLI::App& app = program.app();
  app.add_option("--out", options.out, "Folder for cells, table and plots")->capture_default_str();
  app.add_option("--cells", options.cells,
                 "Only cells whose name ATTACK/DEFENCE/SEED this regular expression finds")
      ->check(check_regex);
  app.add_option("--seeds", options.seeds, "Seeds of every cell (default: one; three of some attacks)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--rounds", options.rounds, "Rounds (default: 700)")->check(CLI::Range(10, 1'000'000));
  app.add_option("--attack-from", options.attack_from, "The first attacked round (default: 300)")
      ->check(CLI::Range(5, 1'000'000));
  app.add_option("--model", options.model, "What is trained (default: resnet18_16)")
      ->check(CLI::IsMember(testudo::training::builtin_model_names()));
  app.add_flag("--quick", options.quick,
               "Half a minute with a small network: 8 members, 3 hostile, sign flip; and a check");
  app.add_flag("--list", options.list, "Print the cells and what came of them; run none");
  check_together(app, [&options] { return check_options(options); });
  program.set_command([&options](Output& output) { return run_experiment(options, output); });
  return program.run(argc, argv);
}
