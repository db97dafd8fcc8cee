// Multiaddr: a self-describing network address, in libp2p's text and binary forms.
// `/ip4/127.0.0.1/tcp/4001/p2p/12D3Koo…`. A value; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"
#include "crypto/peer_id.h"

namespace testudo::net {

class Multiaddr {
 public:
  // Codes of the multicodec table that we understand (LIBP2P: addressing).
  enum class Protocol : std::uint32_t {
    ip4 = 4,
    tcp = 6,
    ip6 = 41,
    dns = 53,
    dns4 = 54,
    dns6 = 55,
    dnsaddr = 56,
    udp = 273,
    p2p_circuit = 290,
    p2p = 421,
    quic_v1 = 461,
  };
  struct Component {
    Protocol protocol;
    Bytes value;  // as in the binary form, without its length prefix
    auto operator<=>(const Component&) const = default;
  };

  static constexpr std::size_t max_bytes = 512;  // refuses longer ones: nothing legitimate comes near

  Multiaddr() = default;
  static Result<Multiaddr> from_text(std::string_view text);
  static Result<Multiaddr> from_bytes(ByteView bytes);
  // From an IPv4 or IPv6 literal.
  static Result<Multiaddr> tcp(std::string_view ip, std::uint16_t port);

  std::string to_text() const;
  Bytes to_bytes() const;
  const std::vector<Component>& components() const { return components_; }
  bool empty() const { return components_.empty(); }

  // The id after the last /p2p, if the address ends in one.
  std::optional<crypto::PeerId> peer_id() const;
  Multiaddr without_peer_id() const;
  Multiaddr with_peer_id(const crypto::PeerId& id) const;
  // Nothing unless the address is a plain `/ip{4,6}/…/tcp/…` (a trailing /p2p is allowed).
  struct TcpEndpoint {
    std::string ip;
    std::uint16_t port;
  };
  std::optional<TcpEndpoint> tcp_endpoint() const;
  bool is_loopback() const;
  bool is_unspecified() const;  // 0.0.0.0 or ::

  auto operator<=>(const Multiaddr&) const = default;

 private:
  std::vector<Component> components_;
};

// A peer and where it can be reached.
struct PeerAddress {
  crypto::PeerId id;
  std::vector<Multiaddr> addresses;  // without the trailing /p2p
};

// From `<address>/p2p/<id>`, as users type it.
Result<PeerAddress> parse_peer_address(std::string_view text);

}  // namespace testudo::net
