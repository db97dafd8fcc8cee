// Ledger: the durable chain of certificates of one run, and the roster that follows from it. Every change is
// on disk before it is acted on. Owned by the participant; loop thread only.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "net/storage/storage.h"
#include "swarm/evidence.h"
#include "swarm/manifest.h"
#include "swarm/outcome.h"
#include "swarm/roster.h"

namespace testudo::swarm {

// Applies and verifies certificates one after another; no storage. The one place where the fold is defined.
class Chain {
 public:
  explicit Chain(const Manifest& manifest);

  // The certificate must continue the chain: right run, round, attempt, previous, quorum.
  Result<void> append(const Certificate& certificate);

  std::uint64_t height() const { return height_; }  // certificates so far, VOIDs included
  const Digest& head() const { return head_; }      // digest of the last outcome; the run id at first
  RoundNumber next_round() const { return next_round_; }
  Attempt next_attempt() const { return next_attempt_; }
  // Of the round that comes next: attempts that were VOID and removed nobody with a vote. What a round does
  // without after some attempts, because it might be why they fail, follows from these alone: of the others
  // each costs a vote, and shows that a quorum certifies. (Seats of other members are free.)
  std::uint32_t fruitless_voids() const { return fruitless_voids_; }
  const Roster& roster() const { return *roster_; }
  // Of the last APPLY: what a state download is checked against. Zero before the first.
  const Digest& state_root() const { return state_root_; }
  // Of the last applied round: a VOID draws nothing new, or voiding would be a way to try again for a better
  // draw.
  const Digest& beacon() const { return beacon_; }
  // What contributions deviated from the last applied result by (Outcome::deviation); 0 before the first.
  float deviation() const { return deviation_; }
  // What evidence in the certificate of `outcome`, the next one, is checked against.
  EvidenceContext context_of(const Outcome& outcome) const;

 private:
  RunId run_;
  double hostile_share_;
  std::uint64_t height_ = 0;
  Digest head_;
  RoundNumber next_round_{1};
  Attempt next_attempt_{0};
  std::uint32_t fruitless_voids_ = 0;
  std::shared_ptr<const Roster> roster_;
  Digest state_root_{};
  Digest beacon_;
  float deviation_ = 0;
  std::vector<AppliedRound> applied_;  // the last two, the older first
};

// A stored ledger, certificate by certificate, for whoever only reads it: a member when it starts, and
// `testudo ledger`. The storage outlives it.
class LedgerReader {
 public:
  struct Entry {
    EvidenceContext context;
    Certificate certificate;
  };
  // Of which run the storage holds a ledger; nothing when it holds none. corrupt, io.
  static Result<std::optional<RunId>> stored_run(net::Storage& storage);
  static Result<LedgerReader> open(net::Storage& storage, const Manifest& manifest);
  // The next certificate, verified; nothing after the last one. corrupt, naming height, round and what does
  // not hold: the reader then stays where it is. refused: written by another version of this program.
  Result<std::optional<Entry>> next();
  const Chain& chain() const { return chain_; }
  // The evidence that is kept for a ban; nothing when there is none. corrupt.
  Result<std::optional<Evidence>> evidence(std::uint64_t height, const Digest& name) const;
  // Whether what a member remembers of its own steps reads as it was written. corrupt.
  static Result<void> check_remembered(net::Storage& storage);
  // Names of evidence that belongs to no ban of the certificates read so far, as (height, name).
  const std::set<std::pair<std::uint64_t, Digest>>& evidence_of_no_ban() const { return unclaimed_; }

 private:
  LedgerReader(net::Storage& storage, const Manifest& manifest) : storage_(&storage), chain_(manifest) {}
  net::Storage* storage_;
  Chain chain_;
  std::vector<std::string> keys_;
  std::set<std::pair<std::uint64_t, Digest>> unclaimed_;
};

class Ledger {
 public:
  // Loads and verifies what storage holds. `corrupt` when it does not check; `refused` when it is another
  // run's, or was written by another version of this program.
  static Result<std::unique_ptr<Ledger>> open(net::Storage& storage, const SignedManifest& manifest);

  const Chain& chain() const { return chain_; }
  // Verifies, stores together with `more` (the state after the round) and the evidence for its bans, then
  // moves the head. On an error nothing changed. `evidence`: what this member judged on; of other bans than
  // the certificate's it is left out.
  Result<void> append(const Certificate& certificate, std::vector<net::Storage::Entry> more = {},
                      const std::vector<Evidence>& evidence = {});
  // Certificates [from, from + count), encoded, fewer at the end.
  Result<std::vector<Bytes>> read(std::uint64_t from, std::size_t count) const;

  // Bans whose evidence this member has not seen, because it was not there: it asks others. The latest only.
  struct Unproven {
    std::shared_ptr<const EvidenceContext> context;
    Removal removal;
  };
  static constexpr std::size_t unproven_limit = 256;
  const std::deque<Unproven>& unproven() const { return unproven_; }
  // Evidence for one of them, which the caller has verified; where there is no room for it, nothing happens.
  Result<void> keep_evidence(const Unproven& ban, const Evidence& evidence);
  // Nobody has it.
  void give_up(const Unproven& ban);
  // As encoded; nothing when this member has none.
  Result<std::optional<Bytes>> read_evidence(std::uint64_t height, const Digest& name) const;

  // What a member must remember across kill -9, written before it acts:
  // the attempt that it entered (it may have signed phase messages there, and must not sign others) …
  struct Position {
    RoundNumber round;
    Attempt attempt;
    auto operator<=>(const Position&) const = default;
  };
  Result<void> remember_entered(Position position);
  std::optional<Position> entered() const { return entered_; }
  // … and the outcome that it signed for an attempt.
  // `more`: the state that the vote promises, so that it survives whoever signed for it.
  Result<void> remember_vote(const Outcome& outcome, std::vector<net::Storage::Entry> more = {});
  const std::optional<Outcome>& voted() const { return voted_; }

 private:
  friend class LedgerReader;  // the small records
  static Result<std::optional<Position>> read_entered(net::Storage& storage);
  static Result<std::optional<Outcome>> read_vote(net::Storage& storage);
  static Result<std::unique_ptr<Ledger>> load(net::Storage& storage, const SignedManifest& manifest);
  Ledger(net::Storage& storage, const Manifest& manifest) : storage_(storage), chain_(manifest) {}
  void note_unproven(const EvidenceContext& context, const std::set<Digest>& proven);
  net::Storage& storage_;
  Chain chain_;
  std::deque<Unproven> unproven_;
  std::size_t evidence_bytes_ = 0;
  std::optional<Position> entered_;
  std::optional<Outcome> voted_;
};

}  // namespace testudo::swarm
