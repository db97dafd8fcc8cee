// The words of the round (docs/protocol.md), as types. Values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "crypto/base/bytes.h"
#include "crypto/base/strong.h"
#include "crypto/peer_id.h"

namespace testudo::swarm {

using crypto::PeerId;

using RoundNumber = Strong<struct RoundTag>;               // 1, 2, …; state 0 is the initial one
using Attempt = Strong<struct AttemptTag, std::uint32_t>;  // of a round; a VOID certificate starts the next
using RunId = Digest;                                      // BLAKE2b-256 of the canonical manifest

// A roster's bound: agreed broadcasts are O(n²) messages, so that runs with more members form groups long
// before.
inline constexpr std::size_t max_members = 4096;

// A round's agreed broadcasts, in their order; and behind them the place of votes.
enum class Phase : std::uint8_t {
  commit = 1,          // hashes of the encoded parts
  reduce = 2,          // hashes of the results, or challenges: contributions that a reducer misses
  serve = 3,           // the challenged contributions
  reduce_again = 4,    // results of parts that were challenged, or went to the next member
  reveal = 5,          // coins of the beacon; challenges: results that a member misses
  reveal_answer = 6,   // the challenged results
  check = 7,           // norms and sketches of what every contribution deviates by
  evidence = 8,        // the committed bytes of disputed parts
  evidence_again = 9,  // those that their authors did not show, by the reducer
  measure = 10,        // how far disputed contributions are from what their authors should have computed
  certify = 11,        // no broadcast: a vote, which signs an outcome (outcome.h)
};
inline constexpr std::uint8_t last_phase = 11;
std::string_view name(Phase phase);

// One agreed broadcast: one member has one payload in it.
struct PhaseKey {
  RoundNumber round;
  Attempt attempt;
  Phase phase = Phase::commit;
  auto operator<=>(const PhaseKey&) const = default;
};

}  // namespace testudo::swarm
