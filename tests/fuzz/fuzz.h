// A fuzz target: a parser or a sans-IO machine, fed with anything. Each stands in a file of its own, named
// like the target, and registers itself. With -DTESTUDO_FUZZ=ON every file becomes a libFuzzer program of its
// own (libfuzzer_main.cc); in every other build all of them are linked into one test that runs over the
// seeds, the kept inputs of corpus/ and mutations of both (regression_main.cc). docs/testing.md says how to
// use them.
//
// A target checks more than "no crash" wherever there is more to check, with TESTUDO_CHECK: a property that
// does not hold aborts, and whoever drives the target keeps the input. One thread.
#pragma once

#include <functional>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/check.h"
#include "crypto/peer_id.h"

namespace testudo::fuzz {

struct Target {
  const char* name;
  // One input. Pure: the same bytes do the same thing every time.
  void (*run)(ByteView input);
  // Real encodings to start from, small; made anew by the current code, so that they never go stale.
  std::vector<Bytes> (*seeds)();
  // How many times dearer an input is than one of a plain parser: the regression runs so many fewer.
  unsigned cost = 1;
};

// The targets that this program was linked with.
inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}
struct Registered {
  explicit Registered(const Target& target) { targets().push_back(target); }
};

// Reads an input as a sequence of choices. At the end of the input every choice is 0 and every string empty.
class Script {
 public:
  explicit Script(ByteView input) : rest_(input) {}
  bool done() const { return rest_.empty(); }
  std::uint64_t number(std::size_t width) {
    const ByteView taken = bytes(width);
    return read_be(taken);
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  bool flag() { return byte() % 2 != 0; }
  // In [0, bound), bound ≤ 2^16.
  std::size_t below(std::size_t bound) {
    return static_cast<std::size_t>(number(bound > 256 ? 2 : 1)) % bound;
  }
  // Fewer at the end of the input.
  ByteView bytes(std::size_t size) {
    const ByteView taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  ByteView rest() { return std::exchange(rest_, {}); }

 private:
  ByteView rest_;
};

// What decodes is the one encoding of its value.
template <typename T>
void check_one_encoding(ByteView input) {
  const auto value = T::decode(input);
  if (value) TESTUDO_CHECK(equal(value->encode(), input));
}

// Identities for seeds: always the same.
inline crypto::KeyPair key(std::uint8_t number) { return crypto::KeyPair::from_seed(Digest{number}); }

}  // namespace testudo::fuzz
