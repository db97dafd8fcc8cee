// Multiaddrs in text and binary form, and the addresses that users type.
#include "net/address/multiaddr.h"

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

using net::Multiaddr;

void check_address(const Multiaddr& address) {
  const Bytes bytes = address.to_bytes();
  TESTUDO_CHECK(bytes.size() <= Multiaddr::max_bytes);
  if (address.empty()) return;
  const auto from_bytes = Multiaddr::from_bytes(bytes);
  TESTUDO_CHECK(from_bytes && *from_bytes == address);
  const auto from_text = Multiaddr::from_text(address.to_text());
  TESTUDO_CHECK(from_text && *from_text == address);
  (void)address.is_loopback();
  (void)address.is_unspecified();
  if (const auto endpoint = address.tcp_endpoint()) {
    TESTUDO_CHECK(Multiaddr::tcp(endpoint->ip, endpoint->port) == address.without_peer_id());
  }
  if (const auto id = address.peer_id())
    TESTUDO_CHECK(address.without_peer_id().with_peer_id(*id) == address);
}

void run(ByteView input) {
  if (const auto address = Multiaddr::from_text(as_text(input))) check_address(*address);
  if (const auto address = Multiaddr::from_bytes(input)) {
    check_address(*address);
    TESTUDO_CHECK(equal(address->to_bytes(), input));
  }
  if (const auto peer = net::parse_peer_address(as_text(input))) {
    TESTUDO_CHECK(peer->addresses.size() == 1);
    check_address(peer->addresses[0].with_peer_id(peer->id));
  }
}

std::vector<Bytes> seeds() {
  const std::string id = key(1).peer_id().to_text();
  std::vector<Bytes> out;
  for (const std::string& text :
       {std::string("/ip4/127.0.0.1/tcp/4001"), "/ip6/2001:db8::1/udp/4001/quic-v1/p2p/" + id,
        std::string("/dns4/example.org/tcp/443"), std::string("/dnsaddr/example.org"),
        "/dns6/a/tcp/0/p2p/" + id, "/ip4/0.0.0.0/tcp/65535/p2p/" + id + "/p2p-circuit/p2p/" + id,
        std::string("/ip6/::/tcp/1")}) {
    out.push_back(to_bytes(text));
    if (const auto address = Multiaddr::from_text(text)) out.push_back(address->to_bytes());
  }
  return out;
}

const Registered target({"multiaddr", run, seeds});

}  // namespace
}  // namespace testudo::fuzz
