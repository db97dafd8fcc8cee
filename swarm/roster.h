// Roster: the members at a round, a pure function of the manifest and the ledger. A value; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "swarm/outcome.h"
#include "swarm/strikes.h"
#include "swarm/types.h"

namespace testudo::swarm {

// Until the roster first reaches this size every certificate needs the founders: with fewer members a handful
// of hostile names would be a majority.
inline constexpr std::size_t founding_size = 16;
// Whoever lost its seat can still be banned in so many rounds after that one: a contribution to round t is
// judged in round t + 2 (training/checks/validation.h), whatever its author gave up meanwhile.
inline constexpr std::uint64_t answerable_rounds = 2;

struct Member {
  PeerId id;
  bool founder = false;
  bool client_mode = false;  // takes no inbound connections
  bool rests = false;        // because of its strikes (strikes.h)
  bool struck_out = false;   // so does whoever rests; others have no room to
  std::uint32_t weight = 1;  // of its vote: 1 until influence is earned by audited samples
  RoundNumber since;

  bool reduces() const { return !client_mode && !rests; }
};

class Roster {
 public:
  Roster() = default;
  // The founders, before the first round.
  explicit Roster(std::vector<PeerId> founders);
  // What `outcome` makes of this roster, in a run that promises to survive such a hostile share of the vote.
  Roster after(const Outcome& outcome, double hostile_share) const;

  const std::vector<Member>& members() const { return members_; }  // ascending by id
  std::size_t size() const { return members_.size(); }
  std::optional<std::size_t> index_of(const PeerId& id) const;
  bool contains(const PeerId& id) const { return index_of(id).has_value(); }
  // Of the manifest, seated or not, but for the banned: those never come back, and nobody waits for them.
  const std::vector<PeerId>& founders() const { return founders_; }
  bool is_founder(const PeerId& id) const;
  // Seated, or without a seat for so short a time that it still answers for what it did.
  bool may_be_banned(const PeerId& id) const { return contains(id) || former_.contains(id); }
  bool is_banned(const PeerId& id) const { return banned_.contains(id); }
  const std::set<PeerId>& banned() const { return banned_; }
  bool founding() const { return founding_; }
  // Who took part in the last applied round, seated or not, but for the banned; ascending. What they
  // contributed is validated in the next.
  const std::vector<PeerId>& took_part() const { return took_part_; }
  // That have not faded, the oldest first; also of those without a seat, who may come back.
  const std::vector<PastStrike>& strikes() const { return strikes_; }
  // Members that reduce nothing because of theirs, ascending.
  std::vector<PeerId> resting() const;

  std::uint64_t total_weight() const;
  // F of the agreed broadcast: the greatest number of members whose weights sum to at most share · total.
  std::size_t greatest_hostile_count(double share) const;

 private:
  void let_rest(double hostile_share);

  std::vector<Member> members_;
  std::vector<PeerId> founders_;
  std::set<PeerId> banned_;
  std::map<PeerId, RoundNumber> former_;  // in which round they lost their seats
  std::vector<PeerId> took_part_;
  std::vector<PastStrike> strikes_;
  bool founding_ = true;
};

}  // namespace testudo::swarm
