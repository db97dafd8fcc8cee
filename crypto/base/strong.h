// Strong<Tag, T>: an integer that is not just any integer, so that a round is never passed as a part.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace testudo {

template <typename Tag, typename T = std::uint64_t>
class Strong {
 public:
  using value_type = T;
  constexpr Strong() = default;
  constexpr explicit Strong(T value) : value_(value) {}
  constexpr T value() const { return value_; }
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong next() const { return Strong(static_cast<T>(value_ + 1)); }

 private:
  T value_{};
};

}  // namespace testudo

template <typename Tag, typename T>
struct std::hash<testudo::Strong<Tag, T>> {
  std::size_t operator()(const testudo::Strong<Tag, T>& s) const noexcept {
    return std::hash<T>{}(s.value());
  }
};
