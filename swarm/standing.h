// Standing: what an identity has done for its vote. Names cost nothing, and half a roster of them may be let
// in each round; so a name alone decides nothing. A pure function of certified outcomes; any thread.
//
// Specification (runs that audit contributions, Manifest::validators > 0; in others every seat has a vote)
//  1. A member has a vote when validators found `audits_for_a_vote` of its contributions as they should be,
//     and it worked in `work_for_a_vote` of the last `work_window` applied rounds: contributed, or validated.
//     So who has k names with a vote does the work of 3k/4 members for as long as it has them.
//  2. Founders begin with both.
//  3. An audit counts when a quorum lists it, and when its validator had earned its vote. (Attack: names that
//     vouch for one another.)
//  4. One audit is too few. A name that computes nothing is vouched for when its validator is hostile, with
//     the chance δ, and banned otherwise; names being free, c lazy ones without a vote feed v with one until
//     c·δ^k = v·(1−δ), where k audits are asked for. With δ = 1/3 that is v = c/2 for k = 1, c/18 for k = 3.
//  5. Work fades with its window: who does nothing has no vote after five rounds, seated or not. No round
//     takes the vote of anybody who worked in it, and it is applied only if most did: the votes never run
//     out. Audits are remembered, also without a seat, for `audit_memory` rounds after the last work: who
//     was away over night works for some rounds and need not be audited again.
//  6. All votes weigh the same. The protocol counts heads in many places: relays of an agreed broadcast, the
//     f of trimmed mean and Krum, challenges, contributors of a round. With graded weights a hostile share
//     of the weight is any number of light heads. (Six members of weight 8 and six of weight 4: the six
//     light ones are a third of the weight and half of the heads.)
// Bounds: one entry a member, and one for each identity whose work or audits are remembered, which cost it a
// seat in that time.
#pragma once

#include <cstdint>
#include <map>

#include "swarm/outcome.h"

namespace testudo::swarm {

inline constexpr std::uint32_t audits_for_a_vote = 3;
inline constexpr std::size_t work_window = 16;
// A line that fails, or a round slept through, now and then costs nobody its vote.
inline constexpr std::size_t work_for_a_vote = 12;
inline constexpr std::uint64_t audit_memory = 1024;

struct Standing {
  std::uint32_t work = 0;    // a bit a round of the window, the last applied one lowest
  std::uint32_t audits = 0;  // found right, at most audits_for_a_vote
  RoundNumber last_work;

  std::size_t rounds_worked() const;
  bool has_vote() const;
  bool operator==(const Standing&) const = default;
};

class Standings {
 public:
  Standings() = default;
  // Of the founders, before the first round.
  explicit Standings(const std::vector<PeerId>& founders);

  // What an applied outcome says of work and audits; others change nothing.
  void apply(const Outcome& outcome);
  // Forgets whose work is too long ago, but for those for whom `seated`.
  template <typename Seated>
  void forget(RoundNumber now, Seated seated) {
    std::erase_if(known_, [&](const auto& entry) {
      const auto& [peer, standing] = entry;
      const std::uint64_t age = now.value() - standing.last_work.value();
      return standing.work == 0 && (standing.audits == 0 || age > audit_memory) && !seated(peer);
    });
  }
  void erase(const PeerId& banned) { known_.erase(banned); }
  // Nothing done, of who is not known.
  Standing of(const PeerId& peer) const;
  std::size_t size() const { return known_.size(); }

 private:
  std::map<PeerId, Standing> known_;
};

}  // namespace testudo::swarm
