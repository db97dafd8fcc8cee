// A reducer that shifts its part and covers that itself: it hears what the round agrees on and gets all
// contributions to its part, so that it knows what sketch of its own makes the sum nothing. Only whoever
// reduces the part again can tell.
#pragma once

#include "training/simulation/behaviour.h"

namespace testudo::training {

// `shift`: of the length of the result. Honest in rounds to which it contributes nothing: then it reports
// nothing either.
Behaviour covered_aggregate(const swarm::Manifest& manifest, const crypto::PeerId& self, double shift,
                            std::uint64_t from_round);
Behaviour covered_aggregate(const AttackSetup& setup);

}  // namespace testudo::training
