// What every suite measures with: wall time and CPU time of threads and processes, resident memory, and the
// median of repetitions with its spread. Pure but for the clocks; any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <vector>

namespace testudo::bench {

inline constexpr double mebi = 1024.0 * 1024.0;
inline constexpr double gibi = 1024.0 * mebi;

// Of the machine, the same in all its processes; its zero means nothing.
double wall_seconds();
double thread_cpu_seconds();
double process_cpu_seconds();
// Of another process of ours, its threads included; 0 when it is gone.
double process_cpu_seconds(pid_t process);

// Bytes of physical memory: now, and the most there ever was (VmHWM). 0 when the process is gone.
std::size_t resident_bytes(pid_t process);
std::size_t peak_resident_bytes(pid_t process);
// What could be used without swapping.
std::size_t available_bytes();

// The middle of several measurements of one thing, and the quartiles around it.
struct Figure {
  double median = 0;
  double low = 0;
  double high = 0;
  std::size_t count = 0;
};
Figure figure(std::vector<double> values);
// Below which `share` of the values lie, linear between neighbours. REQUIRES: values, 0 <= share <= 1.
double quantile(std::vector<double> values, double share);
// The same measurements in another unit. Monotone, so that a median stays one; it may fall.
Figure mapped(const Figure& seconds, const std::function<double(double)>& to_unit);

// Wall and CPU seconds of one run of something.
struct Cost {
  double wall = 0;
  double cpu = 0;
};

// CPU seconds a call of each of `subjects`, called one after another in turns: what disturbs the machine
// disturbs all of them. One call before that warms caches and is not counted. CPU time, because the machine
// may have other work; it contains the waiting for memory.
std::vector<Figure> time_in_turns(std::size_t repetitions,
                                  const std::vector<std::function<void()>>& subjects);

// Keeps the compiler from leaving out a computation whose result nobody reads.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace testudo::bench
