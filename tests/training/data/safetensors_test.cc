#include "training/data/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "crypto/rng.h"

namespace testudo::training {
namespace {

std::vector<NamedTensorInfo> example_layout() {
  return {{.name = "weight", .shape = {2, 3}, .offset = 0},
          {.name = "scale", .shape = {}, .offset = 6},
          {.name = "bias", .shape = {3}, .offset = 7}};
}

std::vector<float> example_values() { return {0.5F, -1, 2, 3, 4, -0.0F, 1e-40F, 7, 8, 9}; }

Bytes file_of(std::string_view header, std::size_t data_size) {
  Bytes out(8);
  const std::uint64_t length = header.size();
  std::memcpy(out.data(), &length, 8);
  append(out, as_bytes(header));
  out.resize(out.size() + data_size);
  return out;
}

std::string refusal(ByteView file) {
  const auto decoded = decode_safetensors(file);
  REQUIRE_FALSE(decoded.has_value());
  CHECK(decoded.error().code == ErrorCode::corrupt);
  return decoded.error().message;
}

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a model written as safetensors is read back bit for bit") {
  const std::string path =
      (std::filesystem::temp_directory_path() / "testudo-safetensors-test.safetensors").string();
  REQUIRE(write_safetensors(path, example_layout(), example_values(), {{"round", "400"}}).has_value());
  const auto read = read_safetensors(path);
  const auto bounded = read_safetensors(path, 16);
  std::filesystem::remove(path);
  REQUIRE(read.has_value());
  REQUIRE(read->layout.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(read->layout[i].name == example_layout()[i].name);
    CHECK(read->layout[i].shape == example_layout()[i].shape);
    CHECK(read->layout[i].offset == example_layout()[i].offset);
  }
  CHECK(std::memcmp(read->values.data(), example_values().data(), 10 * sizeof(float)) == 0);
  CHECK(read->metadata == std::map<std::string, std::string>{{"round", "400"}});
  REQUIRE_FALSE(bounded.has_value());
  CHECK(bounded.error().code == ErrorCode::limit);
  const auto missing = read_safetensors(path);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == ErrorCode::not_found);
}

TEST_CASE("the file is what other tools expect: length, JSON header, aligned values") {
  const Bytes file = encode_safetensors(example_layout(), example_values());
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(file.size() == 8 + length + 10 * sizeof(float));
  const std::string_view header = as_text(ByteView(file).subspan(8, length));
  CHECK(header.starts_with(
      R"({"weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"scale":{"dtype":"F32","shape":[],)"));
}

TEST_CASE("a safetensors file cut anywhere is refused") {
  const Bytes file = encode_safetensors(example_layout(), example_values());
  for (std::size_t size = 0; size < file.size(); ++size) refusal(ByteView(file).first(size));
  Bytes longer = file;
  longer.push_back(0);
  CHECK(mentions(refusal(longer), "fill"));
}

TEST_CASE("tensors that overlap, leave gaps, lie outside or have impossible shapes are refused") {
  CHECK(mentions(
      refusal(file_of(
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
          12)),
      "overlap"));
  CHECK(mentions(refusal(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8)), "gaps"));
  CHECK(
      mentions(refusal(file_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 8)), "outside"));
  CHECK(
      mentions(refusal(file_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[8,4]}})", 8)), "outside"));
  CHECK(mentions(refusal(file_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8)), "shape"));
  CHECK(mentions(refusal(file_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8)), "shape"));
  CHECK(mentions(
      refusal(file_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8)),
      "shape"));
  CHECK(mentions(
      refusal(file_of(R"({"a":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}})", 0)),
      "shape"));
  CHECK(mentions(refusal(file_of(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8)), "F32"));
  CHECK(mentions(refusal(file_of(R"({"a":{"dtype":"F32","shape":[1]}})", 4)), "offsets"));
  CHECK(mentions(refusal(file_of(R"({"a":7})", 4)), "F32"));
  CHECK(mentions(refusal(file_of(R"({"__metadata__":{"x":1}})", 0)), "metadata"));
  CHECK(mentions(refusal(file_of(R"([1])", 0)), "JSON"));
  CHECK(mentions(refusal(file_of(R"({"a":)", 0)), "JSON"));
}

TEST_CASE("a header length beyond the file, or beyond what is allowed, is refused before it is read") {
  Bytes file(8, 0xff);
  CHECK(mentions(refusal(file), "too long"));
  file = Bytes{9, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
  CHECK(mentions(refusal(file), "truncated"));
}

TEST_CASE("deep JSON and flipped bytes do no harm") {
  refusal(file_of(std::string(1 << 20, '['), 0));
  const Bytes file = encode_safetensors(example_layout(), example_values(), {{"round", "400"}});
  crypto::SeededRng rng(3);
  for (int attempt = 0; attempt < 20000; ++attempt) {
    Bytes changed = file;
    for (int i = 0; i < 3; ++i) {
      changed[static_cast<std::size_t>(rng.below(file.size()))] = static_cast<std::uint8_t>(rng.below(256));
    }
    const auto decoded = decode_safetensors(changed);
    if (decoded) CHECK(decoded->values.size() == 10);
  }
}

TEST_CASE("an empty model is a file too") {
  const auto decoded = decode_safetensors(encode_safetensors({}, {}));
  REQUIRE(decoded.has_value());
  CHECK(decoded->values.empty());
}

}  // namespace testudo::training
