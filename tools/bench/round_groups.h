// The groups of processes that the suite round measures, each a way to average a vector: rounds of ours, the
// floor, and the libraries that others use. Loop thread only.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/measure.h"
#include "tools/bench/worker.h"

namespace testudo::bench {

// What is averaged and among how many.
struct Shape {
  std::size_t mebibytes = 0;  // of float32
  std::size_t members = 0;
  std::string codec = "int8";
  std::size_t values() const { return (mebibytes << 20) / sizeof(float); }
};

// The turns of a group, the first one, which warms up, left out.
struct Turns {
  std::vector<double> seconds;  // from the first start to the last end
  std::vector<double> cpu;      // of all processes
  std::vector<double> whole;    // ours: until the round is certified and stored everywhere
  std::vector<double> sent;     // ours: bytes of the member that sent most
  std::vector<std::pair<std::string, std::vector<double>>> phases;  // ours: mean of the members
  std::size_t peak = 0;                                             // bytes of the process that held most
  void append(const Turns& more);
};

// `turns` of them, and one before.
Result<Turns> run_floor(const Shape& shape, std::size_t turns);
Result<Turns> run_rounds(const Shape& shape, const std::string& rule, std::size_t turns);
// not_found: built without the library.
Result<Turns> run_gloo(const Shape& shape, std::size_t turns);
Result<Turns> run_open_mpi(const Shape& shape, std::size_t turns);

}  // namespace testudo::bench
