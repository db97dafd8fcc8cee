#include "training/codec/codec.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "support.h"
#include "training/arithmetic/reproducible.h"
#include "training/codec/kernels.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace testudo;
using namespace testudo::training;

namespace {

constexpr CodecKind all_kinds[] = {CodecKind::fp32, CodecKind::fp16, CodecKind::int8};
constexpr float huge = 1e30F;

std::vector<float> round_trip(CodecKind kind, std::span<const float> values) {
  const auto encoded = encode(kind, values);
  REQUIRE(encoded.has_value());
  CHECK(encoded->size() == encoded_size(kind, values.size()));
  std::vector<float> out(values.size());
  const auto decoded = decode(kind, *encoded, out, huge);
  REQUIRE(decoded.has_value());
  return out;
}

// Values over many magnitudes, with zeros and subnormals.
std::vector<float> mixed(std::uint64_t seed, std::size_t size) {
  crypto::SeededRng rng(seed);
  std::vector<float> out(size);
  for (float& value : out) {
    value = static_cast<float>(2 * rng.unit() - 1) * std::ldexp(1.0F, static_cast<int>(rng.below(60)) - 44);
    if (rng.below(50) == 0) value = 0;
  }
  return out;
}

float half_to_float(std::uint16_t half) { return kernels::from_half(half); }

// decode(), which has to agree with check_encoded().
Result<void> decode_and_check(CodecKind kind, ByteView encoded, std::span<float> out, float g_max) {
  auto decoded = decode(kind, encoded, out, g_max);
  const auto checked = check_encoded(kind, encoded, out.size(), g_max);
  REQUIRE(checked.has_value() == decoded.has_value());
  if (!decoded) REQUIRE(checked.error().message == decoded.error().message);
  return decoded;
}

}  // namespace

TEST_CASE("an encoding has the size that encoded_size says and decodes again") {
  for (const CodecKind kind : all_kinds) {
    for (const std::size_t size : {0UL, 1UL, 7UL, 4095UL, 4096UL, 4097UL, 10'000UL}) {
      CHECK(round_trip(kind, random_floats(size, size)).size() == size);
    }
    CHECK(*codec_from_name(name(kind)) == kind);
  }
  CHECK(encoded_size(CodecKind::int8, 4097) == 4097 + 8);
  CHECK(!codec_from_name("bf8"));
}

TEST_CASE("fp32 gives back every bit") {
  const auto values = mixed(1, 5000);
  CHECK(fingerprint(round_trip(CodecKind::fp32, values)) == fingerprint(values));
}

TEST_CASE("fp16 gives back every half") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if ((half & 0x7C00) == 0x7C00) continue;  // infinities and NaNs
    REQUIRE(kernels::to_half(half_to_float(half)) == half);
  }
  CHECK(half_to_float(0x3C00) == 1.0F);
  CHECK(half_to_float(0x0001) == 0x1p-24F);
  CHECK(half_to_float(0x7BFF) == fp16_greatest);
}

TEST_CASE("fp16 rounds to the nearest half, ties to even, between all neighbours") {
  for (std::uint16_t half = 0; half < 0x7BFF; ++half) {
    const float below = half_to_float(half);
    const float above = half_to_float(static_cast<std::uint16_t>(half + 1));
    const float middle = static_cast<float>((static_cast<double>(below) + static_cast<double>(above)) / 2);
    const std::uint16_t even = (half & 1) == 0 ? half : static_cast<std::uint16_t>(half + 1);
    REQUIRE(kernels::to_half(middle) == even);
    REQUIRE(kernels::to_half(std::nextafter(middle, 0.0F)) == half);
    REQUIRE(kernels::to_half(std::nextafter(middle, huge)) == half + 1);
    REQUIRE(kernels::to_half(-middle) == (even | 0x8000));
  }
}

TEST_CASE("fp16 saturates instead of overflowing") {
  const std::vector<float> values{65504, 65519, 65520, 1e10F, -1e30F, std::numeric_limits<float>::max()};
  const auto decoded = round_trip(CodecKind::fp16, values);
  for (const float value : decoded) CHECK(std::abs(value) == fp16_greatest);
  CHECK(decoded[4] < 0);
}

TEST_CASE("every value stays within the codec's error bound") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    const auto values = seed % 2 == 0 ? mixed(seed, 9000) : random_floats(seed, 9000, 100);
    const auto halves = round_trip(CodecKind::fp16, values);
    const auto bytes = round_trip(CodecKind::int8, values);
    for (std::size_t begin = 0; begin < values.size(); begin += int8_block) {
      const std::size_t end = std::min(begin + int8_block, values.size());
      double greatest = 0;
      for (std::size_t k = begin; k < end; ++k)
        greatest = std::max(greatest, std::abs(static_cast<double>(values[k])));
      for (std::size_t k = begin; k < end; ++k) {
        const auto x = static_cast<double>(values[k]);
        REQUIRE(std::abs(static_cast<double>(halves[k]) - x) <= std::max(0x1p-11 * std::abs(x), 0x1p-25));
        REQUIRE(std::abs(static_cast<double>(bytes[k]) - x) <= 0.5001 * greatest / 127);
        REQUIRE(std::abs(static_cast<double>(bytes[k])) <= greatest);
      }
    }
  }
}

TEST_CASE("the step norm bounds the distance between a vector and its decoded copy") {
  for (const CodecKind kind : all_kinds) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto values = seed % 2 == 0 ? mixed(seed, 9000) : random_floats(seed, 9000, 1e-3);
      const auto decoded = round_trip(kind, values);
      const double bound = codec_step_norm(kind, decoded);
      CHECK(distance(values, decoded) <= bound);
      // Of the right size where the values fill their blocks (√3 is what uniform rounding errors leave).
      if (seed % 2 == 1) CHECK(bound <= 3 * distance(values, decoded));
    }
  }
}

TEST_CASE("int8 rounds ties to even and reaches both ends") {
  const std::vector<float> values{127, -127, 0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 126.5F, 0};
  const auto encoded = encode(CodecKind::int8, values);
  REQUIRE(encoded.has_value());
  const std::vector<int> expected{127, -127, 0, 2, 2, 0, -2, 126, 0};
  for (std::size_t k = 0; k < values.size(); ++k) {
    CHECK(static_cast<std::int8_t>((*encoded)[4 + k]) == expected[k]);
  }
}

TEST_CASE("int8 survives zeros, subnormals and the greatest float") {
  for (const float scale :
       {0.0F, 0x1p-149F, 0x1p-127F, 0x1p-97F, 0x1p-96F, 1.0F, 0x1p127F, std::numeric_limits<float>::max()}) {
    CAPTURE(scale);
    const std::vector<float> values{scale, -scale, scale / 2, 0};
    const auto encoded = encode(CodecKind::int8, values);
    REQUIRE(encoded.has_value());
    std::vector<float> decoded(4);
    const auto result = decode(CodecKind::int8, *encoded, decoded, std::numeric_limits<float>::max());
    REQUIRE(result.has_value());
    if (scale < int8_smallest_scale) {
      CHECK(decoded == std::vector<float>(4));
    } else {
      CHECK(std::isfinite(decoded[0]));
      CHECK(decoded[0] <= scale);
      CHECK(decoded[0] >= scale * 0.9999F);
      CHECK(decoded[1] == -decoded[0]);
    }
  }
}

TEST_CASE("encoding refuses values that are not finite, wherever they stand") {
  for (const CodecKind kind : all_kinds) {
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
      for (const std::size_t where : {0UL, 4095UL, 4096UL, 4999UL}) {
        std::vector<float> values(5000, 1.0F);
        values[where] = bad;
        const auto encoded = encode(kind, values);
        REQUIRE(!encoded.has_value());
        CHECK(encoded.error().code == ErrorCode::invalid_argument);
      }
    }
  }
}

TEST_CASE("decoding refuses a wrong size") {
  for (const CodecKind kind : all_kinds) {
    auto encoded = *encode(kind, random_floats(1, 100));
    std::vector<float> out(100);
    encoded.push_back(0);
    CHECK(!decode_and_check(kind, encoded, out, huge));
    encoded.resize(encoded.size() - 2);
    CHECK(!decode_and_check(kind, encoded, out, huge));
    CHECK(!decode_and_check(kind, {}, out, huge));
  }
}

TEST_CASE("decoding refuses what exceeds g_max and keeps what equals it") {
  for (const CodecKind kind : all_kinds) {
    const std::vector<float> values{1, -8, 3};
    const auto encoded = *encode(kind, values);
    std::vector<float> out(3);
    CHECK(decode_and_check(kind, encoded, out, 8.0F).has_value());
    const auto refused = decode_and_check(kind, encoded, out, 7.99F);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code == ErrorCode::protocol);
  }
}

TEST_CASE("encoding refuses what exceeds g_max and takes what equals it") {
  for (const CodecKind kind : all_kinds) {
    const std::vector<float> values{1, -8, 3};
    Bytes out(encoded_size(kind, values.size()));
    CHECK(encode_into(kind, values, out, 8.0F).has_value());
    const auto refused = encode_into(kind, values, out, 7.99F);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code == ErrorCode::limit);
  }
}

TEST_CASE("decoding refuses bytes that no encoder writes") {
  std::vector<float> out(2);
  const auto with_scale = [](float scale, std::uint8_t level) {
    Bytes bytes(6);
    std::memcpy(bytes.data(), &scale, 4);
    bytes[4] = level;
    return bytes;
  };
  CHECK(decode_and_check(CodecKind::int8, with_scale(1, 127), out, huge).has_value());
  CHECK(!decode_and_check(CodecKind::int8, with_scale(1, 0x80), out, huge));
  CHECK(!decode_and_check(CodecKind::int8, with_scale(-1, 1), out, huge));
  CHECK(!decode_and_check(CodecKind::int8, with_scale(-0.0F, 0), out, huge));
  CHECK(!decode_and_check(CodecKind::int8, with_scale(0x1p-140F, 1), out, huge));
  CHECK(!decode_and_check(CodecKind::int8, with_scale(std::numeric_limits<float>::infinity(), 1), out, huge));
  CHECK(
      !decode_and_check(CodecKind::int8, with_scale(std::numeric_limits<float>::quiet_NaN(), 1), out, huge));
  const Bytes half_infinity{0, 0, 0x00, 0x7C};
  const Bytes half_nan{0x01, 0xFE, 0, 0};
  CHECK(!decode_and_check(CodecKind::fp16, half_infinity, out, huge));
  CHECK(!decode_and_check(CodecKind::fp16, half_nan, out, huge));
  const Bytes float_nan{0, 0, 0, 0, 0, 0, 0xC0, 0xFF};
  CHECK(!decode_and_check(CodecKind::fp32, float_nan, out, huge));
}

TEST_CASE("random bytes never break a decoder") {
  crypto::SeededRng rng(std::uint64_t{77});
  for (int trial = 0; trial < 2000; ++trial) {
    const CodecKind kind = all_kinds[rng.below(3)];
    std::vector<float> out(rng.below(20));
    Bytes bytes(encoded_size(kind, out.size()));
    rng.fill(bytes);
    if (!decode_and_check(kind, bytes, out, 1e6F)) continue;
    for (const float value : out) REQUIRE(std::abs(value) <= 1e6F);
  }
}

TEST_CASE("codecs have golden bytes with every vector unit and inside a hostile float environment") {
  const auto values = mixed(9, 10'000);
  for (const VectorUnit unit : all_units) {
    for (const bool hostile : {false, true}) {
      const ScopedVectorUnit limit(unit);
#if defined(__x86_64__)
      const unsigned before = _mm_getcsr();
      if (hostile) _mm_setcsr(before | 0x8040U | 0x4000U);  // FTZ, DAZ, round up
#endif
      const auto half = encode(CodecKind::fp16, values);
      const auto int8 = encode(CodecKind::int8, values);
      std::vector<float> from_half(values.size());
      std::vector<float> from_int8(values.size());
      const auto half_result = decode(CodecKind::fp16, *half, from_half, huge);
      const auto int8_result = decode(CodecKind::int8, *int8, from_int8, huge);
      const double step = codec_step_norm(CodecKind::int8, from_int8);
#if defined(__x86_64__)
      _mm_setcsr(before);
#endif
      REQUIRE(half_result.has_value());
      REQUIRE(int8_result.has_value());
      CHECK(fingerprint(*half) == "aa1f6d1fcd55d712");
      CHECK(fingerprint(*int8) == "36560f58d5731520");
      CHECK(fingerprint(from_half) == "db8f0bb92a19a477");
      CHECK(fingerprint(from_int8) == "d84240bfeb7f4f87");
      CHECK(std::bit_cast<std::uint64_t>(step) == 0x40c8c95526b89838ULL);
    }
  }
}
