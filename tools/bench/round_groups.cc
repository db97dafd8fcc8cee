#include "tools/bench/round_groups.h"

#include <algorithm>
#include <filesystem>

#include "tools/bench/round_roles.h"
#include "tools/bench/shared_group.h"

namespace testudo::bench {
namespace {

using namespace std::chrono_literals;
using tools::Json;
using Workers = std::vector<std::unique_ptr<Worker>>;

constexpr net::Duration start_limit = 30s;
constexpr net::Duration turn_limit = 300s;  // the slowest, with memory and disk to fill for the first time

// One turn, from what each process said of it.
void add_turn(Turns& turns, const std::vector<Json>& said) {
  double start = said.front().at("start");
  double end = 0, cpu = 0, whole_end = 0, sent = 0;
  for (const Json& turn : said) {
    start = std::min(start, turn.at("start").get<double>());
    end = std::max(end, turn.at("end").get<double>());
    cpu += turn.at("cpu").get<double>();
    whole_end = std::max(whole_end, turn.at("start").get<double>() + turn.value("whole", 0.0));
    sent = std::max(sent, turn.value("sent", 0.0));
  }
  turns.seconds.push_back(end - start);
  turns.cpu.push_back(cpu);
  turns.whole.push_back(whole_end - start);
  turns.sent.push_back(sent);
  const Json phases = said.front().value("phases", Json::object());
  for (const auto& [phase, ignored] : phases.items()) {
    double sum = 0;
    for (const Json& turn : said) sum += turn.at("phases").value(phase, 0.0);
    auto known = std::ranges::find(turns.phases, phase, [](const auto& entry) { return entry.first; });
    if (known == turns.phases.end()) known = turns.phases.insert(known, {phase, {}});
    known->second.push_back(sum / static_cast<double>(said.size()));
  }
}

Result<Turns> watch(const Workers& workers, std::size_t turns) {
  Turns result;
  for (std::size_t turn = 0; turn <= turns; ++turn) {
    std::vector<Json> said;
    for (const auto& worker : workers) {
      TRY(auto event, worker->wait_for("turn", turn_limit));
      if (!event.value("applied", true) || event.value("contributors", workers.size()) < workers.size()) {
        return fail(ErrorCode::internal, "a round was not applied with all members: " + event.dump());
      }
      said.push_back(std::move(event));
    }
    if (turn > 0) add_turn(result, said);
  }
  return result;
}

Result<void> watch_end(const Workers& workers, Turns& turns) {
  for (const auto& worker : workers) {
    TRY(const auto done, worker->wait_for("done", turn_limit));
    turns.peak = std::max(turns.peak, done.value("peak", std::size_t{0}));
  }
  return {};
}

// Beside this program; empty when it was built without it.
std::string program_beside(const char* name) {
  std::error_code code;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", code);
  const auto path = self.parent_path() / name;
  return !code && std::filesystem::exists(path, code) ? path.string() : std::string();
}

Result<Turns> run_group(const Shape& shape, std::size_t turns, Json role) {
  TRY(const Scratch scratch, Scratch::make());
  TRY(const auto group, SharedGroup::create(scratch.file("group"), shape.members));
  net::LibuvScheduler scheduler;
  Workers workers;
  role["group"] = scratch.file("group");
  role["values"] = shape.values();
  role["codec"] = shape.codec;
  role["turns"] = turns + 1;
  const bool ours = role.contains("rule");
  if (ours) {
    role["folder"] = scratch.file("");
    role["bootstrap"] = "";
  }
  for (std::size_t i = 0; i < shape.members; ++i) {
    role["index"] = i;
    TRY(auto worker, Worker::start(scheduler, scratch, role));
    workers.push_back(std::move(worker));
    if (ours && i == 0) {
      TRY(const auto ready, workers.front()->wait_for("ready", start_limit));
      role["bootstrap"] = ready.at("address");
    }
  }
  TRY(Turns result, watch(workers, turns));
  TRY_VOID(watch_end(workers, result));
  return result;
}

}  // namespace

void Turns::append(const Turns& more) {
  seconds.insert(seconds.end(), more.seconds.begin(), more.seconds.end());
  cpu.insert(cpu.end(), more.cpu.begin(), more.cpu.end());
  peak = std::max(peak, more.peak);
}

Result<Turns> run_floor(const Shape& shape, std::size_t turns) {
  return run_group(shape, turns, {{"role", "floor-member"}});
}

Result<Turns> run_rounds(const Shape& shape, const std::string& rule, std::size_t turns) {
  return run_group(shape, turns, {{"role", "round-member"}, {"rule", rule}});
}

Result<Turns> run_gloo(const Shape& shape, std::size_t turns) {
  const std::string program = program_beside("testudo-bench-gloo");
  if (program.empty()) return fail(ErrorCode::not_found, "built without Gloo (tools/setup --bench)");
  TRY(const Scratch scratch, Scratch::make());
  net::LibuvScheduler scheduler;
  Workers workers;
  std::filesystem::create_directory(scratch.file("store"));
  for (std::size_t i = 0; i < shape.members; ++i) {
    TRY(auto worker, Worker::start_program(
                         scheduler, scratch,
                         {program, std::to_string(i), std::to_string(shape.members), scratch.file("store"),
                          std::to_string(shape.values()), std::to_string(turns + 1)}));
    workers.push_back(std::move(worker));
  }
  return watch(workers, turns);
}

Result<Turns> run_open_mpi(const Shape& shape, std::size_t turns) {
  const std::string program = program_beside("testudo-bench-mpi");
  if (program.empty()) return fail(ErrorCode::not_found, "built without Open MPI (tools/setup --bench)");
  TRY(const Scratch scratch, Scratch::make());
  net::LibuvScheduler scheduler;
  std::vector<std::string> command = {
      "mpirun", "--allow-run-as-root",        "--oversubscribe", "--bind-to", "none",
      "-np",    std::to_string(shape.members)};
  const std::pair<const char*, const char*> settings[] = {
      {"pml", "ob1"},
      {"btl", "tcp,self"},  // not its shared memory: what is compared is messages over sockets
      {"btl_tcp_if_include", "lo"},
      {"coll_tuned_use_dynamic_rules", "1"},
      {"coll_tuned_allreduce_algorithm", "4"},  // the ring
  };
  for (const auto& [name, value] : settings) command.insert(command.end(), {"--mca", name, value});
  command.insert(command.end(), {program, std::to_string(shape.values()), std::to_string(turns + 1)});
  Workers workers;
  TRY(auto worker, Worker::start_program(scheduler, scratch, std::move(command)));
  workers.push_back(std::move(worker));
  return watch(workers, turns);
}

}  // namespace testudo::bench
