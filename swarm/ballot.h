// Ballot: collects the members' votes on outcomes and makes a certificate of them. A pure state machine; loop
// thread only.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "swarm/control.h"
#include "swarm/roster.h"

namespace testudo::swarm {

class Ballot {
 public:
  // Keeps the vote if its signature holds; the latest position counts, and of one position the first vote.
  // False: not signed by whom it says.
  bool add(const VoteFrame& frame);
  // That a vote and the one that is kept of its signer are for two outcomes of one attempt, both signed.
  std::optional<Equivocation> contradiction(const VoteFrame& frame) const;
  // Votes on outcomes for this position that continue `head`, of members that have one.
  struct Tally {
    Outcome outcome;
    std::vector<Vote> votes;  // ascending by signer
  };
  std::vector<Tally> tallies(const Roster& roster, RoundNumber round, Attempt attempt,
                             const Digest& head) const;
  // The certificate, as soon as one outcome has a quorum.
  std::optional<Certificate> certificate(const Roster& roster, RoundNumber round, Attempt attempt,
                                         const Digest& head) const;
  // Whether a member that lost its own work (a restart) may sign what the others did: more than F voters
  // signed the same outcome, so an honest one who verified it is among them.
  static bool may_follow(const Tally& tally, std::size_t hostile_count);

  bool has_vote_of(const PeerId& member, RoundNumber round, Attempt attempt) const;
  void forget(const PeerId& member) { votes_.erase(member); }

 private:
  std::map<PeerId, VoteFrame> votes_;  // one a signer: the bound
};

// What everybody signs who could not take part: nothing was applied, nobody is blamed.
Outcome plain_void(const RunId& run, RoundNumber round, Attempt attempt, const Digest& head);

}  // namespace testudo::swarm
