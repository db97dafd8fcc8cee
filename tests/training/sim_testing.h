// What the tests of whole swarms share: the simulated swarm, whose checkers fail the test.
#pragma once

#include <doctest/doctest.h>

#include <functional>

#include "swarm/ledger.h"
#include "tests/repetitions.h"
#include "training/simulation/sim_swarm.h"

namespace testudo::training {

using namespace std::chrono_literals;

// Until `finished` holds; a property that breaks meanwhile fails the test.
inline bool run_until(SimSwarm& swarm, const std::function<bool()>& finished, net::Duration limit) {
  const bool done = swarm.run_until(finished, limit);
  for (const Violation& violation : swarm.checker().violations()) {
    FAIL_CHECK(to_text(violation), ", seed ", swarm.options().seed);
  }
  return done;
}

// As a member's ledger has it in the end.
inline swarm::Roster roster_of(SimSwarm& swarm, std::size_t member,
                               const std::function<void(const swarm::EvidenceContext&)>& each = {}) {
  auto reader = swarm::LedgerReader::open(swarm.member(member).storage, swarm.manifest());
  REQUIRE(reader.has_value());
  while (true) {
    const auto entry = reader->next();
    REQUIRE(entry.has_value());
    if (!*entry) return reader->chain().roster();
    if (each) each((*entry)->context);
  }
}

}  // namespace testudo::training
