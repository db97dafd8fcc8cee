#include "node/addresses.h"

#include <algorithm>

#include "crypto/base/encoding.h"

namespace testudo::node {

Result<std::vector<net::Multiaddr>> parse_listen_addresses(const std::vector<std::string>& texts) {
  std::vector<net::Multiaddr> addresses;
  for (const std::string& text : texts) {
    auto address = net::Multiaddr::from_text(text);
    if (!address) {
      return fail(std::move(address).error().in("\"" + text +
                                                "\" is no address to listen on like /ip4/0.0.0.0/tcp/4040"));
    }
    addresses.push_back(std::move(*address));
  }
  return addresses;
}

Result<std::vector<net::PeerAddress>> parse_peer_addresses(const std::vector<std::string>& texts) {
  std::vector<net::PeerAddress> peers;
  for (const std::string& text : texts) {
    auto peer = net::parse_peer_address(text);
    if (!peer) {
      return fail(
          std::move(peer).error().in("\"" + text +
                                     "\" is no peer address like /ip4/192.0.2.1/tcp/4040/p2p/12D3Koo..., as "
                                     "a bootstrap node prints it"));
    }
    const auto same = std::ranges::find(peers, peer->id, &net::PeerAddress::id);
    if (same == peers.end()) {
      peers.push_back(std::move(*peer));
    } else {
      same->addresses.insert(same->addresses.end(), peer->addresses.begin(), peer->addresses.end());
    }
  }
  return peers;
}

Result<swarm::PeerId> parse_peer_id(const std::string& text) {
  auto peer = swarm::PeerId::from_text(text);
  if (!peer) {
    return fail(
        ErrorCode::invalid_argument,
        "\"" + text + "\" is no peer id like 12D3Koo..., as keygen prints it: " + peer.error().message);
  }
  return peer;
}

Result<swarm::RunId> parse_run_id(const std::string& text) {
  auto run = digest_from_hex(text);
  if (!run)
    return fail(std::move(run).error().in(
        "\"" + text + "\" is no run id: those are 64 hex digits, as run new prints them"));
  return run;
}

}  // namespace testudo::node
