// The IDX format of the MNIST family, gzip-compressed: a header of big-endian integers, then one byte a
// value. Pure function, bounded: the header is read and judged before memory is taken for the values.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo::training {

struct IdxArray {
  std::vector<std::uint32_t> dimensions;
  Bytes values;  // their product many
};

inline constexpr std::uint64_t max_idx_values = std::uint64_t{1} << 30;

// `rank` dimensions (1 … 4) of unsigned bytes. Errors: corrupt, for anything that is not exactly one such
// array.
Result<IdxArray> parse_idx_gz(ByteView file, std::uint32_t rank);

}  // namespace testudo::training
