// The inner loops of the codecs, over plain pointers; see codec.h for the rules they implement. Each reports
// what it refused as a value; codec.cc turns that into an Error. Owner: codec.cc.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "crypto/base/vector_unit.h"
#include "training/codec/codec.h"

namespace testudo::training::kernels {

static_assert(std::endian::native == std::endian::little, "values travel little-endian and are copied");

// Absolute values of floats order as their bits do, infinities and NaNs above every finite value.
inline constexpr std::int32_t absolute_mask = 0x7FFFFFFF;
inline constexpr std::int32_t infinity_bits = 0x7F800000;

TESTUDO_KERNEL std::int32_t greatest_magnitude(const float* values, std::size_t size) {
  std::int32_t greatest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const std::int32_t magnitude = std::bit_cast<std::int32_t>(values[i]) & absolute_mask;
    greatest = magnitude > greatest ? magnitude : greatest;
  }
  return greatest;
}

// The same in one pass with the copy.
TESTUDO_KERNEL std::int32_t copy_greatest_magnitude(const std::uint8_t* in, std::size_t size,
                                                    std::uint8_t* out) {
  std::int32_t greatest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, in + 4 * i, 4);
    const std::int32_t magnitude = bits & absolute_mask;
    greatest = magnitude > greatest ? magnitude : greatest;
    std::memcpy(out + 4 * i, &bits, 4);
  }
  return greatest;
}

// The same of values that lie unaligned in encoded bytes.
TESTUDO_KERNEL std::int32_t greatest_encoded_magnitude(const std::uint8_t* in, std::size_t size) {
  std::int32_t greatest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, in + 4 * i, 4);
    const std::int32_t magnitude = bits & absolute_mask;
    greatest = magnitude > greatest ? magnitude : greatest;
  }
  return greatest;
}

// x clamped to ±65504, then: halves below 2^-14 are subnormal; adding 0.5 to the magnitude puts their last
// bit at the float's last bit, so the addition itself rounds to nearest even. Others: re-bias the exponent
// and add the rounding constant (half of the dropped bits, less one unless the kept last bit is odd).
TESTUDO_KERNEL std::uint16_t to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits & 0x80000000U;
  const std::uint32_t greatest = std::bit_cast<std::uint32_t>(fp16_greatest);
  std::uint32_t magnitude = bits ^ sign;
  magnitude = magnitude > greatest ? greatest : magnitude;
  const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5F);
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  const std::uint32_t normal = (magnitude - (112U << 23) + 0xFFFU + odd) >> 13;
  const std::uint32_t half = magnitude < (113U << 23) ? subnormal : normal;
  return static_cast<std::uint16_t>(half | (sign >> 16));
}

// Shifting the half's exponent and mantissa into a float gives value · 2^-112, exactly, subnormals included.
TESTUDO_KERNEL float from_half(std::uint16_t half) {
  const std::uint32_t magnitude = (half & 0x7FFFU) << 13;
  const float value = std::bit_cast<float>(magnitude) * 0x1p112F;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | ((half & 0x8000U) << 16));
}

// The greatest magnitude's bits, as from greatest_magnitude.
TESTUDO_KERNEL std::int32_t encode_fp16(const float* in, std::size_t size, std::uint8_t* out) {
  std::int32_t greatest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const std::int32_t magnitude = std::bit_cast<std::int32_t>(in[i]) & absolute_mask;
    greatest = magnitude > greatest ? magnitude : greatest;
    const std::uint16_t half = to_half(in[i]);
    std::memcpy(out + 2 * i, &half, 2);
  }
  return greatest;
}

// The greatest half without sign: 0x7C00 and above means infinity or NaN.
TESTUDO_KERNEL std::int32_t greatest_half(const std::uint8_t* in, std::size_t size) {
  std::int32_t greatest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    std::uint16_t half;
    std::memcpy(&half, in + 2 * i, 2);
    const std::int32_t magnitude = half & 0x7FFF;
    greatest = magnitude > greatest ? magnitude : greatest;
  }
  return greatest;
}

TESTUDO_KERNEL std::int32_t decode_fp16(const std::uint8_t* in, std::size_t size, float* out) {
  std::int32_t greatest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    std::uint16_t half;
    std::memcpy(&half, in + 2 * i, 2);
    const std::int32_t magnitude = half & 0x7FFF;
    greatest = magnitude > greatest ? magnitude : greatest;
    out[i] = from_half(half);
  }
  return greatest;
}

// Adding 1.5 · 2^23 leaves a float whose last bit is worth one: the addition rounds x to the nearest-even
// integer, which then stands in the low bits. |x · r| ≤ 127 (1 + 2^-22), so the result is within ±127.
inline constexpr float rounding_shift = 12582912.0F;

// The greatest magnitude's bits, as from greatest_magnitude. At a value that is not finite it stops.
TESTUDO_KERNEL std::int32_t encode_int8_block(const float* in, std::size_t size, std::uint8_t* out) {
  const std::int32_t magnitude = greatest_magnitude(in, size);
  if (magnitude >= infinity_bits) return magnitude;
  float scale = std::bit_cast<float>(magnitude);
  std::uint8_t* const quantised = out + sizeof(scale);
  if (scale < int8_smallest_scale) {
    scale = 0;
    std::memset(quantised, 0, size);
  } else {
    const float reciprocal = 127.0F / scale;
    for (std::size_t i = 0; i < size; ++i) {
      const float shifted = in[i] * reciprocal + rounding_shift;
      const std::int32_t level =
          std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(rounding_shift);
      quantised[i] = static_cast<std::uint8_t>(level);
    }
  }
  std::memcpy(out, &scale, sizeof(scale));
  return magnitude;
}

TESTUDO_KERNEL std::int32_t encode_int8(const float* in, std::size_t size, std::uint8_t* out) {
  std::int32_t greatest = 0;
  for (std::size_t begin = 0; begin < size && greatest < infinity_bits; begin += int8_block) {
    const std::size_t count = size - begin < int8_block ? size - begin : int8_block;
    const std::int32_t magnitude = encode_int8_block(in + begin, count, out);
    greatest = magnitude > greatest ? magnitude : greatest;
    out += sizeof(float) + count;
  }
  return greatest;
}

enum class Int8Fault { none, scale, level };

// Signs (−0 too), infinities, NaNs, and scales and levels that no encoder writes.
TESTUDO_KERNEL Int8Fault check_int8_block(const std::uint8_t* in, std::size_t count, float g_max) {
  float scale;
  std::memcpy(&scale, in, sizeof(scale));
  if (std::bit_cast<std::int32_t>(scale) < 0 || !(scale <= g_max)) return Int8Fault::scale;
  if (std::bit_cast<std::int32_t>(scale) != 0 && scale < int8_smallest_scale) return Int8Fault::scale;
  const auto* levels = reinterpret_cast<const std::int8_t*>(in + sizeof(scale));
  std::int8_t lowest = 0;
  for (std::size_t i = 0; i < count; ++i) lowest = levels[i] < lowest ? levels[i] : lowest;
  return lowest == -128 ? Int8Fault::level : Int8Fault::none;
}

TESTUDO_KERNEL Int8Fault check_int8(const std::uint8_t* in, std::size_t size, float g_max) {
  for (std::size_t begin = 0; begin < size; begin += int8_block) {
    const std::size_t count = size - begin < int8_block ? size - begin : int8_block;
    const Int8Fault fault = check_int8_block(in, count, g_max);
    if (fault != Int8Fault::none) return fault;
    in += sizeof(float) + count;
  }
  return Int8Fault::none;
}

TESTUDO_KERNEL Int8Fault decode_int8(const std::uint8_t* in, std::size_t size, float* out, float g_max) {
  for (std::size_t begin = 0; begin < size; begin += int8_block) {
    const std::size_t count = size - begin < int8_block ? size - begin : int8_block;
    const Int8Fault fault = check_int8_block(in, count, g_max);
    if (fault != Int8Fault::none) return fault;
    float scale;
    std::memcpy(&scale, in, sizeof(scale));
    const auto* levels = reinterpret_cast<const std::int8_t*>(in + sizeof(scale));
    const float step = scale / 127.0F;
    float* const values = out + begin;
    for (std::size_t i = 0; i < count; ++i) {
      float value = static_cast<float>(levels[i]) * step;
      value = value > scale ? scale : value;
      value = value < -scale ? -scale : value;
      values[i] = value;
    }
    in += sizeof(scale) + count;
  }
  return Int8Fault::none;
}

// Σ over blocks of count · (half a step)², the step being taken from the greatest decoded magnitude.
TESTUDO_KERNEL double int8_squared_step(const float* decoded, std::size_t size) {
  double sum = 0;
  for (std::size_t begin = 0; begin < size; begin += int8_block) {
    const std::size_t count = size - begin < int8_block ? size - begin : int8_block;
    const auto greatest =
        static_cast<double>(std::bit_cast<float>(greatest_magnitude(decoded + begin, count)));
    const double half_step = greatest * 0.501 / 127.0 + static_cast<double>(int8_smallest_scale);
    sum += static_cast<double>(count) * (half_step * half_step);
  }
  return sum;
}

}  // namespace testudo::training::kernels
