#include "training/optimizer/schedule.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "crypto/base/check.h"
#include "training/arithmetic/float_environment.h"

namespace testudo::training {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// from_chars is correctly rounded and knows no locale.
template <typename Number>
bool parse_number(std::string_view text, Number& out) {
  text = trimmed(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

tl::unexpected<Error> refuse(const std::string& why) {
  return fail(ErrorCode::invalid_argument, "schedule: " + why);
}

}  // namespace

Schedule Schedule::constant(double rate) {
  TESTUDO_CHECK(std::isfinite(rate) && rate >= 0);
  return Schedule({{0, rate}});
}

Result<Schedule> Schedule::from_points(std::vector<Point> points) {
  if (points.empty()) return refuse("no points");
  if (points.size() > point_limit) return refuse("more than " + std::to_string(point_limit) + " points");
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto& [step, rate] = points[i];
    if (!std::isfinite(rate) || rate < 0)
      return refuse("the rate at step " + std::to_string(step) + " is not finite and >= 0");
    if (step >= step_limit) return refuse("a step of 2^53 or more");
    if (i > 0 && step <= points[i - 1].step)
      return refuse("step " + std::to_string(step) + " is not after the one before");
  }
  return Schedule(std::move(points));
}

Result<Schedule> Schedule::parse(std::string_view text) {
  std::vector<Point> points;
  if (text.find(':') == std::string_view::npos) {
    Point only;
    if (!parse_number(text, only.rate))
      return refuse("\"" + std::string(trimmed(text.substr(0, 40))) + "\" is not a number");
    return from_points({only});
  }
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view entry = text.substr(0, comma);
    const std::size_t colon = entry.find(':');
    Point point;
    const bool good = colon != std::string_view::npos && parse_number(entry.substr(0, colon), point.step) &&
                      parse_number(entry.substr(colon + 1), point.rate);
    if (!good) return refuse("\"" + std::string(trimmed(entry.substr(0, 40))) + "\" is not STEP:RATE");
    points.push_back(point);
    if (points.size() > point_limit) return refuse("more than " + std::to_string(point_limit) + " points");
    if (comma == std::string_view::npos) return from_points(std::move(points));
    text.remove_prefix(comma + 1);
  }
}

double Schedule::rate(std::uint64_t step) const {
  const ScopedFloatEnvironment environment;
  const auto after = std::ranges::upper_bound(points_, step, {}, &Point::step);
  if (after == points_.begin()) return points_.front().rate;
  if (after == points_.end()) return points_.back().rate;
  const Point& before = *(after - 1);
  const auto done = static_cast<double>(step - before.step);
  const auto length = static_cast<double>(after->step - before.step);
  return before.rate + (after->rate - before.rate) * done / length;
}

std::string Schedule::to_string() const {
  std::string text;
  for (const auto& [step, rate] : points_) {
    char digits[32];
    const auto end =
        std::to_chars(digits, digits + sizeof(digits), rate).ptr;  // the shortest that reads back
    if (!text.empty()) text += ", ";
    text += std::to_string(step) + ":" + std::string(digits, end);
  }
  return text;
}

}  // namespace testudo::training
