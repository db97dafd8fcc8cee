#include "tools/bench/measure.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <string>

namespace testudo::bench {
namespace {

double read_clock(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// The field of a /proc file of "Name:  123 kB" lines, in bytes.
std::size_t field_bytes(const std::string& path, const std::string& field) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) return std::stoul(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

std::string status_of(pid_t process) { return "/proc/" + std::to_string(process) + "/status"; }

}  // namespace

double wall_seconds() { return read_clock(CLOCK_MONOTONIC); }
double thread_cpu_seconds() { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
double process_cpu_seconds() { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

double process_cpu_seconds(pid_t process) {
  clockid_t clock{};
  if (clock_getcpuclockid(process, &clock) != 0) return 0;
  return read_clock(clock);
}

std::size_t resident_bytes(pid_t process) { return field_bytes(status_of(process), "VmRSS"); }
std::size_t peak_resident_bytes(pid_t process) { return field_bytes(status_of(process), "VmHWM"); }
std::size_t available_bytes() { return field_bytes("/proc/meminfo", "MemAvailable"); }

double quantile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

Figure figure(std::vector<double> values) {
  if (values.empty()) return {};
  return {quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75), values.size()};
}

Figure mapped(const Figure& seconds, const std::function<double(double)>& to_unit) {
  Figure result{to_unit(seconds.median), to_unit(seconds.low), to_unit(seconds.high), seconds.count};
  if (result.low > result.high) std::swap(result.low, result.high);
  return result;
}

std::vector<Figure> time_in_turns(std::size_t repetitions,
                                  const std::vector<std::function<void()>>& subjects) {
  std::vector<std::vector<double>> seconds(subjects.size());
  for (std::size_t turn = 0; turn <= repetitions; ++turn) {
    for (std::size_t i = 0; i < subjects.size(); ++i) {
      const double start = thread_cpu_seconds();
      subjects[i]();
      if (turn > 0) seconds[i].push_back(thread_cpu_seconds() - start);
    }
  }
  std::vector<Figure> figures;
  for (auto& values : seconds) figures.push_back(figure(std::move(values)));
  return figures;
}

}  // namespace testudo::bench
