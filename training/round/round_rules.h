// Decisions on agreed sets: pure functions, the same on every honest member.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "swarm/manifest.h"
#include "swarm/roster.h"
#include "training/checks/sketch.h"
#include "training/partition.h"
#include "training/round/payloads.h"
#include "training/round/rules.h"

namespace testudo::training {

// More than half of the run's founders are among `alive`, or founders are no longer needed.
bool founders_suffice(const swarm::Roster& roster, const std::vector<swarm::PeerId>& alive);

// Hostile contributors are a minority among the contributors: 2F + silent < votes, where `silent` have a vote
// and have not contributed: validators, the absent, and whoever had nothing.
bool may_apply(std::size_t votes, std::size_t hostile_count, std::size_t silent);

// What permutes the partition, and who takes over from whom.
Digest partition_lot(const swarm::RunId& run, swarm::RoundNumber round, swarm::Attempt attempt,
                     const Digest& beacon);
// Who reduces which values in a round that `roster` begins. refused: nobody can reduce.
Result<std::vector<PartRange>> partition_of(const swarm::Roster& roster, std::size_t values,
                                            const Digest& lot);

// The validators of a round, by the beacon that it begins with; of its attempt after so many fruitless VOIDs
// (Chain). They are of those with a vote, which they must have earned once there are founding_size members.
// Their targets are those that took part in the round before, whether or not they still have a seat; of
// members without a vote at most as many as of the others.
std::vector<Validation> validations_of(const swarm::Manifest& manifest, const swarm::Roster& roster,
                                       const swarm::RunId& run, swarm::RoundNumber round,
                                       std::uint32_t fruitless_voids, const Digest& beacon);

// What these validators of a round audit of the round before, which had so many parts.
std::vector<Audit> audits_of(const std::vector<Validation>& validators, std::size_t parts,
                             const swarm::RunId& run, swarm::RoundNumber round, const Digest& beacon);

// Who sends an auditor what each of the contributors to its part committed to, in their order: each its own;
// the reducer, which got them, those of contributors that are gone, struck out (swarm/strikes.h) or have lost
// their vote, which nobody strikes, and of those that have no way to the auditor because neither takes
// connections, at most `limit` > 0 with its own. Beyond that everybody sends its own: strikes of who is
// struck out are explained already. Whoever reckons with other senders than the auditor does is struck for
// nothing. `committed`: whether a member is there, by the COMMIT of this round; before it, everybody is, and
// who sends then goes on doing so. Nothing: the auditor cannot get it all, and audits nothing.
std::optional<std::vector<swarm::PeerId>> senders_to_auditor(
    const swarm::Roster& roster, const swarm::PeerId& auditor, const swarm::PeerId& reducer,
    const std::vector<swarm::PeerId>& contributors,
    const std::function<bool(const swarm::PeerId&)>& committed, std::size_t limit);

// Which of the `candidates`, members without a vote (ascending), reducers send their results to: at most so
// many, drawn by `lot`, so that any number of names takes no more of a line than those that vote. The
// others fetch the step. Ascending.
std::vector<swarm::PeerId> drawn_followers(const std::vector<swarm::PeerId>& candidates, std::size_t most,
                                           const Digest& lot);

// Whether what a member committed to fits a round of so many parts; signing anything else is malformed.
bool fits(const CommitPayload& commit, const RoundRules& rules, std::size_t parts);
// How many contributions one reducer may challenge: as many as there may be hostile members, or these could
// make it give its part up by sending it nothing, and whoever takes the part over as well.
std::size_t challenge_limit(const swarm::Manifest& manifest, std::size_t hostile_count);
bool fits(const ReducePayload& reduce, const swarm::Manifest& manifest, std::size_t hostile_count);

// With an automatic τ and a rule with a sketch check, members commit to distances, and τ is agreed.
bool has_distances(const RoundRules& rules);
// τ of a part, known to everybody before it is reduced. `distances`: what its contributors committed to,
// where has_distances().
double tau_of_part(const RoundRules& rules, std::size_t part_size, std::span<const double> distances);

// What the sketches of the deviations from part j are drawn from, and those of the parts of a contribution
// that a validator spoke about in round `spoken`. `coins`: of that round.
Digest sketch_seed(const swarm::RunId& run, swarm::RoundNumber round, swarm::Attempt attempt,
                   const Digest& coins, std::size_t part);
Digest statement_seed(const swarm::RunId& run, swarm::RoundNumber spoken, const Digest& coins,
                      const swarm::PeerId& target, std::size_t part);

// What an honest result of a part leaves of the sum over so many contributors. CPU-bound. REQUIRES: a rule
// with a sketch check; `result` decodes.
SumCheck sum_check(const RoundRules& rules, ByteView result, std::size_t size, std::size_t contributors,
                   std::size_t unreported, double tau);

// Whether a result may be that of so many contributors, of which only these contributions were shown.
// CPU-bound. REQUIRES: the same; the contributions decode.
bool may_be_result(const RoundRules& rules, ByteView result, std::size_t size,
                   const std::vector<ByteView>& shown, std::size_t contributors, double tau);

// The order in which a round takes disputes about what a validator or auditor said in the last one, when
// there are too many: by this lot. `coins`: that it revealed after all had spoken.
Digest dispute_lot(const Digest& coins, const swarm::PeerId& speaker);

// A part is reduced again when most contributors deviate from it by more than so many times what they
// deviated by in the round before. Gradients of one round to the next do not do that, and if they do it costs
// a few messages.
inline constexpr double greatest_growth = 4;

// Who takes part j when `failed` does not reduce it: the next of `alive` behind it in the permuted order that
// reduces. Nothing when there is nobody.
std::optional<swarm::PeerId> next_reducer(const std::vector<swarm::PeerId>& order,
                                          const std::vector<swarm::PeerId>& alive,
                                          const swarm::Roster& roster, const swarm::PeerId& failed);

// Whether one member may challenge these results, by part: `limit` of them, or all of as many reducers as may
// be hostile. An honest member whose line holds misses none of others, and must not lose its seat to reducers
// that leave it out together; whoever asks, every part is sent once more at most.
bool may_challenge(const std::vector<PartOf>& results, const std::vector<swarm::PeerId>& reducers,
                   std::size_t limit, std::size_t hostile_count);

// Of contributions that were not shown, what reducers need not show either: an answer is at most as large as
// a contribution of so many `values`. What is beyond stays open, and that is not the reducer's fault.
std::set<PartOf> beyond_one_answer(const std::vector<PartOf>& wanted,
                                   const std::vector<swarm::PeerId>& reducers,
                                   const std::vector<PartRange>& ranges, std::size_t values);

// What a rule draws from in a round (bucketing). The same for all parts, so that members meet as if the whole
// vector were one, and for all attempts, like the batches: voiding a round is no way to draw again.
Digest aggregation_seed(const swarm::RunId& run, swarm::RoundNumber round, const Digest& beacon);

// Greatest payload of a phase, in bytes: answers carry parts, at most all of a contribution, and as much of
// an earlier round for each of the two kinds of disputes about it, and of what an auditor got; COMMIT and
// CHECK carry sketches; the others are lists.
std::size_t max_payload(const swarm::Manifest& manifest, swarm::Phase phase);

// How many contributions an applied outcome stands for, as it tells: who contributes takes as many samples as
// the manifest says. None in a VOID.
std::size_t contributors_of(const swarm::Outcome& outcome, const swarm::Manifest& manifest);

// Applications that more than half of the commits of members with a vote list alike, at most as many as the
// growth cap and the group's size let in, drawn by the beacon; ascending.
std::vector<swarm::Admission> admissions(const swarm::Roster& roster,
                                         const std::map<swarm::PeerId, CommitPayload>& commits,
                                         double growth_cap, std::size_t group_max, const Digest& beacon);

}  // namespace testudo::training
