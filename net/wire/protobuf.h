// The little of protobuf that libp2p's messages need: fields are visited one by one, never nested, and
// every length is checked. Values; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo::net {

struct ProtobufField {
  std::uint32_t tag = 0;
  bool is_bytes = false;
  ByteView bytes;            // when is_bytes; a view into what was read
  std::uint64_t number = 0;  // when not
};

// Calls `visit` for every field of a varint or bytes type, in order; others are skipped. More than
// `max_fields` is an error: a message of a million empty fields is an attack. `what` names the message.
Result<void> read_protobuf(ByteView encoded, std::string_view what, std::size_t max_fields,
                           const std::function<Result<void>(const ProtobufField&)>& visit);

void append_protobuf(Bytes& out, std::uint32_t tag, ByteView value);
void append_protobuf(Bytes& out, std::uint32_t tag, std::string_view value);
void append_protobuf(Bytes& out, std::uint32_t tag, std::uint64_t value);

}  // namespace testudo::net
