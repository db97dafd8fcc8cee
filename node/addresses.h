// What users type, parsed; errors say what was typed and what was expected.
#pragma once

#include <string>
#include <vector>

#include "crypto/base/result.h"
#include "net/address/multiaddr.h"
#include "swarm/types.h"

namespace testudo::node {

Result<std::vector<net::Multiaddr>> parse_listen_addresses(const std::vector<std::string>& texts);
// `<address>/p2p/<id>`, several addresses of one peer become one entry.
Result<std::vector<net::PeerAddress>> parse_peer_addresses(const std::vector<std::string>& texts);
Result<swarm::PeerId> parse_peer_id(const std::string& text);
Result<swarm::RunId> parse_run_id(const std::string& text);

}  // namespace testudo::node
