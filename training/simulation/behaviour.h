// Behaviour: what a simulated member does that the protocol does not ask for. Everything else of it stays
// production code: a behaviour breaks the rules at the places of Misconduct, or changes frames on their way
// out. Values; loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.h"
#include "crypto/peer_id.h"
#include "swarm/types.h"
#include "training/codec/codec.h"
#include "training/round/misconduct.h"
#include "training/simulation/gradient_attack.h"
#include "training/simulation/tampering_host.h"

namespace testudo::training {

struct Behaviour {
  std::string name;                        // empty: honest
  Tamper tamper;                           // may be empty
  std::shared_ptr<Misconduct> misconduct;  // may be null

  bool is_honest() const { return name.empty(); }
};

// What an attack needs to know of the member that it is given to.
struct AttackSetup {
  swarm::RunId run{};
  const crypto::KeyPair& identity;
  std::uint64_t seed = 1;
  std::uint64_t from_round = 1;  // honest before; attacks on agreed broadcasts and on parts
  CodecKind codec = CodecKind::int8;
};

struct AttackName {
  std::string_view name;
  std::string_view what;
};
const std::vector<AttackName>& attack_names();
// invalid_argument: no attack of that name.
Result<Behaviour> make_attack(std::string_view name, const AttackSetup& setup);

// Another contribution than the gradient of its batch. invalid_argument: no attack of that kind.
Result<Behaviour> poisoned(const GradientAttack& attack);
// Two COMMITs, each shown to one half of the members.
Behaviour equivocate(const AttackSetup& setup);
// Nothing of this phase, to everybody or to one half.
Behaviour silent_in(swarm::Phase phase, bool everybody, std::uint64_t from_round);
// No parts to one half.
Behaviour withhold_parts();
// Parts with a flipped bit to one half.
Behaviour corrupt_parts();
// No parts, and no answers to challenges.
Behaviour mute(std::uint64_t from_round);
// Bytes of one frame in four are changed.
Behaviour garbage(std::uint64_t seed);
// Frames dropped and changed at random.
Behaviour mixture(std::uint64_t seed, std::uint64_t from_round);

// A part that it reduces, shifted: every value by so many times the part's root mean square.
Behaviour wrong_aggregate(CodecKind codec, double shift, std::uint64_t from_round);
// No part that it reduces: it says that the rule did not converge.
Behaviour no_result(std::uint64_t from_round);
// Sketches and norms that its contribution does not give.
Behaviour wrong_sketch(std::uint64_t from_round);
// A coin other than the one that it committed to.
Behaviour wrong_reveal(std::uint64_t from_round);
// Of validators: right contributions are said to be wrong; contributions are said to be right unseen.
Behaviour false_accusation(std::uint64_t from_round);
Behaviour lazy_validation(std::uint64_t from_round);
// Another gradient in the part that it reduces itself, and nothing shown when that is disputed.
Behaviour hidden_part(std::uint64_t from_round);
// Of reducers: sketches that the contributions which they hold do not give.
Behaviour wrong_holding(std::uint64_t from_round);

// Which of the two halves that lies are told to.
bool in_other_half(const crypto::PeerId& peer);

}  // namespace testudo::training
