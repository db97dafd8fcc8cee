// Report: the rows of `testudo bench`, each a measured value beside a baseline measured in the same run. Rows
// are said as they are made: a line of an aligned table, or with --json an object. Loop thread only.
#pragma once

#include <optional>
#include <string>

#include "tools/bench/measure.h"
#include "tools/cli/output.h"

namespace testudo::bench {

enum class Better { higher, lower };

// A yardstick: what it is and what it measured, in the unit of the row.
struct Baseline {
  std::string name;
  double value = 0;
};

struct Row {
  std::string name;  // "codec/int8/encode"
  Figure value;
  std::string unit;
  Better better = Better::higher;
  Baseline baseline;
  // What value / baseline shall be at least (higher is better) or at most.
  std::optional<double> target;

  double ratio() const { return baseline.value != 0 ? value.median / baseline.value : 0; }
  bool on_target() const {
    return !target || (better == Better::higher ? ratio() >= *target : ratio() <= *target);
  }
};

class Report {
 public:
  // `output` must outlive this. Says what the machine is.
  explicit Report(tools::Output& output);

  // The heading of the rows that follow.
  void section(const std::string& title);
  void add(const Row& row);
  // What was left out and why.
  void note(const std::string& text);

 private:
  tools::Output& output_;
};

}  // namespace testudo::bench
