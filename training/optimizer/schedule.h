// Schedule: the learning rate as a piecewise linear table, because exp, pow and cos differ between machines.
// Between two points r = r0 + (r1 − r0) · (s − s0) / (s1 − s0), in double, in this order; before the first
// point its rate, after the last one the last. A cosine is a table of some dozens of points. Immutable; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.h"

namespace testudo::training {

class Schedule {
 public:
  struct Point {
    std::uint64_t step = 0;
    double rate = 0;
    bool operator==(const Point&) const = default;
  };
  static constexpr std::size_t point_limit = 1024;                     // it is part of a manifest
  static constexpr std::uint64_t step_limit = std::uint64_t{1} << 53;  // exact in double

  static Schedule constant(double rate);
  // "0:0, 100:0.1, 1000:0.01" (spaces allowed), or a single number for a constant. Steps ascend strictly,
  // rates are finite and ≥ 0.
  static Result<Schedule> parse(std::string_view text);
  static Result<Schedule> from_points(std::vector<Point> points);

  double rate(std::uint64_t step) const;
  const std::vector<Point>& points() const { return points_; }
  // parse(to_string()) gives the same table, bit for bit.
  std::string to_string() const;

 private:
  explicit Schedule(std::vector<Point> points) : points_(std::move(points)) {}
  std::vector<Point> points_;  // never empty
};

}  // namespace testudo::training
