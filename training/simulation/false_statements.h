// Attacks from within: the member computes what it should and says something else, the same to everybody.
// Threads: as Misconduct says.
#pragma once

#include "training/codec/codec.h"
#include "training/simulation/behaviour.h"

namespace testudo::training {

// A part that it reduces, shifted: every value by so many times the part's root mean square.
Behaviour wrong_aggregate(CodecKind codec, double shift, std::uint64_t from_round);
// The same, and nothing shown of its own contribution when the part is disputed.
Behaviour hidden_aggregate(CodecKind codec, double shift, std::uint64_t from_round);
// No part that it reduces: it says that the rule did not converge.
Behaviour no_result(std::uint64_t from_round);
// No contribution, though it has computed one.
Behaviour idle(std::uint64_t from_round);
// Sketches and norms that its contribution does not give.
Behaviour wrong_sketch(std::uint64_t from_round);
// A coin other than the one that it committed to.
Behaviour wrong_reveal(std::uint64_t from_round);
// Of validators: right contributions are said to be wrong; contributions are said to be right unseen.
Behaviour false_accusation(std::uint64_t from_round);
Behaviour lazy_validation(std::uint64_t from_round);
// Of auditors: that the result which it audits is wrong.
Behaviour false_audit(std::uint64_t from_round);
// A shifted part, and nothing of its own to auditors nor in disputes about results of earlier rounds.
Behaviour hidden_audit(CodecKind codec, double shift, std::uint64_t from_round);
// A shifted part, and its own to auditors so long after the round's results.
Behaviour late_audit(CodecKind codec, double shift, net::Duration hold, std::uint64_t from_round);
// Of auditors: that nobody sent them anything.
Behaviour unserved_audit(std::uint64_t from_round);
// Nothing to auditors, nor in those disputes; it shifts nothing.
Behaviour withheld_audit(std::uint64_t from_round);
// Another gradient in the part that it reduces itself, and nothing shown when that is disputed.
Behaviour hidden_part(std::uint64_t from_round);
// Of reducers: sketches that the contributions which they hold do not give.
Behaviour wrong_holding(std::uint64_t from_round);
// So many challenges in REDUCE, and in REVEAL, of what it has got.
Behaviour challenges(std::size_t count, std::uint64_t from_round);
// As a reducer, a part given up for what it has got; no result, and not a word why.
Behaviour give_up(std::uint64_t from_round);
Behaviour keep_results(std::uint64_t from_round);
// As a validator, and as a reducer of what others validated: nothing.
Behaviour idle_checks(std::uint64_t from_round);
// In COMMIT: another sample count, another loss; with an automatic τ, distances that many times as far.
Behaviour wrong_samples(std::uint32_t samples, std::uint64_t from_round);
Behaviour wrong_loss(float loss, std::uint64_t from_round);
Behaviour wrong_distances(double factor, std::uint64_t from_round);

}  // namespace testudo::training
