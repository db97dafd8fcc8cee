// RoundRecord: what a member remembers of a round that it took part in, so that the contributions to it can
// be recomputed, its results reduced again and, if somebody disputes one, all shown to everybody. Kept in
// memory for two rounds; who was not there or was restarted has none, and follows where others decide on
// theirs. A value; any thread.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "crypto/base/buffer.h"
#include "swarm/outcome.h"
#include "training/checks/validation.h"
#include "training/partition.h"
#include "training/round/payloads.h"
#include "training/round/state.h"

namespace testudo::training {

struct RoundRecord {
  using Message = std::shared_ptr<const swarm::PhaseMessage>;
  struct Commitment {  // of a contributor
    std::vector<Digest> parts;
    std::uint32_t samples = 0;
    Message message;  // COMMIT
  };
  struct Claim {  // of a validator, in CHECK, about the round before
    swarm::PeerId target;
    Statement statement;
    Message message;
  };
  struct AuditSaid {  // of an auditor, in CHECK, about a part of the round before
    Audit audit;
    AuditStatement statement;
    Message message;
  };
  struct Published {                          // a part as its reducer published it, and what it is to be of
    std::vector<swarm::PeerId> contributors;  // C_j
    double tau = 0;                           // of this part
    Digest hash{};
    Message message;  // REDUCE
  };

  swarm::RoundNumber round;
  Digest beacon{};                             // that named its batches
  std::shared_ptr<const TrainingState> state;  // that it began with
  std::vector<PartRange> ranges;
  std::size_t hostile_count = 0;        // F of the roster that it began with
  std::vector<swarm::PeerId> reducers;  // of each part
  std::vector<bool> reduced;            // whether they had a result
  // Of each part; nothing where it is absent, or was disputed and settled in its own round.
  std::vector<std::optional<Published>> results;
  std::map<swarm::PeerId, Message> commits;  // of everybody
  std::map<swarm::PeerId, Commitment> commitments;
  std::vector<Blob> own;        // this member's contribution, by part; empty: none
  std::map<PartOf, Blob> held;  // contributions to the parts that this member reduced
  Digest coins{};
  std::map<swarm::PeerId, Claim> claims;
  std::map<swarm::PeerId, AuditSaid> audits;
  // Of the part that this member found wrong: what its reducer contributed itself, which nobody else has;
  // null: nothing.
  Blob audited_reducers_own;

  // A contribution to a part, as far as `self`, whose record this is, has it: its own, or as the reducer.
  Blob find_contribution(const PartOf& entry, const swarm::PeerId& self) const {
    if (entry.member == self && entry.part.value() < own.size()) return own[entry.part.value()];
    const auto found = held.find(entry);
    return found == held.end() ? nullptr : found->second;
  }
  // Whether this is the round that was certified: the same members took part, and what is remembered of
  // results was applied. Who agreed on other sets than the others, because it was not where they were,
  // remembers another round; it would audit results by that, and be banned for what it says of them.
  bool is_of(const swarm::Outcome& outcome) const {
    const auto author = [](const auto& entry) -> const swarm::PeerId& { return entry.first; };
    if (!std::ranges::equal(commits, outcome.present, {}, author)) return false;
    if (results.size() != outcome.results.size()) return false;
    for (std::size_t j = 0; j < results.size(); ++j) {
      if (results[j] && results[j]->hash != outcome.results[j]) return false;
    }
    return true;
  }
  // The result that an audit is about. Nobody audits itself, and who is banned in `now` has nothing to lose.
  // Null: there is none.
  const Published* find_audited(const Audit& audit, const swarm::Roster& now) const {
    const std::size_t j = audit.part.value();
    const bool there = j < results.size() && results[j] && reducers[j] != audit.auditor;
    return there && !now.is_banned(reducers[j]) ? &*results[j] : nullptr;
  }
};

}  // namespace testudo::training
