#include "training/arithmetic/float_environment.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#elif !defined(__aarch64__)
#error "say here how this processor sets rounding and subnormal handling"
#endif

namespace testudo::training {

namespace {

#if defined(__x86_64__)
// All exceptions masked, nearest-even, FTZ and DAZ off: the value that the ABI starts a process with.
constexpr std::uint32_t protocol_mxcsr = 0x1F80;

std::uint64_t read_control() { return _mm_getcsr(); }
void write_control(std::uint64_t value) { _mm_setcsr(static_cast<std::uint32_t>(value)); }
constexpr std::uint64_t protocol_control(std::uint64_t) { return protocol_mxcsr; }
#else
// FPCR: bits 22-23 rounding mode, 24 FZ, 25 DN, 19 FZ16, 8-15 trap enables.
constexpr std::uint64_t fpcr_cleared = (3ULL << 22) | (1ULL << 24) | (1ULL << 25) | (1ULL << 19) | 0xFF00ULL;

std::uint64_t read_control() {
  std::uint64_t value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void write_control(std::uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value) : "memory"); }
constexpr std::uint64_t protocol_control(std::uint64_t found) { return found & ~fpcr_cleared; }
#endif

}  // namespace

ScopedFloatEnvironment::ScopedFloatEnvironment() : saved_(read_control()) {
  write_control(protocol_control(saved_));
}

ScopedFloatEnvironment::~ScopedFloatEnvironment() { write_control(saved_); }

}  // namespace testudo::training
