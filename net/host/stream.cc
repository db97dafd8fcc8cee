#include "net/host/stream.h"

#include <array>

#include "crypto/base/encoding.h"

namespace testudo::net {

Task<Result<void>> read_exactly(Stream& stream, MutableByteView out) {
  while (!out.empty()) {
    auto read = co_await stream.read_some(out);
    if (!read) co_return fail(std::move(read).error());
    if (*read == 0)
      co_return fail(ErrorCode::protocol, "stream ended " + std::to_string(out.size()) + " bytes early");
    out = out.subspan(*read);
  }
  co_return Result<void>{};
}

Task<Result<std::optional<Bytes>>> read_prefixed(Stream& stream, std::size_t max_size) {
  std::array<std::uint8_t, 10> prefix{};
  for (std::size_t used = 0; used < prefix.size();) {
    auto read = co_await stream.read_some(MutableByteView(prefix).subspan(used, 1));
    if (!read) co_return fail(std::move(read).error());
    if (*read == 0) {
      if (used == 0) co_return std::optional<Bytes>{};
      co_return fail(ErrorCode::protocol, "stream ended within a length prefix");
    }
    ++used;
    auto length = read_varint(ByteView(prefix).first(used));
    if (!length) co_return fail(std::move(length).error());
    if (!length->has_value()) continue;
    if ((*length)->value > max_size) {
      co_return fail(ErrorCode::limit, "message of " + std::to_string((*length)->value) + " bytes, " +
                                           std::to_string(max_size) + " are allowed");
    }
    Bytes message(static_cast<std::size_t>((*length)->value));
    auto filled = co_await read_exactly(stream, message);
    if (!filled) co_return fail(std::move(filled).error());
    co_return std::optional<Bytes>(std::move(message));
  }
  co_return fail(ErrorCode::protocol, "length prefix too long");
}

Task<Result<void>> write_prefixed(Stream& stream, ByteView message) {
  Bytes framed;
  framed.reserve(message.size() + 5);
  append_varint(framed, message.size());
  append(framed, message);
  auto written = co_await stream.write(framed);
  co_return written;
}

}  // namespace testudo::net
