#include "net/address/multiaddr.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "crypto/base/check.h"
#include "crypto/base/encoding.h"

namespace testudo::net {
namespace {

using Protocol = Multiaddr::Protocol;
using Component = Multiaddr::Component;

enum class Kind { none, ip4, ip6, port, name, peer };

struct ProtocolInfo {
  Protocol protocol;
  std::string_view name;
  Kind kind;
};

constexpr std::array<ProtocolInfo, 11> kProtocols{{
    {Protocol::ip4, "ip4", Kind::ip4},
    {Protocol::tcp, "tcp", Kind::port},
    {Protocol::ip6, "ip6", Kind::ip6},
    {Protocol::dns, "dns", Kind::name},
    {Protocol::dns4, "dns4", Kind::name},
    {Protocol::dns6, "dns6", Kind::name},
    {Protocol::dnsaddr, "dnsaddr", Kind::name},
    {Protocol::udp, "udp", Kind::port},
    {Protocol::p2p_circuit, "p2p-circuit", Kind::none},
    {Protocol::p2p, "p2p", Kind::peer},
    {Protocol::quic_v1, "quic-v1", Kind::none},
}};

constexpr std::size_t kMaxName = 253;  // of a DNS name, RFC 1035

const ProtocolInfo& info_of(Protocol protocol) {
  for (const auto& info : kProtocols) {
    if (info.protocol == protocol) return info;
  }
  TESTUDO_CHECK(false);
}

// Bytes of a value of fixed size, or nothing when its length comes before it.
std::optional<std::size_t> fixed_size(Kind kind) {
  switch (kind) {
    case Kind::none:
      return 0;
    case Kind::ip4:
      return 4;
    case Kind::ip6:
      return 16;
    case Kind::port:
      return 2;
    case Kind::name:
    case Kind::peer:
      return std::nullopt;
  }
  return std::nullopt;
}

bool valid_name(ByteView name) {
  if (name.empty() || name.size() > kMaxName) return false;
  return std::ranges::all_of(name, [](std::uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

Result<Bytes> value_from_text(const ProtocolInfo& info, std::string_view text) {
  const auto bad = [&](std::string_view what) {
    return fail(ErrorCode::invalid_argument, "'" + std::string(text) + "' is not " + std::string(what));
  };
  switch (info.kind) {
    case Kind::none:
      return Bytes{};
    case Kind::ip4:
    case Kind::ip6: {
      const bool four = info.kind == Kind::ip4;
      Bytes value(four ? 4 : 16);
      if (inet_pton(four ? AF_INET : AF_INET6, std::string(text).c_str(), value.data()) != 1) {
        return bad(four ? "an IPv4 address" : "an IPv6 address");
      }
      return value;
    }
    case Kind::port: {
      std::uint16_t port = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
      if (error != std::errc{} || end != text.data() + text.size()) return bad("a port number");
      Bytes value;
      append_be(value, port, 2);
      return value;
    }
    case Kind::name:
      if (!valid_name(as_bytes(text))) return bad("a domain name");
      return to_bytes(text);
    case Kind::peer: {
      auto id = crypto::PeerId::from_text(text);
      if (!id) return fail(std::move(id).error());
      return id->to_multihash();
    }
  }
  return bad("understood");
}

Result<void> check_value(const ProtocolInfo& info, ByteView value) {
  if (info.kind == Kind::name && !valid_name(value)) {
    return fail(ErrorCode::protocol,
                "multiaddr: bytes that are no domain name after " + std::string(info.name));
  }
  if (info.kind == Kind::peer) {
    auto id = crypto::PeerId::from_multihash(value);
    if (!id) return fail(std::move(id).error().in("multiaddr"));
  }
  return {};
}

std::string value_to_text(const ProtocolInfo& info, ByteView value) {
  switch (info.kind) {
    case Kind::none:
      return {};
    case Kind::ip4:
    case Kind::ip6: {
      std::array<char, INET6_ADDRSTRLEN> text{};
      inet_ntop(info.kind == Kind::ip4 ? AF_INET : AF_INET6, value.data(), text.data(), text.size());
      return text.data();
    }
    case Kind::port:
      return std::to_string(read_be(value));
    case Kind::name:
      return std::string(as_text(value));
    case Kind::peer:
      return to_base58(value);
  }
  return {};
}

// An address ends in at most one peer id: what is left without it is where, not who.
bool repeats_peer(const std::vector<Multiaddr::Component>& before, Multiaddr::Protocol next) {
  return next == Multiaddr::Protocol::p2p && !before.empty() && before.back().protocol == next;
}

}  // namespace

Result<Multiaddr> Multiaddr::from_text(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    // What a user pasted may be long: the message shows its beginning.
    return fail(ErrorCode::invalid_argument, "address '" + std::string(text.substr(0, 200)) + "': " + why);
  };
  if (text.size() > 4 * max_bytes) return bad("too long");
  if (text.empty() || text.front() != '/') return bad("must begin with '/', as in /ip4/127.0.0.1/tcp/4040");
  std::string_view rest = text.substr(1);
  const auto next = [&rest] {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    return part;
  };
  Multiaddr address;
  while (!rest.empty()) {
    std::string_view name = next();
    if (name == "ipfs") name = "p2p";  // the old name
    const auto* info = std::ranges::find(kProtocols, name, &ProtocolInfo::name);
    if (info == kProtocols.end()) return bad("unknown protocol '" + std::string(name) + "'");
    std::string_view value_text;
    if (info->kind != Kind::none) {
      value_text = next();
      if (value_text.empty()) return bad("nothing after '/" + std::string(name) + "'");
    }
    auto value = value_from_text(*info, value_text);
    if (!value) return bad(value.error().message);
    if (repeats_peer(address.components_, info->protocol)) return bad("two peer ids, one behind the other");
    address.components_.push_back({info->protocol, *std::move(value)});
  }
  if (address.empty()) return bad("is empty");
  if (address.to_bytes().size() > max_bytes) return bad("too long");
  return address;
}

Result<Multiaddr> Multiaddr::from_bytes(ByteView bytes) {
  if (bytes.size() > max_bytes) {
    return fail(ErrorCode::limit, "multiaddr of " + std::to_string(bytes.size()) + " bytes");
  }
  const auto truncated = [] { return fail(ErrorCode::protocol, "multiaddr is cut off"); };
  const auto take_varint = [&bytes]() -> Result<std::uint64_t> {
    auto number = read_varint(bytes);
    if (!number) return fail(std::move(number).error().in("multiaddr"));
    if (!number->has_value()) return fail(ErrorCode::protocol, "multiaddr is cut off");
    bytes = bytes.subspan((*number)->size);
    return (*number)->value;
  };
  Multiaddr address;
  while (!bytes.empty()) {
    TRY(const std::uint64_t code, take_varint());
    const auto* info = std::ranges::find_if(
        kProtocols, [code](const auto& known) { return static_cast<std::uint64_t>(known.protocol) == code; });
    if (info == kProtocols.end()) {
      return fail(ErrorCode::protocol, "multiaddr: unknown protocol code " + std::to_string(code));
    }
    std::uint64_t size = 0;
    if (const auto fixed = fixed_size(info->kind)) {
      size = *fixed;
    } else {
      TRY(size, take_varint());
    }
    if (size > bytes.size()) return truncated();
    const ByteView value = bytes.first(static_cast<std::size_t>(size));
    TRY_VOID(check_value(*info, value));
    if (repeats_peer(address.components_, info->protocol)) {
      return fail(ErrorCode::protocol, "multiaddr: two peer ids, one behind the other");
    }
    address.components_.push_back({info->protocol, testudo::to_bytes(value)});
    bytes = bytes.subspan(value.size());
  }
  if (address.empty()) return fail(ErrorCode::protocol, "multiaddr is empty");
  return address;
}

Result<Multiaddr> Multiaddr::tcp(std::string_view ip, std::uint16_t port) {
  const bool six = ip.find(':') != std::string_view::npos;
  // An IPv6 literal may carry a zone (fe80::1%eth0), which means nothing to others.
  const std::string_view literal = ip.substr(0, ip.find('%'));
  return from_text((six ? "/ip6/" : "/ip4/") + std::string(literal) + "/tcp/" + std::to_string(port));
}

std::string Multiaddr::to_text() const {
  std::string text;
  for (const Component& component : components_) {
    const ProtocolInfo& info = info_of(component.protocol);
    text.append("/").append(info.name);
    if (info.kind != Kind::none) text.append("/").append(value_to_text(info, component.value));
  }
  return text;
}

Bytes Multiaddr::to_bytes() const {
  Bytes bytes;
  for (const Component& component : components_) {
    append_varint(bytes, static_cast<std::uint64_t>(component.protocol));
    if (!fixed_size(info_of(component.protocol).kind)) append_varint(bytes, component.value.size());
    append(bytes, component.value);
  }
  return bytes;
}

std::optional<crypto::PeerId> Multiaddr::peer_id() const {
  if (components_.empty() || components_.back().protocol != Protocol::p2p) return std::nullopt;
  auto id = crypto::PeerId::from_multihash(components_.back().value);
  TESTUDO_CHECK(id.has_value());  // was checked when the address was made
  return *id;
}

Multiaddr Multiaddr::without_peer_id() const {
  Multiaddr address = *this;
  if (!components_.empty() && components_.back().protocol == Protocol::p2p) address.components_.pop_back();
  return address;
}

Multiaddr Multiaddr::with_peer_id(const crypto::PeerId& id) const {
  Multiaddr address = without_peer_id();
  address.components_.push_back({Protocol::p2p, id.to_multihash()});
  return address;
}

std::optional<Multiaddr::TcpEndpoint> Multiaddr::tcp_endpoint() const {
  const std::size_t size = components_.size() - (peer_id() ? 1 : 0);
  if (size != 2 || components_[1].protocol != Protocol::tcp) return std::nullopt;
  const Component& ip = components_[0];
  if (ip.protocol != Protocol::ip4 && ip.protocol != Protocol::ip6) return std::nullopt;
  return TcpEndpoint{value_to_text(info_of(ip.protocol), ip.value),
                     static_cast<std::uint16_t>(read_be(components_[1].value))};
}

bool Multiaddr::is_loopback() const {
  if (components_.empty()) return false;
  const Component& ip = components_.front();
  if (ip.protocol == Protocol::ip4) return ip.value[0] == 127;
  if (ip.protocol != Protocol::ip6) return false;
  return ip.value.back() == 1 &&
         std::all_of(ip.value.begin(), ip.value.end() - 1, [](auto b) { return b == 0; });
}

bool Multiaddr::is_unspecified() const {
  if (components_.empty()) return false;
  const Component& ip = components_.front();
  if (ip.protocol != Protocol::ip4 && ip.protocol != Protocol::ip6) return false;
  return std::ranges::all_of(ip.value, [](auto b) { return b == 0; });
}

Result<PeerAddress> parse_peer_address(std::string_view text) {
  TRY(const Multiaddr address, Multiaddr::from_text(text));
  const auto id = address.peer_id();
  if (!id) {
    return fail(ErrorCode::invalid_argument,
                "address '" + std::string(text) + "' does not end in /p2p/<peer id>: whom to expect there?");
  }
  Multiaddr bare = address.without_peer_id();
  if (bare.empty()) {
    return fail(ErrorCode::invalid_argument, "address '" + std::string(text) + "' says who, but not where");
  }
  return PeerAddress{*id, {std::move(bare)}};
}

}  // namespace testudo::net
