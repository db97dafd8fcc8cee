#include "net/address/multiaddr.h"

#include <doctest/doctest.h>

#include "crypto/base/encoding.h"
#include "crypto/rng.h"

using namespace testudo;
using namespace testudo::net;

namespace {
constexpr const char* kPeer = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq";
}

TEST_CASE("a multiaddr has the text and the bytes that js-libp2p gives it") {
  const std::vector<std::pair<std::string, std::string>> vectors{
      {"/ip4/127.0.0.1/tcp/4001", "047f000001060fa1"},
      {"/ip6/::1/udp/4001/quic-v1", "290000000000000000000000000000000191020fa1cd03"},
      {"/dns4/example.com/tcp/443", "360b6578616d706c652e636f6d0601bb"},
      {std::string("/ip4/192.0.2.1/udp/4001/quic-v1/p2p/") + kPeer,
       "04c000020191020fa1cd03a503260024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce"
       "27e"},
  };
  for (const auto& [text, hex] : vectors) {
    const auto from_text = Multiaddr::from_text(text);
    REQUIRE(from_text.has_value());
    CHECK(to_hex(from_text->to_bytes()) == hex);
    CHECK(from_text->to_text() == text);
    const auto from_bytes = Multiaddr::from_bytes(*from_hex(hex));
    REQUIRE(from_bytes.has_value());
    CHECK(*from_bytes == *from_text);
  }
}

TEST_CASE("a malformed multiaddr is refused with a reason") {
  for (const char* text : {"", "/", "ip4/1.2.3.4/tcp/1", "/ip4/1.2.3/tcp/1", "/ip4/1.2.3.4/tcp/70000",
                           "/ip4/1.2.3.4/tcp/", "/ip4", "/ip6/1.2.3.4/tcp/1", "/tcp/-1", "/onion/abc",
                           "/p2p/xyz", "/ip4/1.2.3.4/tcp/1x", "/dns4/a b/tcp/1", "//", "/ip4//tcp/1"}) {
    CAPTURE(text);
    const auto address = Multiaddr::from_text(text);
    REQUIRE_FALSE(address.has_value());
    CHECK(address.error().code == ErrorCode::invalid_argument);
  }
  // Without its peer id an address says where and nothing of whom.
  const auto id = crypto::KeyPair::from_seed(Digest{1}).peer_id();
  Multiaddr twice = Multiaddr::from_text("/ip4/1.2.3.4/tcp/1")->with_peer_id(id);
  CHECK_FALSE(Multiaddr::from_text(twice.to_text() + "/p2p/" + id.to_text()).has_value());
  Bytes bytes = twice.to_bytes();
  append(bytes, Multiaddr::from_text("/p2p/" + id.to_text())->to_bytes());
  CHECK(Multiaddr::from_bytes(bytes).error().code == ErrorCode::protocol);
  CHECK(Multiaddr::from_bytes(*from_hex("047f00000106")).error().code == ErrorCode::protocol);
  CHECK(Multiaddr::from_bytes(*from_hex("36ff01")).error().code == ErrorCode::protocol);
  CHECK(Multiaddr::from_bytes(*from_hex("7f")).error().code == ErrorCode::protocol);
  CHECK(Multiaddr::from_bytes(Bytes(600, 4)).error().code == ErrorCode::limit);
}

TEST_CASE("random bytes never make more than an error, and what parses comes back the same") {
  crypto::SeededRng rng(7);
  const Bytes valid = *from_hex(
      "04c000020191020fa1cd03a503260024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce2"
      "7e");
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = valid;
    bytes.resize(rng.below(bytes.size() + 1));
    for (std::uint64_t flips = rng.below(4); flips > 0 && !bytes.empty(); --flips) {
      bytes[rng.below(bytes.size())] = static_cast<std::uint8_t>(rng.next_u64());
    }
    const auto address = Multiaddr::from_bytes(bytes);
    if (!address) continue;
    const auto again = Multiaddr::from_text(address->to_text());
    REQUIRE(again.has_value());
    CHECK(*again == *address);
  }
}

TEST_CASE("an address tells whom and where it names") {
  const auto address = *Multiaddr::from_text(std::string("/ip4/10.0.0.7/tcp/4040/p2p/") + kPeer);
  REQUIRE(address.peer_id().has_value());
  CHECK(address.peer_id()->to_text() == kPeer);
  CHECK(address.without_peer_id().to_text() == "/ip4/10.0.0.7/tcp/4040");
  CHECK(address.without_peer_id().with_peer_id(*address.peer_id()) == address);
  REQUIRE(address.tcp_endpoint().has_value());
  CHECK(address.tcp_endpoint()->ip == "10.0.0.7");
  CHECK(address.tcp_endpoint()->port == 4040);
  CHECK_FALSE(Multiaddr::from_text("/dns4/example.com/tcp/1")->tcp_endpoint().has_value());
  CHECK(Multiaddr::from_text("/ip4/127.3.2.1/tcp/1")->is_loopback());
  CHECK(Multiaddr::from_text("/ip6/::1/tcp/1")->is_loopback());
  CHECK(Multiaddr::from_text("/ip6/::/tcp/1")->is_unspecified());
  CHECK(Multiaddr::tcp("::1", 5)->to_text() == "/ip6/::1/tcp/5");
  CHECK_FALSE(parse_peer_address("/ip4/127.0.0.1/tcp/1").has_value());
  CHECK_FALSE(parse_peer_address(std::string("/p2p/") + kPeer).has_value());
  CHECK(parse_peer_address(address.to_text())->addresses.front().to_text() == "/ip4/10.0.0.7/tcp/4040");
}
