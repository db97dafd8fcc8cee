// ProcessUse: what this process takes of its machine, as Linux tells in /proc/self. Any thread.
#pragma once

#include <cstdint>

namespace testudo::net {

struct ProcessUse {
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_descriptors = 0;
  double cpu_seconds = 0;  // user and system, all threads
};
ProcessUse process_use();

}  // namespace testudo::net
