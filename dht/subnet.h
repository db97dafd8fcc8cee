// Which network a peer's addresses are in: what quotas count, because one operator gets many addresses of
// one network cheaply. Pure.
#pragma once

#include <string>
#include <vector>

#include "net/address/multiaddr.h"

namespace testudo::dht {

// The /24 (IPv4) or /48 (IPv6) of the first public address, as its bytes. Empty for private, loopback and
// named addresses, which quotas do not count.
std::string subnet_of(const std::vector<net::Multiaddr>& addresses);

}  // namespace testudo::dht
