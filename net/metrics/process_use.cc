#include "net/metrics/process_use.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace testudo::net {

ProcessUse process_use() {
  ProcessUse use;
  std::uint64_t pages = 0, resident = 0;
  if (std::ifstream file("/proc/self/statm"); file >> pages >> resident) {
    use.resident_bytes = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  std::error_code failed;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", failed);
       !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    ++use.open_descriptors;
  }
  if (use.open_descriptors > 0) --use.open_descriptors;  // the one that lists them
  rusage times{};
  if (getrusage(RUSAGE_SELF, &times) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    use.cpu_seconds = seconds(times.ru_utime) + seconds(times.ru_stime);
  }
  return use;
}

}  // namespace testudo::net
