// How much of a long test a slow build does. Sanitizers make simulated swarms ten times slower and look for
// what a few schedules show as well as hundreds; the ordinary build does all of them. Long simulations that
// run no code which others do not run are skipped then: TEST_CASE("…" * doctest::skip(slow_build)).
#pragma once

#include <cstdint>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TESTUDO_SLOW_BUILD 1
#endif
#endif

namespace testudo {

#ifdef TESTUDO_SLOW_BUILD
inline constexpr bool slow_build = true;
#else
inline constexpr bool slow_build = false;
#endif

// Coprime to the sizes of the tests' nested loops, so that what is picked is spread over all of them.
inline constexpr std::uint64_t slow_build_stride = 13;

// Of `full` seeds those that are run.
constexpr std::uint64_t seeds(std::uint64_t full) {
  return slow_build ? (full + slow_build_stride - 1) / slow_build_stride : full;
}

// Of the combinations of nested loops those that are run: ask for each.
class Picked {
 public:
  bool next() { return !slow_build || asked_++ % slow_build_stride == 0; }

 private:
  std::uint64_t asked_ = 0;
};

}  // namespace testudo
