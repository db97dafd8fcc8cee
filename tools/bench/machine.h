// Machine: what the figures were measured on. A value.
#pragma once

#include <string>
#include <vector>

#include "tools/cli/output.h"

namespace testudo::bench {

struct Machine {
  std::string cpu;
  unsigned cores = 0;  // that this process may use
  std::size_t memory = 0;
  std::string kernel;
  std::string compiler;
  std::vector<std::string> libraries;  // "libuv 1.44.2"
  double load = 0;                     // processes that wanted a core in the last minute

  tools::Json to_json() const;
  std::string to_text() const;
};

Machine this_machine();

}  // namespace testudo::bench
