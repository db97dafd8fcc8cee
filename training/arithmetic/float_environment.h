// ScopedFloatEnvironment: the floating-point environment of the protocol, for one thread and one scope:
// round to nearest (ties to even), subnormals kept (FTZ and DAZ off), no traps. Restores what it found.
//
// Libraries in the same process (libtorch, audio, games that embed us) switch FTZ on per thread, so every
// public function of training/ whose result goes into a hash opens one of these first. It costs two
// register writes. The arithmetic itself stays behind a call (vector_unit.h), because a compiler may move
// plain floating-point operations across the register write.
#pragma once

#include <cstdint>

namespace testudo::training {

class ScopedFloatEnvironment {
 public:
  ScopedFloatEnvironment();
  ~ScopedFloatEnvironment();
  ScopedFloatEnvironment(const ScopedFloatEnvironment&) = delete;
  ScopedFloatEnvironment& operator=(const ScopedFloatEnvironment&) = delete;

 private:
  std::uint64_t saved_;
};

}  // namespace testudo::training
