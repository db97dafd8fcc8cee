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

Result<void> decode_fp32(ByteView encoded, std::span<float> out, float g_max) {
  auto* const bytes = reinterpret_cast<std::uint8_t*>(out.data());
  if (run_widest<kernels::copy_greatest_magnitude>(encoded.data(), out.size(), bytes) >
      std::bit_cast<std::int32_t>(g_max)) {
    return refuse(CodecKind::fp32, "a value is not finite or exceeds g_max");
  }
  return {};
}

Result<void> decode_fp16(ByteView encoded, std::span<float> out, float g_max) {
  const std::int32_t greatest = run_widest<kernels::decode_fp16>(encoded.data(), out.size(), out.data());
  if (greatest >= 0x7C00 || kernels::from_half(static_cast<std::uint16_t>(greatest)) > g_max) {
    return refuse(CodecKind::fp16, "a value is not finite or exceeds g_max");
  }
  return {};
}

Result<void> decode_int8(ByteView encoded, std::span<float> out, float g_max) {
  switch (run_widest<kernels::decode_int8>(encoded.data(), out.size(), out.data(), g_max)) {
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

Result<Bytes> encode(CodecKind kind, std::span<const float> values) {
  Bytes out(encoded_size(kind, values.size()));
  TRY_VOID(encode_into(kind, values, out));
  return out;
}

Result<void> encode_into(CodecKind kind, std::span<const float> values, MutableByteView out) {
  TESTUDO_CHECK(out.size() == encoded_size(kind, values.size()));
  const ScopedFloatEnvironment environment;
  bool finite = false;
  switch (kind) {
    case CodecKind::fp32: {
      const auto* const bytes = reinterpret_cast<const std::uint8_t*>(values.data());
      finite = run_widest<kernels::copy_greatest_magnitude>(bytes, values.size(), out.data()) <
               kernels::infinity_bits;
      break;
    }
    case CodecKind::fp16:
      finite =
          run_widest<kernels::encode_fp16>(values.data(), values.size(), out.data()) < kernels::infinity_bits;
      break;
    case CodecKind::int8:
      finite = run_widest<kernels::encode_int8>(values.data(), values.size(), out.data());
      break;
  }
  if (!finite)
    return fail(ErrorCode::invalid_argument, std::string(name(kind)) + " encode: a value is infinite or NaN");
  return {};
}

Result<void> decode(CodecKind kind, ByteView encoded, std::span<float> out, float g_max) {
  TESTUDO_CHECK(g_max > 0 && std::isfinite(g_max));
  if (encoded.size() != encoded_size(kind, out.size())) {
    return refuse(kind, std::to_string(encoded.size()) + " bytes where " + std::to_string(out.size()) +
                            " values take " + std::to_string(encoded_size(kind, out.size())));
  }
  const ScopedFloatEnvironment environment;
  switch (kind) {
    case CodecKind::fp32:
      return decode_fp32(encoded, out, g_max);
    case CodecKind::fp16:
      return decode_fp16(encoded, out, g_max);
    case CodecKind::int8:
      return decode_int8(encoded, out, g_max);
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
