#include "tools/demo_runner/progress.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tools/demo_runner/chart.h"

namespace testudo::tools {
namespace {

constexpr std::size_t bar_width = 40;
constexpr std::uint64_t plain_lines = 20;  // a run, where there is no terminal

std::string time_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string percent_text(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f} %", *share * 100) : std::string("–");
}

}  // namespace

Progress::Progress(std::FILE* out) : out_(out), terminal_(isatty(fileno(out)) == 1) {}

void Progress::say(const std::string& line) {
  erase();
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

void Progress::update(const RunRecord& run, double seconds) {
  const std::uint64_t round = run.latest_round();
  const std::vector<RoundRecord> curve = run.curve();
  const RoundRecord now = curve.empty() ? RoundRecord{} : curve.back();
  const auto left = round == 0 ? std::string("–")
                               : time_text(seconds / static_cast<double>(round) *
                                           static_cast<double>(run.rounds() - std::min(run.rounds(), round)));
  const std::string loss = now.loss ? fmt::format("{:.4g}", *now.loss) : std::string("–");
  const std::string sent = bytes_text(static_cast<double>(run.total_bytes_sent()));
  const bool attacked = run.hostile_count() > 0 && run.attack_from() > 0 && round >= run.attack_from();

  if (!terminal_) {
    if (last_plain_rule_ != run.rule()) {
      last_plain_rule_ = run.rule();
      last_plain_round_ = 0;
      last_waiting_.clear();
    }
    if (run.waiting() != last_waiting_) {
      last_waiting_ = run.waiting();
      if (!last_waiting_.empty()) fmt::print(out_, "{}: {}\n", run.rule(), last_waiting_);
    }
    const std::uint64_t step = std::max<std::uint64_t>(1, run.rounds() / plain_lines);
    if (round < last_plain_round_ + step && !(round == run.rounds() && round > last_plain_round_)) return;
    last_plain_round_ = round;
    fmt::print(out_, "{}: round {}/{}, loss {}, test accuracy {}, {} members, {} sent, {} left{}\n",
               run.rule(), round, run.rounds(), loss, percent_text(run.test_accuracy()), now.members, sent,
               left, attacked ? ", under attack" : "");
    std::fflush(out_);
    return;
  }

  const auto filled = static_cast<std::size_t>(run.rounds() == 0 ? 0 : round * bar_width / run.rounds());
  std::string bar;
  for (std::size_t i = 0; i < bar_width; ++i) bar += i < filled ? "█" : "░";
  std::vector<std::string> lines;
  lines.push_back(fmt::format("  {:<18} {} round {}/{}{}", run.rule(), bar, round, run.rounds(),
                              attacked ? "   under attack" : ""));
  lines.push_back(fmt::format("  loss {:<10} test accuracy {:<8} members {:<4} sent {:<10} time left {}",
                              loss, percent_text(run.test_accuracy()), now.members, sent, left));
  lines.push_back(run.waiting().empty() ? "" : "  " + run.waiting().substr(0, 100));
  erase();
  for (const std::string& line : lines) fmt::print(out_, "{}\n", line);
  lines_shown_ = static_cast<int>(lines.size());
  std::fflush(out_);
}

void Progress::finish() { lines_shown_ = 0; }

void Progress::erase() {
  if (lines_shown_ > 0) fmt::print(out_, "\x1b[{}A\x1b[J", lines_shown_);
  lines_shown_ = 0;
}

}  // namespace testudo::tools
