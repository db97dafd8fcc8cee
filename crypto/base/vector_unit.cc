#include "crypto/base/vector_unit.h"

#include <algorithm>

namespace testudo {

namespace {

thread_local VectorUnit limit_of_this_thread = VectorUnit::avx512;

VectorUnit detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return VectorUnit::baseline;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return wide ? VectorUnit::avx512 : VectorUnit::avx2;
#else
  return VectorUnit::baseline;
#endif
}

}  // namespace

VectorUnit vector_unit() {
  static const VectorUnit widest = detect();
  return std::min(widest, limit_of_this_thread);
}

ScopedVectorUnit::ScopedVectorUnit(VectorUnit limit) { limit_of_this_thread = limit; }
ScopedVectorUnit::~ScopedVectorUnit() { limit_of_this_thread = VectorUnit::avx512; }

}  // namespace testudo
