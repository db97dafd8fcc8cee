#include "training/data/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "crypto/base/check.h"
#include "crypto/base/file.h"

namespace testudo::training {
namespace {

static_assert(std::endian::native == std::endian::little, "the values are copied as they lie in memory");

constexpr std::size_t length_size = 8;
constexpr std::size_t max_header_size = std::size_t{16} << 20;
constexpr std::size_t max_dimensions = 16;
constexpr const char* metadata_key = "__metadata__";

tl::unexpected<Error> corrupt(const std::string& why) {
  return fail(ErrorCode::corrupt, "safetensors: " + why);
}

// One entry of the header, with where its bytes lie behind the header.
struct Entry {
  NamedTensorInfo tensor;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Result<Entry> parse_entry(const std::string& name, const nlohmann::json& json, std::uint64_t data_size) {
  if (!json.is_object() || json.value("dtype", nlohmann::json()) != "F32") {
    return corrupt("tensor '" + name + "' is not of type F32");
  }
  const auto shape = json.find("shape");
  const auto offsets = json.find("data_offsets");
  if (shape == json.end() || !shape->is_array() || shape->size() > max_dimensions || offsets == json.end() ||
      !offsets->is_array() || offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned()) {
    return corrupt("tensor '" + name + "' lacks its shape or offsets");
  }
  Entry entry;
  entry.tensor.name = name;
  entry.begin = (*offsets)[0].get<std::uint64_t>();
  entry.end = (*offsets)[1].get<std::uint64_t>();
  if (entry.begin > entry.end || entry.end > data_size)
    return corrupt("tensor '" + name + "' lies outside the file");
  std::uint64_t values = 1;
  for (const auto& dimension : *shape) {
    // No dimension exceeds the file, even beside an empty one, so the product below stays small.
    if (!dimension.is_number_unsigned() || dimension.get<std::uint64_t>() > data_size) {
      return corrupt("tensor '" + name + "' has an impossible shape");
    }
    const auto size = dimension.get<std::uint64_t>();
    if (size != 0 && values > data_size / size)
      return corrupt("tensor '" + name + "' has an impossible shape");
    values *= size;
    entry.tensor.shape.push_back(static_cast<std::int64_t>(size));
  }
  if (values * sizeof(float) != entry.end - entry.begin) {
    return corrupt("tensor '" + name + "' has other bytes than its shape asks for");
  }
  entry.tensor.offset = static_cast<std::size_t>(entry.begin / sizeof(float));
  return entry;
}

Result<std::map<std::string, std::string>> parse_metadata(const nlohmann::json& json) {
  if (!json.is_object()) return corrupt("its metadata is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return corrupt("its metadata holds something else than text");
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

}  // namespace

Bytes encode_safetensors(std::span<const NamedTensorInfo> layout, std::span<const float> values,
                         const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[metadata_key] = metadata;
  std::size_t offset = 0;
  for (const NamedTensorInfo& tensor : layout) {
    TESTUDO_CHECK(tensor.offset == offset && tensor.name != metadata_key && !header.contains(tensor.name));
    std::size_t count = 1;
    for (const std::int64_t dimension : tensor.shape) count *= static_cast<std::size_t>(dimension);
    const std::size_t end = offset + count;
    header[tensor.name] = {{"dtype", "F32"},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset * sizeof(float), end * sizeof(float)}}};
    offset = end;
  }
  TESTUDO_CHECK(offset == values.size());
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the values are aligned

  Bytes file(length_size + text.size() + values.size_bytes());
  const std::uint64_t length = text.size();
  std::memcpy(file.data(), &length, length_size);
  std::memcpy(file.data() + length_size, text.data(), text.size());
  if (!values.empty())
    std::memcpy(file.data() + length_size + text.size(), values.data(), values.size_bytes());
  return file;
}

Result<Safetensors> decode_safetensors(ByteView file) {
  if (file.size() < length_size) return corrupt("it is shorter than its length field");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), length_size);
  if (length > max_header_size || length > file.size() - length_size)
    return corrupt("its header is truncated or too long");
  const std::string_view text = as_text(file.subspan(length_size, static_cast<std::size_t>(length)));
  const ByteView data = file.subspan(length_size + static_cast<std::size_t>(length));
  const nlohmann::json header = nlohmann::json::parse(text, nullptr, false);
  if (!header.is_object()) return corrupt("its header is not a JSON object");

  Safetensors out;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name == metadata_key) {
      TRY(out.metadata, parse_metadata(json));
      continue;
    }
    TRY(Entry entry, parse_entry(name, json, data.size()));
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t end = 0;
  for (Entry& entry : entries) {
    if (entry.begin != end) return corrupt("its tensors overlap or leave gaps");
    end = entry.end;
    out.layout.push_back(std::move(entry.tensor));
  }
  if (end != data.size()) return corrupt("its tensors do not fill the file");
  out.values.resize(data.size() / sizeof(float));
  if (!data.empty()) std::memcpy(out.values.data(), data.data(), data.size());
  return out;
}

Result<void> write_safetensors(const std::string& path, std::span<const NamedTensorInfo> layout,
                               std::span<const float> values,
                               const std::map<std::string, std::string>& metadata) {
  return write_file(path, encode_safetensors(layout, values, metadata));
}

Result<Safetensors> read_safetensors(const std::string& path, std::size_t max_size) {
  TRY(const Bytes file, read_file(path, max_size));
  Result<Safetensors> decoded = decode_safetensors(file);
  if (!decoded) return fail(std::move(decoded).error().in(path));
  return decoded;
}

}  // namespace testudo::training
