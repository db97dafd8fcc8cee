// Progress: one block of lines, redrawn in place on a terminal; elsewhere a plain line now and then. One
// owner.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "tools/demo_runner/record.h"

namespace testudo::tools {

class Progress {
 public:
  explicit Progress(std::FILE* out);

  // A line that stays.
  void say(const std::string& line);
  // Where a run stands; `seconds` since it started.
  void update(const RunRecord& run, double seconds);
  // Leaves the block as it is; what follows goes below it.
  void finish();

 private:
  void erase();

  std::FILE* out_;
  bool terminal_;
  int lines_shown_ = 0;
  std::uint64_t last_plain_round_ = 0;
  std::string last_plain_rule_;
  std::string last_waiting_;
};

}  // namespace testudo::tools
