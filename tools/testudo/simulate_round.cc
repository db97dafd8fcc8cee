// testudo simulate round: whole swarms of production members in virtual time.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <sstream>

#include "crypto/base/counted.h"
#include "crypto/base/encoding.h"
#include "crypto/base/log.h"
#include "swarm/manifest.h"
#include "tools/cli/checks.h"
#include "tools/cli/events.h"
#include "tools/cli/replay.h"
#include "tools/testudo/commands.h"
#include "training/aggregation/rule.h"
#include "training/simulation/round_simulation.h"

namespace testudo::tools {
namespace {

using training::RoundSimulationReport;
using training::SimSwarm;
using training::Violation;

net::Duration milliseconds(double value) { return net::from_seconds(value / 1000); }

struct RoundArguments {
  SeedOptions seeds;
  std::size_t members = 8;
  std::size_t founders = 3;
  std::uint64_t rounds = 20;
  std::size_t parameters = 1000;
  std::string rule = "centered_clip";
  double tau = swarm::Manifest().tau;
  std::string codec = "int8";
  double latency = 20;
  double jitter = 2;
  double bandwidth = 0;
  double loss = 0;
  double work = 50;
  double delta = 500;
  double churn = 0;
  double downtime = 5;
  std::size_t late = 0;
  double partitions = 0;
  double partition_time = 5;
  std::size_t hostile = 0;
  std::string attack = "sign_flip";
  std::uint64_t attack_from = 3;
  std::uint64_t attack_every = 1;
  std::uint32_t validators = 1;
  double survive = 0.33;
  double within = 0;
  bool trace = false;
};

constexpr const char* list_attacks = "list";

bool is_attack(const std::string& name) {
  return std::ranges::find(training::attack_names(), name, &training::AttackName::name) !=
         training::attack_names().end();
}

std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> out;
  std::stringstream stream(names);
  for (std::string name; std::getline(stream, name, ',');) out.push_back(name);
  return out;
}

std::string check_attacks(const std::string& names) {
  if (names == list_attacks) return {};
  const auto all = split(names);
  if (all.empty()) return "no attack is named";
  for (const std::string& name : all) {
    if (!is_attack(name)) return fmt::format("no attack is called \"{}\"; --attack list names them", name);
  }
  return {};
}

// What the options say together. A --hostile 0 that is spelled out, as in replay lines, is meant.
Result<void> check_arguments(const RoundArguments& arguments, const CLI::App& command) {
  if (command.count("--hostile") == 0 && arguments.attack != list_attacks) {
    for (const char* option : {"--attack", "--attack-from", "--attack-every"}) {
      if (command.count(option) == 0) continue;
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("{} says what hostile members do, and there are none: add --hostile N", option));
    }
  }
  if (arguments.founders > arguments.members) {
    return fail(ErrorCode::invalid_argument, "--founders is more than --members");
  }
  if (arguments.late > arguments.members - arguments.founders) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--late counts members that are no founders: there are {}",
                            arguments.members - arguments.founders));
  }
  if (arguments.hostile > 0 && arguments.attack_from > arguments.rounds) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--attack-from {} is after the last of {}: nobody would attack",
                            arguments.attack_from, counted(arguments.rounds, "round")));
  }
  const std::size_t honest = arguments.members - std::min(arguments.members, arguments.hostile);
  if (2 * std::min(honest, arguments.founders) <= arguments.founders) {
    return fail(ErrorCode::invalid_argument,
                "--hostile takes the last members: more than half of the founders have to be left");
  }
  return {};
}

training::RoundSimulationOptions simulation_options(const RoundArguments& arguments, std::uint64_t seed) {
  training::RoundSimulationOptions out;
  out.swarm = {.founders = arguments.founders,
               .joiners = arguments.members - arguments.founders,
               .hostile = arguments.hostile,
               .attacks = split(arguments.attack),
               .attack_from = arguments.attack_from,
               .attack_every = arguments.attack_every,
               .survive = arguments.survive,
               .dimension = arguments.parameters,
               .rounds = arguments.rounds,
               .rule = arguments.rule,
               .tau = arguments.tau,
               .validators = arguments.validators,
               .codec = arguments.codec,
               .loss = arguments.loss,
               .latency = milliseconds(arguments.latency),
               .jitter = milliseconds(arguments.jitter),
               .bandwidth = arguments.bandwidth * 1e6,
               .work = milliseconds(arguments.work),
               .delta = milliseconds(arguments.delta),
               .evaluate_every = 0,
               .seed = seed};
  out.faults = {.kills_per_minute = arguments.churn,
                .downtime = net::from_seconds(arguments.downtime),
                .late = arguments.late,
                .partitions_per_minute = arguments.partitions,
                .partition_time = net::from_seconds(arguments.partition_time)};
  out.within = net::from_seconds(arguments.within);
  return out;
}

// Prints what one run does: rounds once, by the first that reports them.
class RoundPrinter final : public training::RoundSimulationObserver {
 public:
  RoundPrinter(std::uint64_t seed, std::string prefix, bool trace, Output& output,
               SimulationProgress& progress)
      : seed_(seed), prefix_(std::move(prefix)), trace_(trace), output_(output), progress_(progress) {}

  void on_start(SimSwarm& swarm) override { swarm_ = &swarm; }
  void on_report(std::size_t member, const training::RoundReport& report) override {
    if (trace_) {
      trace_line(member, round_text(report));
    }
    const std::pair position(report.round.value(), report.attempt.value());
    if (position <= shown_ || !swarm_->member(member).behaviour.is_honest()) return;
    shown_ = position;
    Json event = round_event(to_hex(swarm_->manifest().run_id()), report);
    event.erase("accuracy");
    event.erase("evaluation_loss");
    event["seed"] = seed_;
    event["virtual_seconds"] = now();
    output_.say(event, "");
  }
  void on_event(std::optional<std::size_t> member, const std::string& what) override {
    if (trace_) trace_line(member, what);
  }
  void on_progress(const SimSwarm&) override {
    progress_.show(fmt::format("{}round {} of {}", prefix_, shown_.first, swarm_->manifest().last_round),
                   now());
  }

 private:
  double now() const { return net::seconds(swarm_->scheduler().now().time_since_epoch()); }
  void trace_line(std::optional<std::size_t> member, const std::string& what) {
    const std::string who = member ? fmt::format("member {:<3}", *member) : std::string(10, ' ');
    output_.say({{"event", "trace"},
                 {"seed", seed_},
                 {"virtual_seconds", now()},
                 {"member", member ? Json(*member) : Json(nullptr)},
                 {"what", what}},
                fmt::format("{:10.3f} s  {}  {}", now(), who, what));
  }

  std::uint64_t seed_;
  std::string prefix_;
  bool trace_;
  Output& output_;
  SimulationProgress& progress_;
  SimSwarm* swarm_ = nullptr;
  std::pair<std::uint64_t, std::uint32_t> shown_{};
};

// Of what honest members hold, among the properties that failed.
std::size_t divergences(const RoundSimulationReport& report) {
  return static_cast<std::size_t>(std::ranges::count_if(
      report.violations, [](const Violation& violation) { return violation.is_divergence(); }));
}

void say_report(const RoundArguments& arguments, std::uint64_t seed, const RoundSimulationReport& report,
                Output& output) {
  const double p50 = training::quantile(report.round_seconds, 0.5);
  const double p99 = training::quantile(report.round_seconds, 0.99);
  const double virtual_seconds = net::seconds(report.virtual_time);
  std::string text = fmt::format(
      "seed {}: rounds applied {}, attempts void {}, round time p50 {:.2f} s p99 {:.2f} s, sent {} a member "
      "and "
      "round, loss {:.4g}, {} of virtual time",
      seed, report.applied, report.voided, p50, p99,
      bytes_text(static_cast<std::uint64_t>(report.bytes_sent)), report.final_loss,
      duration_text(virtual_seconds));
  if (report.kills > 0) text += fmt::format(", killed {}", report.kills);
  if (report.partitions > 0) text += fmt::format(", partitions {}", report.partitions);
  if (report.eliminated_honest > 0) text += fmt::format(", seats lost {}", report.eliminated_honest);
  if (report.strikes > 0) {
    text += fmt::format(", strikes {}, rested {} hostile and {} honest members", report.strikes,
                        report.rested_hostile, report.rested_honest);
  }
  if (arguments.hostile > 0 && report.banned_hostile == 0) text += ", no hostile member banned";
  if (report.banned_hostile > 0) {
    text += fmt::format(", hostile members banned {} after {:.1f} rounds on average", report.banned_hostile,
                        report.rounds_to_ban);
  }
  output.say({{"event", "done"},
              {"seed", seed},
              {"held", report.violations.empty()},
              {"rounds", arguments.rounds},
              {"applied", report.applied},
              {"void", report.voided},
              {"round_seconds_p50", p50},
              {"round_seconds_p99", p99},
              {"bytes_sent", report.bytes_sent},
              {"loss", number(report.final_loss)},
              {"kills", report.kills},
              {"partitions", report.partitions},
              {"banned_hostile", report.banned_hostile},
              {"banned_honest", report.banned_honest},
              {"eliminated_honest", report.eliminated_honest},
              {"strikes", report.strikes},
              {"rested_hostile", report.rested_hostile},
              {"rested_honest", report.rested_honest},
              {"rounds_to_ban_mean", report.banned_hostile > 0 ? Json(report.rounds_to_ban) : Json(nullptr)},
              {"divergences", divergences(report)},
              {"virtual_seconds", virtual_seconds},
              {"segments", report.segments},
              {"trace", fmt::format("{:016x}", report.trace)}},
             text);
}

Result<void> simulate_rounds(const RoundArguments& arguments, const CLI::App& command, Output& output) {
  end_with_reader();
  if (arguments.attack == list_attacks) {
    for (const auto& attack : training::attack_names()) {
      output.say({{"event", "attack"}, {"name", attack.name}, {"what", attack.what}},
                 fmt::format("{:<18} {}", attack.name, attack.what));
    }
    return {};
  }
  TRY(const auto seeds, chosen_seeds(arguments.seeds));
  // What a simulated member warns of is a part of the story, and told by --trace.
  std::optional<log::Sink> errors_only;
  if (command.get_parent()->get_parent()->count("--log-level") == 0) errors_only.emplace(LogLevel::error);
  SimulationProgress progress;
  std::size_t failed = 0;
  std::string replay;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    const auto options = simulation_options(arguments, seeds[i]);
    const std::string prefix =
        seeds.size() > 1 ? fmt::format("seed {} ({} of {}): ", seeds[i], i + 1, seeds.size()) : std::string();
    RoundPrinter printer(seeds[i], prefix, arguments.trace, output, progress);
    const auto report = training::simulate_round(options, &printer);
    progress.add_run(net::seconds(report.virtual_time));
    for (const Violation& violation : report.violations) {
      output.say({{"event", "property_failed"},
                  {"seed", seeds[i]},
                  {"property", violation.property},
                  {"round", violation.round},
                  {"member", violation.member ? Json(*violation.member) : Json(nullptr)},
                  {"what", violation.what},
                  {"replay", replay_line(command, seeds[i])},
                  {"version", TESTUDO_VERSION}},
                 fmt::format("seed {}: PROPERTY FAILED: {}", seeds[i], training::to_text(violation)));
    }
    if (!report.violations.empty()) {
      ++failed;
      if (replay.empty()) replay = replay_line(command, seeds[i]);
      if (!output.json())
        output.say(Json(),
                   fmt::format("replay: {}  # testudo {}", replay_line(command, seeds[i]), TESTUDO_VERSION));
    }
    say_report(arguments, seeds[i], report, output);
  }
  progress.say(progress.summary());
  if (failed == 0) return {};
  return fail(ErrorCode::internal, fmt::format("a property failed in {} of {}; repeat the first with: {}",
                                               failed, counted(seeds.size(), "run"), replay));
}

}  // namespace

void add_simulate_round(Program& program, CLI::App* group) {
  auto arguments = std::make_shared<RoundArguments>();
  auto self = std::make_shared<CLI::App*>(nullptr);
  CLI::App* command = program.add(
      "round", "A whole swarm of members that train together",
      R"(Every member is the one of testudo join; the network, time, randomness, disk and model are simulated. After
every round it is checked that honest members hold the same bytes, that none of them is banned, that nothing
certified is lost by kill -9, that rounds end in time and queues stay bounded. A property that fails is
printed with the line that repeats the run, and the exit code is 1. stdout depends on the options alone; how
fast it was is said on stderr.

Example:  testudo simulate round --members 16 --rounds 50 --churn 6 --loss 0.01 --seeds 100
          testudo simulate round --members 7 --hostile 2 --attack equivocate --trace
Next:     the replay line of a seed that failed, with --trace)",
      [arguments, self](Output& output) { return simulate_rounds(*arguments, **self, output); }, group);
  *self = command;
  RoundArguments& a = *arguments;
  const auto option = [command](const char* name, auto& value, const char* what) {
    return command->add_option(name, value, what)->capture_default_str();
  };
  add_seed_options(*command, a.seeds);
  option("--members", a.members, "Members, founders included")->check(CLI::Range(1, 256));
  option("--founders", a.founders, "Founders")->check(CLI::Range(1, 256));
  option("--rounds", a.rounds, "Rounds")->check(CLI::Range(1, 1'000'000));
  option("--parameters", a.parameters, "Parameters of the model")->check(CLI::Range(1, 100'000'000));
  command->add_option("--rule", a.rule, "How contributions are aggregated: " + training::rule_grammar())
      ->capture_default_str()
      ->check(check_rule);
  option("--tau", a.tau, "The radius that centered_clip clips to; 0: automatic")
      ->check(finite_range(0.0, 1e6));
  option("--codec", a.codec, "How they are encoded")->check(CLI::IsMember({"int8", "fp16", "fp32"}));
  option("--latency", a.latency, "Milliseconds, one way between two members")
      ->check(finite_range(0.0, 60'000.0));
  option("--jitter", a.jitter, "Milliseconds at most that a segment is late")
      ->check(finite_range(0.0, 60'000.0));
  option("--bandwidth", a.bandwidth, "MB/s of a member, each way; 0: no limit")
      ->check(finite_range(0.0, 1e6));
  option("--loss", a.loss, "Share of packets that are lost, and sent again")->check(finite_range(0.0, 0.9));
  option("--work", a.work, "Milliseconds of a job on the CPU")->check(finite_range(0.0, 60'000.0));
  option("--delta", a.delta, "Milliseconds in which honest members are promised to hear one another")
      ->check(finite_range(10.0, 60'000.0));
  option("--churn", a.churn, "kill -9 of a member, so many times a minute")->check(finite_range(0.0, 6000.0));
  option("--downtime", a.downtime, "Seconds on average until it is started again")
      ->check(finite_range(0.0, 36e3));
  option("--late", a.late, "Members that start at a random moment of the first minute");
  option("--partitions", a.partitions, "The network is cut in two, so many times a minute")
      ->check(finite_range(0.0, 600.0));
  option("--partition-time", a.partition_time, "Seconds on average until it is whole again")
      ->check(finite_range(0.0, 36e3));
  option("--hostile", a.hostile, "Members that attack, the last ones; founders where there are no others");
  option("--attack", a.attack,
         "What they do, one after another if there are several: NAME[,NAME...]; list names all")
      ->check(check_attacks);
  option("--attack-from", a.attack_from, "The first round in which they do it")
      ->check(CLI::Range(1, 1'000'000));
  option("--attack-every", a.attack_every, "Attacks on the gradient: in every so many-th round only")
      ->check(CLI::Range(1, 1'000'000));
  option("--validators", a.validators,
         "Members that recompute another's contribution in a round, a quarter at most")
      ->check(CLI::Range(0, 64));
  option("--survive", a.survive, "Share of hostile votes that the run promises to survive")
      ->check(finite_range(0.01, 0.499));
  option("--within", a.within, "Virtual seconds in which it must end; 0: what the worst rounds take")
      ->check(finite_range(0.0, 1e9));
  check_together(*command, [arguments, command] { return check_arguments(*arguments, *command); });
  command->add_flag("--trace", a.trace, "Print every event of every member");
}

}  // namespace testudo::tools
