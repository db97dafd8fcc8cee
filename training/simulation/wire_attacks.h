// Attacks on the wire: frames that are not sent, or others, or late, or again. The member itself is an honest
// one. Loop thread only.
#pragma once

#include "training/simulation/behaviour.h"

namespace testudo::training {

// Which of the two halves that lies are told to.
bool in_other_half(const crypto::PeerId& peer);

// Two COMMITs, each shown to one half of the members.
Behaviour equivocate(const AttackSetup& setup);
// Two votes in an attempt, for the outcome of all and for another one.
Behaviour two_votes(const AttackSetup& setup);
// Nothing of this phase, to everybody or to one half.
Behaviour silent_in(swarm::Phase phase, bool everybody, std::uint64_t from_round);
// Nothing of the phases that `silent` says, to everybody.
Tamper silent_where(std::function<bool(const swarm::PhaseKey&)> silent);
// In every fifth round a wrong contribution, and in the next one nothing from CHECK on, where its validator
// speaks: it has no seat any more when that is judged, and applies again.
Behaviour flee(std::uint64_t from_round, std::shared_ptr<Collusion> collusion = nullptr);
// The same, but no coin in the first attempt of the next round, which is VOID before its validator speaks.
Behaviour flee_by_void(std::uint64_t from_round, std::shared_ptr<Collusion> collusion = nullptr);
// No parts to one half.
Behaviour withhold_parts();
// Parts to nobody, and answers to challenges all the same.
Behaviour no_parts(std::uint64_t from_round);
// Parts with a flipped bit to one half.
Behaviour corrupt_parts();
// No parts, and no answers to challenges.
Behaviour mute(std::uint64_t from_round);
// No parts to one half, and answers to challenges to the other half only.
Behaviour half_answers(std::uint64_t from_round);
// Every message of its own, or every part, at the deadline: before it for some, after it for others.
Behaviour late(const AttackSetup& setup);
Behaviour late_parts(const AttackSetup& setup);
// Every message, and never that it holds all of them.
Behaviour unconfirmed(const AttackSetup& setup);
// Votes, on its own and before the others', for outcomes in which all but accomplices lose their seats; and
// no work for its seat: zeros.
Behaviour sybil_votes(const AttackSetup& setup);
// Frames of its own and of others once more, in other rounds and attempts; messages of another run; messages
// of others with another place written on them.
Behaviour replay(const AttackSetup& setup);
// Bytes of one frame in four are changed.
Behaviour garbage(std::uint64_t seed);
// Frames dropped and changed at random.
Behaviour mixture(std::uint64_t seed, std::uint64_t from_round);

}  // namespace testudo::training
