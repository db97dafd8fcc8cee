// Codecs: how a part of a contribution travels. Every codec is a pure function with the same bytes and the
// same decoded floats on every machine; all integers and floats on the wire are little-endian. No codec
// keeps state (error feedback would hide state from validators).
//
//   fp32  4 bytes a value, as they are. Error 0.
//   fp16  2 bytes a value, IEEE binary16, round to nearest even, subnormals kept. |x| > 65504 saturates to
//         ±65504 (never infinity). Error for |x| ≤ 65504: at most max(2^-11 |x|, 2^-25).
//   int8  blocks of 4096 values (the last one shorter): the fp32 scale s = max |x| of the block, then one
//         signed byte a value. r = 127 / s, q = nearest-even integer of x · r, both in float;
//         decoded: t = s / 127, y = q · t, both in float, clamped to [−s, s] (so that nothing decoded exceeds
//         the greatest value encoded). A block with max |x| < 2^-96 has scale 0 and zero bytes, because
//         127 / s would overflow for subnormal s. −128 never occurs.
//         Error: at most 0.5001 · s / 127 a value (half a step plus the four float roundings, each below
//         127 · 2^-24 steps); below 2^-96 in a zero block.
//
// Threads: pure functions, any thread; they set the float environment themselves.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo::training {

enum class CodecKind : std::uint8_t { fp32 = 0, fp16 = 1, int8 = 2 };

std::string_view name(CodecKind kind);
Result<CodecKind> codec_from_name(std::string_view text);

// The wide block keeps the scales below 0.1 % of the bytes; one outlier spoils at most 4095 neighbours.
inline constexpr std::size_t int8_block = 4096;
inline constexpr float int8_smallest_scale = 0x1p-96F;
inline constexpr float fp16_greatest = 65504.0F;

// A range of values that begins at a multiple of this is a piece of the encoding that can be coded alone.
inline constexpr std::size_t codec_block = int8_block;

// Bytes that `count` values take. count ≤ 2^40.
std::size_t encoded_size(CodecKind kind, std::size_t count);
// The bytes of values [begin, begin + count). REQUIRES: begin is a multiple of codec_block; count is one,
// too, or reaches the end of what was encoded.
ByteView encoded_range(CodecKind kind, ByteView encoded, std::size_t begin, std::size_t count);
MutableByteView encoded_range(CodecKind kind, MutableByteView encoded, std::size_t begin, std::size_t count);

// invalid_argument: a value is infinite or NaN (our own model diverged).
Result<Bytes> encode(CodecKind kind, std::span<const float> values);
// limit: a value exceeds g_max in absolute value. REQUIRES: out.size() == encoded_size(kind, values.size()).
// On an error `out` holds no meaning.
Result<void> encode_into(CodecKind kind, std::span<const float> values, MutableByteView out,
                         float g_max = std::numeric_limits<float>::max());

// Fills `out`, whose size says how many values are expected. protocol: the size is wrong, a value or scale is
// not finite, greater than g_max in absolute value, or not canonical; `out` then holds no meaning.
// REQUIRES: g_max > 0 and finite.
Result<void> decode(CodecKind kind, ByteView encoded, std::span<float> out, float g_max);
// Whether decode() would take `encoded` for `count` values, and what it would say; reads it once, writes
// nothing.
Result<void> check_encoded(CodecKind kind, ByteView encoded, std::size_t count, float g_max);

// q: a bound of ‖v − decode(encode(v))‖₂, computed from the decoded values only, so that everybody who holds
// the reduced part computes the same q. For fp16 it holds while nothing saturated: a manifest with fp16 keeps
// g_max ≤ 65504; a saturated part fails the sketch check and is then decided by the exact rerun.
double codec_step_norm(CodecKind kind, std::span<const float> decoded);

}  // namespace testudo::training
