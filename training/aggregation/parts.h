// What a rule aggregates, read block by block: floats as they lie in memory, or encoded bytes that are
// decoded as they are read, so that a reducer never holds its contributions decoded. Borrowed views; any
// thread.
#pragma once

#include <span>
#include <vector>

#include "crypto/base/bytes.h"
#include "training/codec/codec.h"

namespace testudo::training {

class Parts {
 public:
  // Values are read in blocks that begin at multiples of this; only the last is shorter. One block of the
  // int8 codec; a block of 16 members takes 256 KiB, which stays in the second-level cache.
  static constexpr std::size_t block = codec_block;

  virtual ~Parts() = default;
  virtual std::size_t members() const = 0;
  virtual std::size_t size() const = 0;  // values of each
  // Values [begin, begin + count) of one member: where they lie, or decoded into `scratch`.
  // REQUIRES: begin is a multiple of block, count ≤ block, the range lies inside.
  virtual const float* read(std::size_t member, std::size_t begin, std::size_t count,
                            float* scratch) const = 0;
};

class DecodedParts final : public Parts {
 public:
  // REQUIRES: equal sizes.
  explicit DecodedParts(std::span<const std::span<const float>> parts);
  std::size_t members() const override { return parts_.size(); }
  std::size_t size() const override { return parts_.empty() ? 0 : parts_.front().size(); }
  const float* read(std::size_t member, std::size_t begin, std::size_t, float*) const override {
    return parts_[member].data() + begin;
  }

 private:
  std::span<const std::span<const float>> parts_;
};

class EncodedParts final : public Parts {
 public:
  // REQUIRES: check_encoded() accepted each as `size` values.
  EncodedParts(CodecKind codec, std::size_t size, float g_max, std::vector<ByteView> parts)
      : codec_(codec), size_(size), g_max_(g_max), parts_(std::move(parts)) {}
  std::size_t members() const override { return parts_.size(); }
  std::size_t size() const override { return size_; }
  const float* read(std::size_t member, std::size_t begin, std::size_t count, float* scratch) const override;

 private:
  CodecKind codec_;
  std::size_t size_;
  float g_max_;
  std::vector<ByteView> parts_;
};

// Some of the members, in the order given.
class SelectedParts final : public Parts {
 public:
  // REQUIRES: members of `parts`, which outlives this.
  SelectedParts(const Parts& parts, std::span<const std::size_t> selected)
      : parts_(parts), selected_(selected) {}
  std::size_t members() const override { return selected_.size(); }
  std::size_t size() const override { return parts_.size(); }
  const float* read(std::size_t member, std::size_t begin, std::size_t count, float* scratch) const override {
    return parts_.read(selected_[member], begin, count, scratch);
  }

 private:
  const Parts& parts_;
  std::span<const std::size_t> selected_;
};

// One block of every member; owns what had to be decoded. The rows are valid until the next read().
class PartsBlock {
 public:
  explicit PartsBlock(const Parts& parts)
      : parts_(parts), scratch_(parts.members() * Parts::block), rows_(parts.members()) {}
  // Reads the block that begins at `begin`; gives the number of its values.
  std::size_t read(std::size_t begin);
  const float* row(std::size_t member) const { return rows_[member]; }
  const float* const* rows() const { return rows_.data(); }

 private:
  const Parts& parts_;
  std::vector<float> scratch_;
  std::vector<const float*> rows_;
};

}  // namespace testudo::training
