// Strikes: what becomes of whoever slows rounds down without a fault that anybody could prove. A member with
// strikes in several rounds rests: it reduces nothing until they fade; its vote and its seat stay. A pure
// function of certified outcomes; any thread.
//
// Specification
//  Given: the strikes of the last `strike_window` rounds, in the order of the ledger; the members; F, the
//  greatest number of hostile ones. Only strikes count whose ends are all members: who left takes those
//  between it and others along.
//  1. A strike between two says that one of them lies or has a bad line, and not which. So it strikes both:
//     a liar that is struck for every lie gains nothing by choosing which end of the strike it is.
//  2. Who has strikes in `strike_limit` rounds or more, with more than F different others, rests *alone*:
//     in a network that keeps its promise (Δ), an honest member has strikes with hostile ones only. What is
//     between it and others is explained, and counts against nobody else. (Attack: to challenge everybody.)
//  3. The other strikes one after another: who now has strikes in `strike_limit` rounds rests, and with it
//     the other end of the strike that made it so many; a strike one end of which rests already is
//     explained, and skipped. So whoever makes an honest member rest rests with it, one for one, by what is
//     in the window at any time. (Attacks: several that pick on one member by turns, or one on several.)
//  4. At least half of the members that can be reached reduce: those of rule 2 rest first, those struck in
//     most rounds before others, then those of rule 3 in their order, both ends or neither, while there is
//     room. Who cannot be reached reduces nothing anyway, and takes no room. (Attack: strikes among such
//     members, which pay nothing for them, until there is no room for those that do.)
//  5. If more than half of the members would have to rest by rule 2, they cannot all be hostile: the network
//     breaks its promise, and nobody rests. (The parts would come to fewer lines, and make it worse.)
//  6. All whose strikes are explained are *struck out*, with or without room to rest: what they go on saying
//     that would only strike them again is not heard, and what others lack of them is asked of somebody else
//     where that can be. (Attack: to be struck when there is no room left, and to go on for nothing.)
//  Hence, whatever F members do in such a network: not more honest than hostile members rest.
// Cost: O(s log s) for s strikes in the window.
#pragma once

#include <set>
#include <span>
#include <vector>

#include "swarm/outcome.h"

namespace testudo::swarm {

// A line that fails now and then (a laptop that wakes up, a restarted router) is no reason to do without a
// reducer; one that costs everybody three rounds of 64 is.
inline constexpr std::size_t strike_limit = 3;
// After so many rounds a strike is forgotten.
inline constexpr std::uint64_t strike_window = 64;

struct PastStrike {
  RoundNumber round;
  Strike strike;
};

// What the owner of a struck member may look at, for logs.
std::string_view advice(StrikeReason reason);

struct Struck {
  std::set<PeerId> resting;
  std::set<PeerId> out;  // these, and those for whom there was no room
};
// `members` ascending; `unreachable`: those of them that reduce nothing anyway.
Struck count_strikes(std::span<const PastStrike> strikes, const std::vector<PeerId>& members,
                     const std::set<PeerId>& unreachable, std::size_t hostile_count);

}  // namespace testudo::swarm
