// Which vector instructions a kernel runs with. A kernel is an always-inlined function over plain pointers;
// run_widest<kernel>(…) calls the copy compiled for the widest unit of this processor, so that one binary
// for every x86-64 uses AVX-512 where it is.
//
// The bits never depend on the choice: a kernel writes down its lanes itself (reproducible.h), compilers
// may not reassociate, and contraction into fused multiply-add is off. ScopedVectorUnit exists so that the
// tests can prove it by running the same input with each unit.
//
// Threads: everything here is callable from any thread.
#pragma once

#include <utility>

namespace testudo {

enum class VectorUnit { baseline, avx2, avx512 };

// The widest unit of this processor, or less inside a ScopedVectorUnit of the same thread.
VectorUnit vector_unit();

// For tests: no unit wider than `limit` on this thread while it lives. Does not nest.
class ScopedVectorUnit {
 public:
  explicit ScopedVectorUnit(VectorUnit limit);
  ~ScopedVectorUnit();
  ScopedVectorUnit(const ScopedVectorUnit&) = delete;
  ScopedVectorUnit& operator=(const ScopedVectorUnit&) = delete;
};

#define TESTUDO_KERNEL [[gnu::always_inline]] inline

// noinline everywhere: the call is what keeps the arithmetic inside its ScopedFloatEnvironment.
template <auto kernel, typename... Arguments>
[[gnu::noinline]] auto run_baseline(Arguments... arguments) {
  return kernel(arguments...);
}
#if defined(__x86_64__)
template <auto kernel, typename... Arguments>
[[gnu::noinline, gnu::target("avx2,fma")]] auto run_avx2(Arguments... arguments) {
  return kernel(arguments...);
}
template <auto kernel, typename... Arguments>
[[gnu::noinline, gnu::target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]] auto run_avx512(
    Arguments... arguments) {
  return kernel(arguments...);
}
#endif

template <auto kernel, typename... Arguments>
auto run_widest(Arguments... arguments) {
#if defined(__x86_64__)
  switch (vector_unit()) {
    case VectorUnit::avx512:
      return run_avx512<kernel>(arguments...);
    case VectorUnit::avx2:
      return run_avx2<kernel>(arguments...);
    case VectorUnit::baseline:
      break;
  }
#endif
  return run_baseline<kernel>(arguments...);
}

}  // namespace testudo
