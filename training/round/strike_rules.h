// Who gets a strike for what: pure functions of agreed sets, the same on every honest member; and what a
// member notices where the sets do not tell, which it lists in its next COMMIT. What strikes do:
// swarm/strikes.h.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "swarm/manifest.h"
#include "swarm/roster.h"
#include "training/round/payloads.h"
#include "training/round/round_record.h"

namespace testudo::training {

// Whether deadlines leave honest members the time to be early: they send up to a slot (2Δ) after a phase has
// begun, or after they have waited for parts, and a slot before T is late.
bool tells_lateness(const swarm::Manifest& manifest);
// How long before its own T a member has to send at the latest: others' may be Δ earlier, delivery takes Δ,
// and where it is told, a slot before T is late.
net::Duration early_margin(const swarm::Manifest& manifest);

// What the marks in the COMMITs of a round amount to. Lateness is between whoever says it and whoever it says
// it of; but who did not confirm what it held, because it names somebody with a vote as late itself, is
// excused. Silence is a strike when more than half of the votes list it: whoever was there saw it. There is
// none with members that have no vote: any number of them may be hostile, and they have nothing to rest from.
std::vector<swarm::Strike> strikes_of_marks(const swarm::Roster& roster,
                                            const std::map<swarm::PeerId, CommitPayload>& commits);

// REDUCE: the strikes of a reducer that says nothing of these `parts` of its own: with those of the
// `contributors` (ascending) that it names, or, if it misses no more than it may challenge, of its own.
std::vector<swarm::Strike> strikes_of_given_up(const swarm::PeerId& reducer,
                                               const std::set<std::size_t>& parts,
                                               const std::vector<PartOf>& missed,
                                               const std::vector<swarm::PeerId>& contributors,
                                               std::size_t challenge_limit);

// CHECK: validators that say nothing of a target whose contribution to the last round `last` knows. Who has
// its seat for less than a round has nothing to say; a restarted one has not either, and bears the mark: it
// takes more than one to be of consequence.
std::set<Mark> silent_validators(const swarm::Roster& roster, swarm::RoundNumber round,
                                 const std::vector<Validation>& drawn,
                                 const std::map<swarm::PeerId, RoundRecord::Claim>& claims,
                                 const RoundRecord& last);

// COMMIT: reducers of the round before the last that show no sketch of what validators spoke about in the
// last.
std::set<Mark> silent_reducers(const swarm::Roster& roster,
                               const std::map<swarm::PeerId, CommitPayload>& commits, const RoundRecord& last,
                               const RoundRecord& before_last);

// One strike a member that it is against or that complains, as certificates hold them: its own before what it
// says of others, and of several others one, drawn by `lot`. None of those that lose their seats.
std::vector<swarm::Strike> drawn_strikes(std::vector<swarm::Strike> found,
                                         const std::map<swarm::PeerId, swarm::Removal>& removed,
                                         const Digest& lot);

}  // namespace testudo::training
