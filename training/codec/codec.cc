#include "training/codec/codec.h"

#include <cmath>
#include <cstring>
#include <string>

#include "crypto/base/check.h"
#include "training/arithmetic/reproducible.h"
#include "training/codec/kernels.h"

namespace testudo::training {

namespace {

constexpr std::size_t greatest_count = std::size_t{1} << 40;

tl::unexpected<Error> refuse(CodecKind kind, std::string_view why) {
  return fail(ErrorCode::protocol, std::string(name(kind)) + " decode: " + std::string(why));
}

Result<void> judge_fp32(std::int32_t greatest, float g_max) {
  if (greatest <= std::bit_cast<std::int32_t>(g_max)) return {};
  return refuse(CodecKind::fp32, "a value is not finite or exceeds g_max");
}

Result<void> judge_fp16(std::int32_t greatest, float g_max) {
  if (greatest < 0x7C00 && kernels::from_half(static_cast<std::uint16_t>(greatest)) <= g_max) return {};
  return refuse(CodecKind::fp16, "a value is not finite or exceeds g_max");
}

Result<void> judge_int8(kernels::Int8Fault fault) {
  switch (fault) {
    case kernels::Int8Fault::none:
      return {};
    case kernels::Int8Fault::scale:
      return refuse(CodecKind::int8,
                    "a scale is negative, not finite, exceeds g_max or is below the smallest");
    case kernels::Int8Fault::level:
      return refuse(CodecKind::int8, "a level of -128");
  }
  TESTUDO_CHECK(false);
}

Result<void> check_size(CodecKind kind, ByteView encoded, std::size_t count) {
  if (encoded.size() == encoded_size(kind, count)) return {};
  return refuse(kind, std::to_string(encoded.size()) + " bytes where " + std::to_string(count) +
                          " values take " + std::to_string(encoded_size(kind, count)));
}

}  // namespace

std::string_view name(CodecKind kind) {
  switch (kind) {
    case CodecKind::fp32:
      return "fp32";
    case CodecKind::fp16:
      return "fp16";
    case CodecKind::int8:
      return "int8";
  }
  TESTUDO_CHECK(false);
}

Result<CodecKind> codec_from_name(std::string_view text) {
  for (const CodecKind kind : {CodecKind::fp32, CodecKind::fp16, CodecKind::int8}) {
    if (text == name(kind)) return kind;
  }
  return fail(ErrorCode::invalid_argument, "codec: fp32, fp16 or int8, not \"" + std::string(text) + "\"");
}

std::size_t encoded_size(CodecKind kind, std::size_t count) {
  TESTUDO_CHECK(count <= greatest_count);
  switch (kind) {
    case CodecKind::fp32:
      return 4 * count;
    case CodecKind::fp16:
      return 2 * count;
    case CodecKind::int8:
      return count + sizeof(float) * ((count + int8_block - 1) / int8_block);
  }
  TESTUDO_CHECK(false);
}

ByteView encoded_range(CodecKind kind, ByteView encoded, std::size_t begin, std::size_t count) {
  TESTUDO_CHECK(begin % codec_block == 0);
  return encoded.subspan(encoded_size(kind, begin), encoded_size(kind, count));
}

MutableByteView encoded_range(CodecKind kind, MutableByteView encoded, std::size_t begin, std::size_t count) {
  TESTUDO_CHECK(begin % codec_block == 0);
  return encoded.subspan(encoded_size(kind, begin), encoded_size(kind, count));
}

Result<Bytes> encode(CodecKind kind, std::span<const float> values) {
  Bytes out(encoded_size(kind, values.size()));
  TRY_VOID(encode_into(kind, values, out));
  return out;
}

Result<void> encode_into(CodecKind kind, std::span<const float> values, MutableByteView out, float g_max) {
  TESTUDO_CHECK(out.size() == encoded_size(kind, values.size()));
  const ScopedFloatEnvironment environment;
  std::int32_t greatest = 0;
  switch (kind) {
    case CodecKind::fp32: {
      const auto* const bytes = reinterpret_cast<const std::uint8_t*>(values.data());
      greatest = run_widest<kernels::copy_greatest_magnitude>(bytes, values.size(), out.data());
      break;
    }
    case CodecKind::fp16:
      greatest = run_widest<kernels::encode_fp16>(values.data(), values.size(), out.data());
      break;
    case CodecKind::int8:
      greatest = run_widest<kernels::encode_int8>(values.data(), values.size(), out.data());
      break;
  }
  if (greatest >= kernels::infinity_bits)
    return fail(ErrorCode::invalid_argument, std::string(name(kind)) + " encode: a value is infinite or NaN");
  if (greatest > std::bit_cast<std::int32_t>(g_max))
    return fail(ErrorCode::limit, std::string(name(kind)) + " encode: a value exceeds g_max");
  return {};
}

Result<void> decode(CodecKind kind, ByteView encoded, std::span<float> out, float g_max) {
  TESTUDO_CHECK(g_max > 0 && std::isfinite(g_max));
  TRY_VOID(check_size(kind, encoded, out.size()));
  const ScopedFloatEnvironment environment;
  switch (kind) {
    case CodecKind::fp32: {
      auto* const bytes = reinterpret_cast<std::uint8_t*>(out.data());
      return judge_fp32(run_widest<kernels::copy_greatest_magnitude>(encoded.data(), out.size(), bytes),
                        g_max);
    }
    case CodecKind::fp16:
      return judge_fp16(run_widest<kernels::decode_fp16>(encoded.data(), out.size(), out.data()), g_max);
    case CodecKind::int8:
      return judge_int8(run_widest<kernels::decode_int8>(encoded.data(), out.size(), out.data(), g_max));
  }
  TESTUDO_CHECK(false);
}

Result<void> check_encoded(CodecKind kind, ByteView encoded, std::size_t count, float g_max) {
  TESTUDO_CHECK(g_max > 0 && std::isfinite(g_max));
  TRY_VOID(check_size(kind, encoded, count));
  const ScopedFloatEnvironment environment;
  switch (kind) {
    case CodecKind::fp32:
      return judge_fp32(run_widest<kernels::greatest_encoded_magnitude>(encoded.data(), count), g_max);
    case CodecKind::fp16:
      return judge_fp16(run_widest<kernels::greatest_half>(encoded.data(), count), g_max);
    case CodecKind::int8:
      return judge_int8(run_widest<kernels::check_int8>(encoded.data(), count, g_max));
  }
  TESTUDO_CHECK(false);
}

double codec_step_norm(CodecKind kind, std::span<const float> decoded) {
  const ScopedFloatEnvironment environment;
  switch (kind) {
    case CodecKind::fp32:
      return 0;
    // Σ max(2^-11 |y|, 2^-25)² ≤ 2^-22 Σ y² + n 2^-50
    case CodecKind::fp16:
      return std::sqrt(0x1p-22 * sum_of_squares(decoded) + 0x1p-50 * static_cast<double>(decoded.size()));
    case CodecKind::int8:
      return std::sqrt(run_widest<kernels::int8_squared_step>(decoded.data(), decoded.size()));
  }
  TESTUDO_CHECK(false);
}

}  // namespace testudo::training
