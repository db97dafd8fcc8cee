// Roster: the members at a round, a pure function of the manifest and the ledger. A value; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "swarm/outcome.h"
#include "swarm/standing.h"
#include "swarm/strikes.h"
#include "swarm/types.h"

namespace testudo::swarm {

// Until so many members at once have earned their vote (standing.h), every certificate needs the founders:
// with fewer a handful of hostile names would be a majority.
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
  bool earned = true;        // its vote, by its standing
  std::uint32_t weight = 1;  // of its vote: 1 if it is earned or the run is founding, else 0
  RoundNumber since;
  RoundNumber votes_since;  // the first round in which it has one

  bool votes() const { return weight > 0; }
  bool reduces() const { return !client_mode && !rests && votes(); }
};

class Roster {
 public:
  Roster() = default;
  // The founders, before the first round. `audits`: whether validators look at contributions; where nobody
  // does, every seat has its vote.
  explicit Roster(std::vector<PeerId> founders, bool audits = false);
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
  // Has a seat and a vote.
  bool votes(const PeerId& id) const;
  // Had both in the attempt before, in which it may have lost them.
  bool voted_before(const PeerId& id) const;
  // Of members and, for a while, of those that lost their seats. Nothing where nobody looks.
  Standing standing_of(const PeerId& id) const { return standings_.of(id); }
  // That have not faded, the oldest first; also of those without a seat, who may come back.
  const std::vector<PastStrike>& strikes() const { return strikes_; }
  // Members that reduce nothing because of theirs, ascending.
  std::vector<PeerId> resting() const;

  std::uint64_t total_weight() const;
  // F: the greatest number of members with a vote whose weights sum to at most share · total. Any number of
  // those without may be hostile besides.
  std::size_t greatest_hostile_count(double share) const;

 private:
  void weigh(RoundNumber from, bool may_be_founded);
  void let_rest(double hostile_share);

  std::vector<Member> members_;
  std::vector<PeerId> founders_;
  std::set<PeerId> banned_;
  std::map<PeerId, RoundNumber> former_;   // in which round they lost their seats
  std::set<PeerId> unreachable_founders_;  // that lost their seats, and were in client mode
  std::vector<PeerId> took_part_;
  std::vector<PeerId> voted_before_;  // ascending
  std::vector<PastStrike> strikes_;
  Standings standings_;
  bool audits_ = false;
  bool founding_ = true;
};

}  // namespace testudo::swarm
