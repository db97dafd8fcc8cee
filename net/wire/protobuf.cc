#include "net/wire/protobuf.h"

#include <protozero/pbf_reader.hpp>

#include "crypto/base/encoding.h"

namespace testudo::net {

Result<void> read_protobuf(ByteView encoded, std::string_view what, std::size_t max_fields,
                           const std::function<Result<void>(const ProtobufField&)>& visit) {
  try {
    protozero::pbf_reader reader(reinterpret_cast<const char*>(encoded.data()), encoded.size());
    for (std::size_t count = 0; reader.next(); ++count) {
      if (count == max_fields) {
        return fail(ErrorCode::limit,
                    std::string(what) + ": more than " + std::to_string(max_fields) + " fields");
      }
      ProtobufField field{.tag = reader.tag()};
      if (reader.wire_type() == protozero::pbf_wire_type::length_delimited) {
        const auto view = reader.get_view();
        field.is_bytes = true;
        field.bytes = as_bytes(std::string_view(view.data(), view.size()));
      } else if (reader.wire_type() == protozero::pbf_wire_type::varint) {
        field.number = reader.get_uint64();
      } else {
        reader.skip();
        continue;
      }
      TRY_VOID(visit(field));
    }
  } catch (const protozero::exception& error) {
    return fail(ErrorCode::protocol, std::string(what) + ": malformed protobuf: " + error.what());
  }
  return {};
}

void append_protobuf(Bytes& out, std::uint32_t tag, ByteView value) {
  append_varint(out, std::uint64_t{tag} << 3 | 2);
  append_varint(out, value.size());
  append(out, value);
}
void append_protobuf(Bytes& out, std::uint32_t tag, std::string_view value) {
  append_protobuf(out, tag, as_bytes(value));
}
void append_protobuf(Bytes& out, std::uint32_t tag, std::uint64_t value) {
  append_varint(out, std::uint64_t{tag} << 3);
  append_varint(out, value);
}

}  // namespace testudo::net
