#include "training/aggregation/parts.h"

#include <algorithm>

#include "crypto/base/check.h"

namespace testudo::training {

DecodedParts::DecodedParts(std::span<const std::span<const float>> parts) : parts_(parts) {
  for (const auto& part : parts_) TESTUDO_CHECK(part.size() == size());
}

const float* EncodedParts::read(std::size_t member, std::size_t begin, std::size_t count,
                                float* scratch) const {
  const auto decoded =
      decode(codec_, encoded_range(codec_, parts_[member], begin, count), {scratch, count}, g_max_);
  TESTUDO_CHECK(decoded.has_value());  // checked as a whole before
  return scratch;
}

std::size_t PartsBlock::read(std::size_t begin) {
  const std::size_t count = std::min(Parts::block, parts_.size() - begin);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows_[i] = parts_.read(i, begin, count, scratch_.data() + i * Parts::block);
  }
  return count;
}

}  // namespace testudo::training
