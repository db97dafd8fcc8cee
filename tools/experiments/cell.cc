#include "tools/experiments/cell.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crypto/hash.h"

namespace testudo::tools {
namespace {

using Json = nlohmann::ordered_json;

Json cell_line(const ExperimentSettings& settings, const Cell& cell) {
  return {{"event", "cell"},
          {"attack", cell.attack->name},
          {"defence", cell.defence->name},
          {"seed", cell.seed},
          {"settings", Json::parse(settings.to_json())}};
}

}  // namespace

std::string ExperimentSettings::to_json() const {
  return Json{{"model", model},
              {"members", members},
              {"hostile", hostile},
              {"survive", survive},
              {"rounds", rounds},
              {"attack_from", attack_from},
              {"samples", samples},
              {"evaluate_every", evaluate_every},
              {"learning_rate", rate},
              {"momentum", momentum},
              {"weight_decay", weight_decay},
              {"codec", codec}}
      .dump();
}

const std::vector<AttackRow>& attack_rows() {
  static const std::vector<AttackRow> rows = {
      {"none", "no attack", {.kind = ""}},
      {"sign_flip", "sign flip × 1000", {.kind = "sign_flip", .scale = 1000}},
      {"random_direction", "random direction × 1000", {.kind = "random_direction", .scale = 1000}},
      {"label_flip", "label flip", {.kind = "label_flip"}},
      {"delayed", "gradients delayed by 200 rounds", {.kind = "delayed", .delay = 200}},
      {"ipm_0.1", "IPM, ε = 0.1", {.kind = "ipm_0.1"}},
      {"ipm_0.6", "IPM, ε = 0.6", {.kind = "ipm_0.6"}},
      {"alie", "ALIE", {.kind = "alie"}},
  };
  return rows;
}

const std::vector<DefenceColumn>& defence_columns() {
  static const std::vector<DefenceColumn> columns = {
      {.name = "btard_1", .title = "BTARD, τ = 1", .server = false, .tau = 1},
      {.name = "btard_10", .title = "BTARD, τ = 10", .server = false, .tau = 10},
      {.name = "btard_auto", .title = "BTARD, τ automatic", .server = false, .tau = 0},
      {.name = "mean", .title = "no defence", .rule = "mean"},
      {.name = "coordinate_median", .title = "coordinate median", .rule = "coordinate_median"},
      {.name = "geometric_median", .title = "geometric median", .rule = "geometric_median"},
      {.name = "krum", .title = "Krum", .rule = "krum"},
      {.name = "centered_clip", .title = "CenteredClip, τ = 1", .rule = "centered_clip", .tau = 1},
  };
  return columns;
}

std::string Cell::name() const { return fmt::format("{}/{}/{}", attack->name, defence->name, seed); }

std::size_t CellRecord::banned(bool hostile) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      removed, [&](const SeatLost& lost) { return lost.banned && lost.hostile == hostile; }));
}

std::optional<double> CellRecord::rounds_to_ban(std::uint64_t attack_from) const {
  const std::size_t count = banned(true);
  if (count == 0) return std::nullopt;
  double rounds = 0;
  for (const SeatLost& lost : removed) {
    if (lost.banned && lost.hostile) rounds += static_cast<double>(lost.round + 1 - attack_from);
  }
  return rounds / static_cast<double>(count);
}

double CellRecord::lowest_under_attack(std::uint64_t attack_from) const {
  double lowest = final_accuracy;
  for (const auto& [round, value] : accuracy) {
    if (round >= attack_from) lowest = std::min(lowest, value);
  }
  return lowest;
}

double accuracy_of(training::Model& model, std::span<const float> parameters) {
  const auto evaluated = model.evaluate(parameters);
  return evaluated ? evaluated->accuracy : chance;
}

Digest experiment_seed(std::uint64_t seed) {
  return crypto::Hasher("testudo/experiment").integer(seed).finish();
}

Result<std::shared_ptr<training::Misconduct>> misconduct_of(
    const ExperimentSettings& settings, const Cell& cell, const ExperimentModels& models,
    const std::shared_ptr<training::Collusion>& collusion) {
  training::GradientAttack attack = cell.attack->attack;
  attack.from_round = settings.attack_from;
  attack.seed = cell.seed;
  attack.collusion = collusion;
  attack.flipped = models.flipped;
  return training::make_gradient_attack(attack);
}

std::string encode_cell(const ExperimentSettings& settings, const Cell& cell, const CellRecord& record) {
  std::string text = cell_line(settings, cell).dump() + "\n";
  const auto add = [&text](const Json& line) { text += line.dump() + "\n"; };
  for (const auto& [round, value] : record.accuracy) {
    add({{"event", "accuracy"}, {"round", round}, {"accuracy", value}});
  }
  for (const SeatLost& lost : record.removed) {
    add({{"event", "removed"},
         {"round", lost.round},
         {"member", lost.member},
         {"hostile", lost.hostile},
         {"banned", lost.banned},
         {"fault", lost.fault}});
  }
  add({{"event", "done"},
       {"final_accuracy", record.final_accuracy},
       {"diverged", record.diverged ? Json(*record.diverged) : Json(nullptr)},
       {"voided", record.voided},
       {"seconds", record.seconds}});
  return text;
}

Result<CellRecord> decode_cell(const ExperimentSettings& settings, const Cell& cell, std::string_view text) {
  CellRecord record;
  std::istringstream lines{std::string(text)};
  std::string line;
  bool first = true;
  bool done = false;
  std::size_t number = 0;
  const auto damaged = [](const std::string& how) {
    return fail(ErrorCode::corrupt, how + "; remove the file, and the cell is run again");
  };
  try {
    for (; std::getline(lines, line); ++number) {
      const Json event = Json::parse(line);
      if (std::exchange(first, false) && event != cell_line(settings, cell)) {
        return fail(ErrorCode::invalid_argument,
                    "run with other settings; give them again, or another folder with --out");
      }
      const std::string kind = event.at("event");
      if (kind == "accuracy") record.accuracy.emplace_back(event.at("round"), event.at("accuracy"));
      if (kind == "removed") {
        record.removed.push_back({.round = event.at("round"),
                                  .member = event.at("member"),
                                  .hostile = event.at("hostile"),
                                  .banned = event.at("banned"),
                                  .fault = event.at("fault")});
      }
      if (kind != "done") continue;
      done = true;
      record.final_accuracy = event.at("final_accuracy");
      if (!event.at("diverged").is_null()) record.diverged = event.at("diverged").get<std::uint64_t>();
      record.voided = event.at("voided");
      record.seconds = event.at("seconds");
    }
  } catch (const Json::exception&) {
    return damaged("damaged: line " + std::to_string(number + 1) + " is not what a cell has there");
  }
  if (!done) return damaged("damaged: its end is missing");
  return record;
}

}  // namespace testudo::tools
