#include "tests/attack/victim.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "net/host/peer_store.h"
#include "tests/net/http_get.h"
#include "tests/net/prometheus_text.h"
#include "tools/demo_runner/child_process.h"

namespace testudo::attack {
namespace {

using namespace std::chrono_literals;
using tools::ChildProcess;

constexpr net::Duration kStart = 60s;
// A run is on its way once so many rounds were applied.
constexpr std::uint64_t kFirstRounds = 5;

Use use_of(int pid) {
  Use use;
  std::uint64_t pages = 0, resident = 0;
  const std::string folder = "/proc/" + std::to_string(pid);
  if (std::ifstream file(folder + "/statm"); file >> pages >> resident) {
    use.resident_mib = static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
  }
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/fd", failed)) {
    (void)entry;
    ++use.descriptors;
  }
  return use;
}

}  // namespace

void wait(net::LibuvScheduler& scheduler, net::Duration limit, const std::function<bool()>& condition) {
  bool late = false;
  const net::Timer timer = scheduler.after(limit, [&late] { late = true; });
  // Conditions that are no event of the loop are looked at ten times a second.
  std::function<void()> look;
  net::Timer next;
  look = [&] { next = scheduler.after(100ms, look); };
  look();
  scheduler.run_until([&] { return late || condition(); });
}

// One `testudo`, and what its lines told.
struct Victim::Program {
  void hear(const std::string& line) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object()) return;
    const std::string kind = event.value("event", "");
    if (kind == "listening") address = event.value("address", "");
    if (kind == "run") run = event.value("run", "");
    if (kind == "metrics") metrics = event.value("url", "");
    if (kind == "round" && event.value("outcome", "") == "apply") ++rounds;
  }

  std::unique_ptr<ChildProcess> process;
  std::string address, metrics, run;
  std::uint64_t rounds = 0;
};

Victim::Victim(net::LibuvScheduler& scheduler, Kind kind, const std::string& ip, const std::string& folder)
    : scheduler_(scheduler), listen_("/ip4/" + ip + "/tcp/0"), folder_(folder) {
  attacked_ = kind == Kind::bootstrap
                  ? &start("node", {"bootstrap", "--listen", listen_, "--metrics", "127.0.0.1:0"})
                  : &start_run();
  must(*attacked_, [&] {
    return !attacked_->address.empty() && !attacked_->metrics.empty() &&
           (kind == Kind::bootstrap || attacked_->rounds >= kFirstRounds);
  });
}

Victim::~Victim() = default;

Victim::Program& Victim::start(const std::string& data, std::vector<std::string> arguments) {
  const std::string program =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "testudo").string();
  arguments.insert(arguments.begin(), {program, "--json"});
  arguments.insert(arguments.end(), {"--data", folder_ + "/" + data});
  Program& started = *programs_.emplace_back(std::make_unique<Program>());
  auto process = ChildProcess::start(
      scheduler_, std::move(arguments), folder_ + "/" + data + ".log",
      [&started](const std::string& line) { started.hear(line); }, nullptr);
  if (!process) throw std::runtime_error(process.error().message);
  started.process = *std::move(process);
  return started;
}

void Victim::must(const Program& program, const std::function<bool()>& condition) {
  wait(scheduler_, kStart, [&] { return condition() || program.process->finished(); });
  if (!condition())
    throw std::runtime_error("a program did not do what it was started for: see " + program.process->log());
}

// The founder is what is attacked.
Victim::Program& Victim::start_run() {
  const Program& node = start("node", {"bootstrap", "--listen", listen_});
  must(node, [&] { return !node.address.empty(); });
  // Deadlines short enough that a member that does not answer would show in the rounds at once.
  const Program& made = start("founder", {"run", "new", "--model", "synthetic", "--parameters", "500",
                                          "--rounds", "1000000", "--delta", "0.1", "--compute-deadline", "3",
                                          "--exchange-deadline", "2", "--bootstrap", node.address});
  must(made, [&] { return !made.run.empty() && made.process->finished(); });
  const std::vector<std::string> join{"join", made.run, "--bootstrap", node.address, "--listen", listen_};
  for (const char* other : {"second", "third"}) start(other, join);
  std::vector<std::string> watched = join;
  watched.insert(watched.end(), {"--metrics", "127.0.0.1:0"});
  return start("founder", watched);
}

net::PeerAddress Victim::address() const { return *net::parse_peer_address(attacked_->address); }
Use Victim::use() const { return use_of(attacked_->process->pid()); }
bool Victim::runs() const { return !attacked_->process->finished(); }
std::uint64_t Victim::rounds() const { return attacked_->rounds; }

std::map<std::string, double> Victim::refusals() const {
  const std::string answer = net::testing::http(attacked_->metrics, "GET /metrics HTTP/1.1\r\n\r\n");
  const std::size_t body = answer.find("\r\n\r\n");
  const auto text = net::testing::parse_prometheus(body == std::string::npos ? "" : answer.substr(body + 4));
  if (!text.problem.empty()) throw std::runtime_error("metrics: " + text.problem);
  std::map<std::string, double> result;
  const std::string prefix = "testudo_limit_refusals_total{limit=\"";
  for (const auto& [name, value] : text.values) {
    if (name.starts_with(prefix)) result[name.substr(prefix.size(), name.size() - prefix.size() - 2)] = value;
  }
  return result;
}

}  // namespace testudo::attack
