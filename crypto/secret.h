// Secrets that are wiped from memory when they go. Values; any thread.
#pragma once

#include <cstddef>

#include "crypto/base/bytes.h"

namespace testudo::crypto {

// Overwrites with zeros in a way that the compiler does not drop.
void wipe(MutableByteView secret);

template <std::size_t N>
struct Secret {
  Secret() = default;
  explicit Secret(const ByteArray<N>& value) : bytes(value) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() { wipe(bytes); }
  ByteArray<N> bytes{};
};

}  // namespace testudo::crypto
