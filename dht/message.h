// libp2p's kad-dht messages (protobuf). Values; parsing is bounded and never throws. Any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "net/address/multiaddr.h"

namespace testudo::dht {

using net::Multiaddr;
using net::PeerAddress;

enum class MessageType : std::uint32_t {
  put_value = 0,
  get_value = 1,
  add_provider = 2,
  get_providers = 3,
  find_node = 4,
  ping = 5,
};

struct Record {
  Bytes key;
  Bytes value;
  // RFC 3339 in UTC, set by who received it; js-libp2p refuses records without.
  std::string time_received;
};
std::string rfc3339(std::chrono::sys_time<std::chrono::milliseconds> time);

struct Message {
  static constexpr std::size_t max_size = 512 * 1024;
  static constexpr std::size_t max_key = 1024;
  static constexpr std::size_t max_value = 400 * 1024;
  static constexpr std::size_t max_peers = 64;  // of each list; an honest answer has 20
  static constexpr std::size_t max_addresses = 16;

  MessageType type = MessageType::ping;
  Bytes key;
  std::optional<Record> record;
  std::vector<PeerAddress> closer;
  std::vector<PeerAddress> providers;

  Bytes encode() const;
  // Peers and addresses of kinds we do not know are left out; what breaks a bound is an error.
  static Result<Message> decode(ByteView bytes);
};

}  // namespace testudo::dht
