// Attacks on whoever is behind: what a member answers to newcomers, and to members that missed something.
// Everything else of it is honest. Loop thread only.
#pragma once

#include "training/simulation/behaviour.h"

namespace testudo::training {

// Every piece of a step comes, and so late.
Behaviour slow_steps(net::Duration hold);

// It always claims a ledger that is longer than it is, and answers with certificates that continue nothing.
Behaviour false_heights(const AttackSetup& setup);

// It claims one certificate more than there are, so that it is asked, and gives those that there are so late.
Behaviour slow_ledger(net::Duration hold);

// The way to every state begins at one that nobody certified, one step before it.
Behaviour false_paths();

}  // namespace testudo::training
