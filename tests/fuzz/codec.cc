// Codecs. Arbitrary bytes decode to finite values within g_max or are refused; arbitrary finite values come
// back within the error that codec.h promises; what was decoded is bounded by what was encoded.
#include "training/codec/codec.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

using namespace training;

constexpr CodecKind kinds[] = {CodecKind::fp32, CodecKind::fp16, CodecKind::int8};
constexpr float greatest = std::numeric_limits<float>::max();

std::size_t count_for(CodecKind kind, std::size_t bytes) {
  if (kind == CodecKind::fp32) return bytes / 4;
  if (kind == CodecKind::fp16) return bytes / 2;
  std::size_t count = bytes;
  while (count > 0 && encoded_size(kind, count) > bytes) --count;
  return count;
}

// What codec.h promises of a value in a block whose greatest magnitude is `scale`.
double error_bound(CodecKind kind, float value, float scale) {
  const double x = std::fabs(value);
  if (kind == CodecKind::fp32) return 0;
  if (kind == CodecKind::fp16) {
    return x > fp16_greatest ? x - fp16_greatest : std::max(x * 0x1p-11, 0x1p-25);
  }
  return scale < int8_smallest_scale ? 0x1p-96 : 0.5001 * static_cast<double>(scale) / 127;
}

void check_decode(CodecKind kind, ByteView bytes, float g_max) {
  std::vector<float> values(count_for(kind, bytes.size()));
  const bool accepted = decode(kind, bytes, values, g_max).has_value();
  TESTUDO_CHECK(check_encoded(kind, bytes, values.size(), g_max).has_value() == accepted);
  if (!accepted) return;
  for (const float value : values) TESTUDO_CHECK(std::isfinite(value) && std::fabs(value) <= g_max);
  TESTUDO_CHECK(std::isfinite(codec_step_norm(kind, values)));
  const auto again = encode(kind, values);
  TESTUDO_CHECK(again.has_value());
  if (kind != CodecKind::int8) TESTUDO_CHECK(equal(*again, bytes));
}

void check_encode(CodecKind kind, std::span<const float> values) {
  const bool finite = std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
  const auto encoded = encode(kind, values);
  TESTUDO_CHECK(encoded.has_value() == finite);
  if (!finite) return;
  TESTUDO_CHECK(encoded->size() == encoded_size(kind, values.size()));
  std::vector<float> decoded(values.size());
  TESTUDO_CHECK(decode(kind, *encoded, decoded, greatest).has_value());
  for (std::size_t begin = 0; begin < values.size(); begin += int8_block) {
    const std::size_t end = std::min(begin + int8_block, values.size());
    float scale = 0;
    for (std::size_t i = begin; i < end; ++i) scale = std::max(scale, std::fabs(values[i]));
    for (std::size_t i = begin; i < end; ++i) {
      TESTUDO_CHECK(std::fabs(decoded[i]) <= scale || kind == CodecKind::fp16);
      const double error = std::fabs(static_cast<double>(values[i]) - static_cast<double>(decoded[i]));
      TESTUDO_CHECK(error <= error_bound(kind, values[i], scale));
    }
  }
}

void run(ByteView input) {
  if (input.empty()) return;
  const std::uint8_t choice = input[0];
  const ByteView bytes = input.subspan(1);
  const float g_max = choice % 3 == 0 ? 1.0F : choice % 3 == 1 ? 1e6F : greatest;
  for (const CodecKind kind : kinds) check_decode(kind, bytes, g_max);

  std::vector<float> values(bytes.size() / 4);
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), 4 * values.size());
  if ((choice & 0x80) != 0) {  // more than one block
    const std::vector<float> some = values;
    while (!some.empty() && values.size() < int8_block + 16)
      values.insert(values.end(), some.begin(), some.end());
  }
  for (const CodecKind kind : kinds) check_encode(kind, values);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  std::vector<float> values;
  for (int i = -20; i < 20; ++i) values.push_back(static_cast<float>(i) * 0.37F);
  for (const float edge : {0.0F, -0.0F, 1e-45F, 0x1p-96F, 0x1p-25F, 65504.0F, 65520.0F, 1e30F, greatest}) {
    values.push_back(edge);
  }
  for (const CodecKind kind : kinds) {
    for (const std::uint8_t choice : {std::uint8_t{0}, std::uint8_t{2}, std::uint8_t{0x82}}) {
      Bytes seed{choice};
      append(seed, *encode(kind, std::span(values).first(choice == 0 ? 3 : values.size())));
      out.push_back(seed);
    }
  }
  return out;
}

const Registered target({"codec", run, seeds, 4});

}  // namespace
}  // namespace testudo::fuzz
