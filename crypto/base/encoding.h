// Text and integer encodings: hex, base58btc, RFC 4648 base32 (lower case, no padding), base36, unsigned
// varint.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo {

std::string to_hex(ByteView bytes);
Result<Bytes> from_hex(std::string_view text);
Result<Digest> digest_from_hex(std::string_view text);  // exactly 64 digits
std::string to_base58(ByteView bytes);
Result<Bytes> from_base58(std::string_view text);
std::string to_base32(ByteView bytes);
Result<Bytes> from_base32(std::string_view text);
Result<Bytes> from_base36(std::string_view text);

// Unsigned LEB128, at most ten bytes, minimal.
void append_varint(Bytes& out, std::uint64_t value);
struct Varint {
  std::uint64_t value;
  std::size_t size;  // bytes it took
};
// nullopt: more bytes are needed. An error: overlong or not minimal.
Result<std::optional<Varint>> read_varint(ByteView bytes);

}  // namespace testudo
