// A cell of the experiment: one attack against one defence from one seed, and what came of it. Values.
//
// A finished cell is a file of JSON lines, cells/ATTACK.DEFENCE.SEED.jsonl: `cell` (what was run), `accuracy`
// and `removed` by round, `done`. It is written whole or not at all, so that a cell with a file is never run
// again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/base/result.h"
#include "training/model.h"
#include "training/simulation/gradient_attack.h"

namespace testudo::tools {

// The same in all cells of a folder.
struct ExperimentSettings {
  std::string model = "resnet18_16";
  std::size_t members = 16;
  std::size_t hostile = 7;
  // Share of hostile votes: so many that 7 of 16 fit, and one validator beside them, also while one after
  // another is banned.
  double survive = 0.45;
  std::uint64_t rounds = 700;
  std::uint64_t attack_from = 300;
  std::uint64_t evaluate_every = 10;
  std::uint32_t samples = 8;  // a member and round
  float rate = 0.01F;         // SGD with Nesterov's momentum; the same in all rounds
  float momentum = 0.9F;
  float weight_decay = 5e-4F;
  std::string codec = "int8";  // how contributions travel, to a server as well

  std::string to_json() const;
};

struct AttackRow {
  std::string_view name;
  std::string_view title;
  training::GradientAttack attack;  // kind empty: none
};
const std::vector<AttackRow>& attack_rows();

// Defences: BTARD (the protocol itself, CenteredClip with validators), or a server that all trust and that
// nobody checks on, which aggregates by a rule and bans nobody.
struct DefenceColumn {
  std::string_view name;
  std::string_view title;
  bool server = true;
  std::string_view rule = "centered_clip";
  double tau = 0;  // 0: automatic
};
const std::vector<DefenceColumn>& defence_columns();

struct Cell {
  const AttackRow* attack = nullptr;
  const DefenceColumn* defence = nullptr;
  std::uint64_t seed = 1;

  std::string name() const;  // "sign_flip/btard_1/1"
};

struct SeatLost {
  std::uint64_t round = 0;
  std::size_t member = 0;
  bool hostile = false;
  bool banned = false;  // for ever
  std::string fault;
};

struct CellRecord {
  std::vector<std::pair<std::uint64_t, double>> accuracy;  // by round, on the first test images
  std::vector<SeatLost> removed;
  std::optional<std::uint64_t> diverged;  // the round in which numbers ceased to be finite: it ended there
  double final_accuracy = 0;              // on all test images
  std::uint64_t voided = 0;               // attempts of rounds that came to nothing
  double seconds = 0;                     // what it took

  std::size_t banned(bool hostile) const;
  // Rounds under attack until a hostile member is banned, on average; nothing when none was.
  std::optional<double> rounds_to_ban(std::uint64_t attack_from) const;
  // The lowest from the first attacked round on.
  double lowest_under_attack(std::uint64_t attack_from) const;
};

// What cells compute with; one instance for all members, who take turns.
struct ExperimentModels {
  std::shared_ptr<training::Model> model;     // evaluates on the first test images
  std::shared_ptr<training::Model> examiner;  // on all
  std::shared_ptr<training::Model> flipped;   // learns from labels of which l became 9 − l
};

// Where a running cell stands, after each round.
using CellWatch = std::function<void(std::uint64_t round, const CellRecord& record)>;

// Errors: something that must hold did not (an honest member was banned, members disagree, …), or the model
// failed. BTARD: the protocol's own code on a simulated network.
Result<CellRecord> run_btard(const ExperimentSettings& settings, const Cell& cell,
                             const ExperimentModels& models, const CellWatch& watch);
Result<CellRecord> run_server(const ExperimentSettings& settings, const Cell& cell,
                              const ExperimentModels& models, const CellWatch& watch);

// Accuracy of whoever always gives the same answer: what parameters that are not finite are worth.
inline constexpr double chance = 0.1;
// On the model's first test images; of parameters that are not finite it is `chance`.
double accuracy_of(training::Model& model, std::span<const float> parameters);
// x(0) is drawn from it, the same in all cells of a seed.
Digest experiment_seed(std::uint64_t seed);
// The attack of one hostile member; what those of a cell know together is `collusion`.
Result<std::shared_ptr<training::Misconduct>> misconduct_of(
    const ExperimentSettings& settings, const Cell& cell, const ExperimentModels& models,
    const std::shared_ptr<training::Collusion>& collusion);

std::string encode_cell(const ExperimentSettings& settings, const Cell& cell, const CellRecord& record);
// Errors, which say what to do about the file: damaged; run with other settings than these.
Result<CellRecord> decode_cell(const ExperimentSettings& settings, const Cell& cell, std::string_view text);

}  // namespace testudo::tools
