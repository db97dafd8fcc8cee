// A network of this process' own, where attackers and honest peers have addresses that are not loopback: what
// is limited per address is only then seen at work. Linux.
#pragma once

#include <string>
#include <vector>

namespace testudo::attack {

struct PrivateNetwork {
  std::string node = "127.0.0.1";
  std::vector<std::string> attackers;  // empty on loopback
};

// Moves the calling process, which must have one thread, into a new network. Where the system does not let
// it, everything stays on loopback.
PrivateNetwork enter_private_network();

}  // namespace testudo::attack
