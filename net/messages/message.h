// Messages of our own protocols: msgpack, bounded, one encoding per value. A message is a struct with
// MSGPACK_DEFINE(members…), a msgpack array in the order of its members. Include this header, never
// <msgpack.hpp>. Any thread.
#pragma once

// Boost is an option of msgpack-c that we do not take.
#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif
#include <algorithm>
#include <array>
#include <exception>
#include <msgpack.hpp>
#include <optional>
#include <string>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/base/strong.h"
#include "crypto/peer_id.h"

namespace testudo::net {

struct MessageLimits {
  std::size_t size = 1024 * 1024;  // of the whole message
  std::size_t elements = 65'536;   // of one array or map
  std::size_t depth = 16;
};

namespace detail {
// A msgpack stream buffer that writes into Bytes.
struct BytesWriter {
  Bytes bytes;
  void write(const char* data, std::size_t size) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  }
};
}  // namespace detail

template <typename T>
Bytes pack(const T& value) {
  detail::BytesWriter out;
  msgpack::pack(out, value);
  return std::move(out.bytes);
}

// The value, if `bytes` is exactly what pack() makes of it. Anything else is a protocol error: missing or
// extra members, other integer widths, duplicate keys, short digests, trailing bytes. So what was signed is
// what was parsed, and two peers that hold equal values hold equal bytes.
template <typename T>
Result<T> unpack(ByteView bytes, MessageLimits limits = {}) {
  if (bytes.size() > limits.size) {
    return fail(ErrorCode::limit, "message of " + std::to_string(bytes.size()) + " bytes, " +
                                      std::to_string(limits.size) + " are allowed");
  }
  // Every element takes a byte at least: a header cannot claim (and have us allocate) more than there is.
  const std::size_t elements = std::min(limits.elements, bytes.size());
  const msgpack::unpack_limit bounds(elements, elements, bytes.size(), bytes.size(), 0, limits.depth);
  try {
    std::size_t offset = 0;
    const msgpack::object_handle handle = msgpack::unpack(reinterpret_cast<const char*>(bytes.data()),
                                                          bytes.size(), offset, nullptr, nullptr, bounds);
    if (offset != bytes.size()) return fail(ErrorCode::protocol, "bytes after the end of a message");
    T value{};
    handle.get().convert(value);
    if (!equal(pack(value), bytes)) return fail(ErrorCode::protocol, "message is not in its one encoding");
    return value;
  } catch (const std::exception& error) {  // every error of msgpack-c is one
    return fail(ErrorCode::protocol, std::string("malformed message: ") + error.what());
  }
}

// The version that a message of ours begins with, whatever follows, so that one of another version can be
// told from garbage. Nothing where no number below 128 stands there.
inline std::optional<std::uint8_t> version_of(ByteView bytes) {
  constexpr std::uint8_t short_array = 0x90;  // of up to 15 elements, whose number is in the low bits
  constexpr std::uint8_t long_array = 0xdc;   // the number in two bytes
  if (bytes.empty()) return std::nullopt;
  const std::size_t at = bytes[0] == long_array ? 3 : (bytes[0] & 0xf0U) == short_array ? 1 : bytes.size();
  if (at >= bytes.size() || bytes[at] > 127) return std::nullopt;
  return bytes[at];
}

}  // namespace testudo::net

namespace msgpack {
MSGPACK_API_VERSION_NAMESPACE(MSGPACK_DEFAULT_API_NS) {
  namespace adaptor {

  // Fixed bytes are a bin of just that size. msgpack-c's own adaptor, which this one is chosen over, also
  // takes strings, and reads N bytes of shorter ones.
  template <std::size_t N>
    requires(N > 0)
  struct convert<std::array<unsigned char, N>> {
    const msgpack::object& operator()(const msgpack::object& object,
                                      std::array<unsigned char, N>& bytes) const {
      if (object.type != msgpack::type::BIN || object.via.bin.size != N) throw msgpack::type_error();
      std::copy_n(reinterpret_cast<const unsigned char*>(object.via.bin.ptr), N, bytes.begin());
      return object;
    }
  };

  // A peer id is its 38-byte multihash.
  template <>
  struct convert<testudo::crypto::PeerId> {
    const msgpack::object& operator()(const msgpack::object& object, testudo::crypto::PeerId& id) const {
      if (object.type != msgpack::type::BIN) throw msgpack::type_error();
      auto parsed = testudo::crypto::PeerId::from_multihash(
          {reinterpret_cast<const std::uint8_t*>(object.via.bin.ptr), object.via.bin.size});
      if (!parsed) throw msgpack::type_error();
      id = *parsed;
      return object;
    }
  };
  template <>
  struct pack<testudo::crypto::PeerId> {
    template <typename Stream>
    msgpack::packer<Stream>& operator()(msgpack::packer<Stream>& out,
                                        const testudo::crypto::PeerId& id) const {
      const testudo::Bytes bytes = id.to_multihash();
      out.pack_bin(static_cast<std::uint32_t>(bytes.size()));
      out.pack_bin_body(reinterpret_cast<const char*>(bytes.data()),
                        static_cast<std::uint32_t>(bytes.size()));
      return out;
    }
  };

  template <typename Tag, typename T>
  struct convert<testudo::Strong<Tag, T>> {
    const msgpack::object& operator()(const msgpack::object& object, testudo::Strong<Tag, T>& strong) const {
      strong = testudo::Strong<Tag, T>(object.as<T>());
      return object;
    }
  };
  template <typename Tag, typename T>
  struct pack<testudo::Strong<Tag, T>> {
    template <typename Stream>
    msgpack::packer<Stream>& operator()(msgpack::packer<Stream>& out,
                                        const testudo::Strong<Tag, T>& strong) const {
      return out.pack(strong.value());
    }
  };

  }  // namespace adaptor
}
}  // namespace msgpack
