// A strict reader of Prometheus' text format, for tests: every rule that a scraper may insist on.
#pragma once

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace testudo::net::testing {

struct PrometheusText {
  std::map<std::string, double> values;      // by name and labels, as they are written
  std::map<std::string, std::string> types;  // of families
  std::string problem;                       // the first one; empty when it is well-formed
};

inline PrometheusText parse_prometheus(const std::string& text) {
  static const std::regex comment(R"(# (HELP|TYPE) ([a-z][a-z0-9_]*) (.+))");
  static const std::regex sample(
      R"re(([a-z][a-z0-9_]*)(\{[a-z][a-z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z][a-z0-9_]*="(?:[^"\\\n]|\\["\\n])*")*\})? ([-+0-9.eE]+|NaN|[-+]Inf))re");
  PrometheusText result;
  std::string family, help_of;
  std::set<std::string> closed;
  std::size_t samples = 1;
  const auto wrong = [&](const std::string& why, const std::string& line) {
    if (result.problem.empty()) result.problem = why + ": " + line;
  };
  if (text.empty() || text.back() != '\n') wrong("no line feed at the end", text.substr(0, 80));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, comment)) {
      const std::string name = match[2];
      if (match[1] == "HELP") {
        if (samples == 0) wrong("a family without values", family);
        if (!closed.insert(name).second) wrong("a family twice", line);
        help_of = name;
        continue;
      }
      if (help_of != name) wrong("a type without its help", line);
      const std::string type = match[3];
      if (type != "counter" && type != "gauge" && type != "histogram") wrong("unknown type", line);
      if (name.ends_with("_total") != (type == "counter")) wrong("only counters end in _total", line);
      result.types[name] = type;
      family = name;
      samples = 0;
      continue;
    }
    if (!std::regex_match(line, match, sample)) {
      wrong("malformed", line);
      continue;
    }
    const std::string name = match[1];
    const bool histogram = !family.empty() && result.types[family] == "histogram";
    const bool belongs =
        histogram ? name == family + "_bucket" || name == family + "_sum" || name == family + "_count"
                  : name == family;
    if (family.empty() || !belongs) wrong("a value outside its family", line);
    ++samples;
    double value = 0;
    try {
      value = std::stod(match[3]);
    } catch (const std::exception&) {
      wrong("no number", line);
    }
    if (!result.values.emplace(std::string(match[1]) + std::string(match[2]), value).second)
      wrong("twice", line);
  }
  if (samples == 0) wrong("a family without values", family);
  return result;
}

}  // namespace testudo::net::testing
