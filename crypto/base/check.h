// CHECK: an assertion on our own code, on in release builds too. Input from the network never reaches one.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace testudo::detail {
[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s (this is a bug in testudo)\n", file, line, condition);
  std::abort();
}
}  // namespace testudo::detail

#define TESTUDO_CHECK(condition) \
  ((condition) ? void(0) : ::testudo::detail::check_failed(#condition, __FILE__, __LINE__))
