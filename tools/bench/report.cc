#include "tools/bench/report.h"

#include <spdlog/fmt/fmt.h>

#include "tools/bench/machine.h"

namespace testudo::bench {
namespace {

// Three digits that mean something.
std::string digits(double value) {
  const double size = std::abs(value);
  if (size != 0 && (size < 0.01 || size >= 1e6)) return fmt::format("{:.2e}", value);
  return fmt::format("{:.{}f}", value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

std::string table_line(const Row& row) {
  const Figure& value = row.value;
  const std::string spread =
      value.count > 1 ? fmt::format("{}..{}", digits(value.low), digits(value.high)) : std::string();
  const char* sign = row.better == Better::higher ? ">=" : "<=";
  const std::string target =
      row.target ? fmt::format("{} {}{}", sign, digits(*row.target), row.on_target() ? "" : " !")
                 : std::string();
  return fmt::format("{:<52} {:>9} {:<14} {:<18} {} {:>9} x  {:<9} {} = {}", row.name, digits(value.median),
                     row.unit, spread, row.better == Better::higher ? '+' : '-', digits(row.ratio()), target,
                     row.baseline.name, digits(row.baseline.value));
}

}  // namespace

Report::Report(tools::Output& output) : output_(output) {
  const Machine machine = this_machine();
  output_.say(machine.to_json(),
              machine.to_text() +
                  "\nvalue: the median, and its quartiles; + higher is better, - lower is better; "
                  "x: value / baseline, where <= or >= is the target and ! a missed one");
}

void Report::section(const std::string& title) {
  output_.say({{"event", "section"}, {"title", title}}, "\n" + title);
}

void Report::add(const Row& row) {
  tools::Json event = {
      {"event", "benchmark"},
      {"name", row.name},
      {"value", tools::number(row.value.median)},
      {"unit", row.unit},
      {"baseline", {{"name", row.baseline.name}, {"value", tools::number(row.baseline.value)}}},
      {"ratio", tools::number(row.ratio())},
      {"better", row.better == Better::higher ? "higher" : "lower"},
      {"quartiles", {tools::number(row.value.low), tools::number(row.value.high)}},
      {"repetitions", row.value.count}};
  if (row.target) event["target"] = *row.target;
  output_.say(event, table_line(row));
}

void Report::note(const std::string& text) { output_.say({{"event", "note"}, {"text", text}}, "  " + text); }

}  // namespace testudo::bench
