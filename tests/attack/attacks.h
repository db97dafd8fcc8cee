// The attacks of the suite: each runs until its process is killed, at a rate that leaves the machine to
// others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/attack/raw_peer.h"

namespace testudo::attack {

struct Attack {
  std::string name;
  std::string what;
  std::function<void(const Target&)> run;
};
const std::vector<Attack>& all_attacks();

}  // namespace testudo::attack
