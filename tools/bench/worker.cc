#include "tools/bench/worker.h"

#include <spdlog/fmt/fmt.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <csignal>
#include <filesystem>

#include "tools/bench/round_roles.h"

namespace testudo::bench {
namespace {

using tools::Json;

constexpr std::size_t log_lines_shown = 5;

}  // namespace

Result<Scratch> Scratch::make() {
  std::error_code code;
  const auto folder = std::filesystem::temp_directory_path(code);
  std::string path = (folder / "testudo-bench-XXXXXX").string();
  if (code || mkdtemp(path.data()) == nullptr) {
    return fail(ErrorCode::io, "cannot make a folder below " + folder.string() + " (see $TMPDIR)");
  }
  return Scratch(std::move(path));
}

Scratch::~Scratch() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::unique_ptr<Worker>> Worker::start(net::LibuvScheduler& scheduler, const Scratch& scratch,
                                              const Json& role) {
  // Not that link itself: what starts the child would take it for its own.
  std::error_code code;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code) return fail(ErrorCode::io, "cannot find this program to start it again: " + code.message());
  return start_program(scheduler, scratch, {self.string(), "bench-worker", role.dump(), "--json"});
}

Result<std::unique_ptr<Worker>> Worker::start_program(net::LibuvScheduler& scheduler, const Scratch& scratch,
                                                      std::vector<std::string> command) {
  std::unique_ptr<Worker> worker(new Worker(scheduler));
  worker->name_ = fmt::format("{}", fmt::join(command, " "));
  TRY(worker->child_, tools::ChildProcess::start(
                          scheduler, std::move(command), scratch.file("log"),
                          [self = worker.get()](const std::string& line) {
                            Json event = Json::parse(line, nullptr, false);
                            if (event.is_object() && event.contains("event")) {
                              self->events_.push_back(std::move(event));
                            }
                          },
                          nullptr));
  return worker;
}

Result<Json> Worker::wait_for(const std::string& event, net::Duration limit) {
  bool late = false;
  const net::Timer timer = scheduler_.after(limit, [&late] { late = true; });
  scheduler_.run_until([&] {
    while (!events_.empty() && events_.front().value("event", "") != event) events_.pop_front();
    return late || !events_.empty() || child_->finished();
  });
  if (events_.empty()) {
    return fail(late ? ErrorCode::timeout : ErrorCode::io,
                fmt::format("{}: no \"{}\" ({}) {}", name_, event,
                            late ? "it takes too long" : describe(child_->exit()),
                            tools::last_lines(child_->log(), log_lines_shown)));
  }
  Json found = std::move(events_.front());
  events_.pop_front();
  return found;
}

Result<void> run_worker(const std::string& role, tools::Output& output) {
  // Whoever started this may be killed, and then nobody needs it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const Json parsed = Json::parse(role, nullptr, false);
  const std::string name = parsed.is_object() ? parsed.value("role", "") : "";
  if (name == "net-server") return net_server_role(output);
  if (name == "raw-server") return raw_server_role(output);
  if (name == "floor-member") return floor_member_role(parsed, output);
  if (name == "round-member") return round_member_role(parsed, output);
  return fail(ErrorCode::invalid_argument, "bench-worker is started by testudo bench only");
}

}  // namespace testudo::bench
