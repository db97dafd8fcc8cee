// Round: one attempt of one round on one member, from COMPUTE to the outcome that it would sign. It reads
// from top to bottom like docs/protocol.md, section "One round" (round.cc: the course, COMMIT;
// round_parts.cc: SCATTER to GATHER, STEP; round_checks.cc: REVEAL, CHECK, disputed parts;
// round_validation.cc: recomputed contributions; round_audit.cc: results that are reduced again;
// round_evidence.cc: what bans are kept with); decisions on agreed sets are the pure functions of
// round_rules.h, strike_rules.h and checks/. Loop thread; model, coding and aggregation on the CPU pool.
//
// What must hold: two honest members that end an attempt make the same outcome, byte for byte, because
// everything in it follows from agreed sets and committed bytes. A member that cannot end it (it lacks bytes
// that the others agreed to have) says so and follows the certificate instead.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "net/async/task_group.h"
#include "net/host/host.h"
#include "swarm/broadcaster.h"
#include "swarm/ledger.h"
#include "training/model.h"
#include "training/partition.h"
#include "training/round/next_state.h"
#include "training/round/part_exchange.h"
#include "training/round/participant.h"
#include "training/round/payloads.h"
#include "training/round/reduce_job.h"
#include "training/round/round_record.h"
#include "training/round/rules.h"
#include "training/round/state_store.h"

namespace testudo::training {

class Round {
 public:
  using PeerId = swarm::PeerId;
  struct Setup {
    std::shared_ptr<const RoundRules> rules;
    swarm::RoundNumber round;
    swarm::Attempt attempt;
    // Of earlier attempts: VOIDs that removed nobody with a vote.
    std::uint32_t fruitless_voids = 0;
    Digest previous{};        // head of the chain
    Digest beacon{};          // beacon(t−1)
    float deviation = 0;      // of round t−1; 0: none is known
    crypto::Opening opening;  // of this member's coin; nobody else knows it
    swarm::Roster roster;
    std::shared_ptr<const TrainingState> state;
    std::shared_ptr<SpareBuffers> spare;         // for parts and the next state; may be null
    std::vector<swarm::Admission> applications;  // that this member has seen, ascending
    std::vector<swarm::Equivocation> accusations;
    std::vector<Mark> marks;                  // of this member's last attempt, ascending
    std::shared_ptr<const RoundRecord> last;  // of round t−1 and t−2; null: this member has none
    std::shared_ptr<const RoundRecord> before_last;
    // When the others entered this attempt, asked once this member's contribution is ready. Empty: with it.
    std::function<net::Task<net::TimePoint>()> others_entered = {};
    std::function<void(const std::string& phase)> on_phase_ended = {};  // may be empty
    Misconduct* misconduct = nullptr;
  };
  struct Result {
    swarm::Outcome outcome;
    std::shared_ptr<const TrainingState> state;  // after an APPLY
    std::vector<ReducedPart> reduced;            // what it was stepped with
    std::size_t contributors = 0;
    std::vector<swarm::Evidence> evidence;  // for the bans in the outcome
  };

  Round(net::Scheduler& scheduler, PeerId self, Setup setup, std::shared_ptr<Model> model,
        swarm::Broadcaster& broadcaster, PartExchange& exchange);

  // `not_found`: this member lacks what the others have; it follows their certificate. A member without a
  // vote has done its part when COMMIT is agreed: its result has no outcome, it waits for the others' …
  net::Task<testudo::Result<Result>> run();
  // … and this makes the state that they certified, of the results that they sent it; nothing where these do
  // not all come, or it was not drawn to get them. REQUIRES: run() gave a result, and this member has no
  // vote.
  net::Task<std::optional<Result>> follow(swarm::Outcome outcome);
  const std::vector<PhaseTime>& phases() const { return phases_; }
  // Once the coins are known and all have said what they found: also of a member that then could not end the
  // round and follows. Null before, and where the run has no validators.
  const std::shared_ptr<const RoundRecord>& record() const { return record_; }
  // What this member holds against others, to be said in the next attempt; at any time.
  const std::set<Mark>& marks() const { return marks_; }

 private:
  struct Prepared {  // of this member, for COMMIT
    std::vector<Blob> parts;
    CommitPayload commit;
  };
  struct Reduction {  // of one part
    PeerId reducer;
    std::vector<PeerId> contributors;  // C_j
    bool challenged = false;           // in REDUCE, by its reducer
    bool assigned_again = false;       // to another reducer
    bool is_due_again() const { return challenged || assigned_again; }
    std::optional<Digest> hash;  // agreed; nothing: absent
    Blob bytes;                  // as reduced here or received, with that hash
    bool decoded = false;        // its values stand in the next aggregate
    bool malformed = false;      // those bytes do not decode
    bool has_result() const { return hash && decoded && !malformed; }
    // The message that published `hash`, or that there is no result.
    std::shared_ptr<const swarm::PhaseMessage> claim;
    bool without_result = false;  // it said that the rule did not converge
  };

  struct EncodedPart {
    Blob bytes;
    Digest hash{};
    double distance = 0;  // from the last reduced vector
  };
  struct Encoded {
    std::uint32_t samples = 0;
    float loss = 0;
    std::vector<EncodedPart> parts;
  };
  struct OwnAudit {  // of this member, as an auditor
    Audit audit;
    std::vector<Blob> arrived;  // of each contributor, what was given to the pool last
    std::vector<Blob> good;     // and has the agreed hash
    std::size_t running = 0;    // jobs on the pool
    bool closed = false;        // what comes now does not count
    std::optional<bool> right;  // the result; nothing: not reduced again yet
    struct Arrival {
      PeerId sender;
      net::TimePoint time;
    };
    std::optional<Arrival> last_late;  // of what came after COMMIT
  };
  struct Batch {  // whose contribution, from what
    PeerId member;
    swarm::RoundNumber round;
    Digest beacon{};
    std::shared_ptr<const TrainingState> state;
    std::vector<PartRange> ranges;
    bool own = true;  // of this member and round
  };

  ContributionView view_of(const Batch& batch) const;
  static testudo::Result<EncodedPart> encode_part(const RoundRules& rules, const TrainingState& state,
                                                  std::span<const float> gradient, const PartRange& range,
                                                  bool with_distance,
                                                  const std::shared_ptr<SpareBuffers>& spare);
  net::Task<testudo::Result<Encoded>> encode_contribution(Batch batch, std::span<float> gradient,
                                                          std::shared_ptr<const void> memory);
  net::Task<testudo::Result<Prepared>> compute();
  net::Task<testudo::Result<Prepared>> contribute();
  net::Task<void> agree_on_contributions(Prepared& prepared);
  std::size_t in_turn(std::size_t i, std::size_t count) const;
  net::Task<void> scatter(const Prepared& prepared, bool again);
  std::vector<PartOf> missing_contributions() const;
  net::Task<void> reduce(swarm::Phase phase);
  std::size_t challenges_allowed() const;
  void send_results(bool again);
  void send_results_to_followers();
  void read_results(const swarm::AgreedBroadcast::MessageSet& set, bool again);
  net::Task<void> serve(const Prepared& prepared);
  void drop_contributions(Prepared& prepared);
  void assign_again();
  net::Task<void> gather();
  net::Task<void> hash_early();
  std::vector<PeerId> reducers() const;
  bool may_challenge_results(const std::vector<PartOf>& missing) const;
  std::vector<PartOf> missing_results() const;
  net::Task<testudo::Result<bool>> reveal();
  net::Task<testudo::Result<void>> serve_results(const std::map<std::size_t, std::set<PeerId>>& challenged);
  void ban_malformed_results();
  bool rests(const PeerId& member) const;
  void help_resting();
  net::Task<testudo::Result<void>> wait_for_help();
  net::Task<testudo::Result<void>> check(const Prepared& prepared);
  net::Task<testudo::Result<void>> settle(const Prepared& prepared);
  net::Task<StateDigests> step(Result& result);
  std::shared_ptr<const RoundRecord> make_record(const Prepared& prepared) const;
  swarm::Outcome make_outcome(swarm::OutcomeKind kind) const;

  net::Task<swarm::AgreedBroadcast::MessageSet> agree(swarm::Phase phase, net::Duration until_deadline,
                                                      Bytes payload);
  net::Task<void> wait_for_parts(const std::function<bool()>& complete, net::TimePoint limit);
  // What arrived goes to the pool, to be hashed and checked while the rest is on its way.
  void check_arrived_contributions(bool again);
  void check_arrived_contribution(const PartOf& entry);
  void check_arrived_of_candidates();
  net::Task<void> collect_of_candidates();
  bool contributions_complete(bool again) const;
  net::Task<void> read_contribution(PartOf entry, const AnswerPayload* answer);
  net::Task<void> check_contribution(PartOf entry, Blob bytes);
  void check_arrived_results();
  bool results_complete() const;
  net::Task<void> check_result(std::size_t part, Blob bytes, bool ours);
  net::Task<void> checks_done();
  ReduceJob reduce_job(std::size_t part) const;
  double tau_of(std::size_t part) const;
  Digest sketch_seed_of(std::size_t part) const;
  void read_checks(const swarm::AgreedBroadcast::MessageSet& set);
  const Deviation* report_on(std::size_t part, const PeerId& member) const;
  void note_findings(const CheckPayload& payload, const swarm::PhaseMessage& message);
  // Recomputed contributions (round_validation.cc).
  void draw_validators();
  net::Task<bool> recompute();
  net::Task<std::vector<Holding>> sketch_held() const;
  static bool is_same(const Encoded& computed, const RoundRecord::Commitment& committed);
  net::Task<std::optional<Statement>> own_statement();
  std::vector<std::optional<Sketch>> shown_of(const RoundRecord::Claim& claim) const;
  std::vector<Validation> find_disputes() const;
  std::vector<PeerId> find_right() const;
  template <typename Dispute>
  std::vector<Dispute> adopted(const std::map<PeerId, std::vector<Dispute>>& listed, std::size_t limit) const;
  void adopt_findings(const std::map<PeerId, CheckPayload>& checks);
  bool has_records_of_disputes() const;
  AnswerPayload::Parts earlier_parts(bool as_reducer) const;
  net::Task<void> read_earlier(Answers& answers, bool as_reducer);
  net::Task<testudo::Result<void>> judge_contributions();
  bool is_shown(const PeerId& target) const;
  net::Task<bool> judge_claims(const Validation& dispute);
  std::optional<Sketch> own_word(const PeerId& target, std::size_t part) const;
  net::Task<std::optional<double>> measure(PeerId target);
  // Results that are reduced again (round_audit.cc).
  std::optional<std::vector<PeerId>> senders_to(const Audit& audit, bool committed) const;
  void send_audited(bool committed);
  void begin_audit(const Audit& audit);
  net::Task<void> collect_audited();
  void check_arrived_audited();
  net::Task<void> check_audited(std::size_t contributor, Blob bytes);
  void close_audit();
  net::Task<void> audit_done();
  ReduceJob audit_job(const RoundRecord& of, std::size_t part, std::vector<Blob> contributions) const;
  std::optional<AuditStatement> own_audit_statement() const;
  Blob audited_reducers_own() const;
  std::optional<RoundRecord::AuditSaid> read_audit(const PeerId& auditor,
                                                   const AuditStatement& statement) const;
  std::vector<Audit> find_disputed_audits() const;
  std::vector<PartOf> unshown_of_audits() const;
  AnswerPayload::Parts audited_parts(bool as_reducer) const;
  net::Task<void> read_audited(Answers& answers, bool as_reducer);
  net::Task<testudo::Result<void>> judge_audits();
  net::Task<bool> is_suspicious(std::size_t part);
  net::Task<void> show_evidence(const Prepared& prepared);
  net::Task<void> judge(std::size_t part);
  net::Task<void> judge_reports(std::size_t part);
  net::Task<void> judge_by_shown(std::size_t part);
  void remove(const PeerId& peer, swarm::Fault fault);
  void remove_idle(std::size_t hostile);
  void strike_between(const PeerId& peer, swarm::StrikeReason reason, const PeerId& other);
  void note_lateness();
  // Evidence (round_evidence.cc).
  void ban(swarm::Evidence evidence);
  bool is_banned(const PeerId& peer) const;
  swarm::Evidence evidence_of(swarm::Fault fault, const swarm::PhaseMessage& message) const;
  swarm::Evidence evidence_of(const swarm::Equivocation& equivocation) const;
  swarm::Evidence wrong_sketch_evidence(std::size_t part, const PeerId& reporter) const;
  swarm::Evidence aggregate_by_shown_evidence(std::size_t part) const;
  struct Rerun {  // of one part, of this round or an earlier one
    std::uint32_t part = 0;
    PartRange range;
    const std::vector<PeerId>& contributors;
    const std::map<PeerId, RoundRecord::Message>& commits;
    const std::map<PartOf, Blob>& contributions;
    std::shared_ptr<const TrainingState> state;
  };
  net::Task<swarm::Evidence> rerun_evidence(swarm::Fault fault, RoundRecord::Message message,
                                            Rerun rerun) const;
  swarm::Evidence recomputed_evidence(swarm::Fault fault, const Validation& dispute,
                                      const swarm::AgreedBroadcast::MessageSet& measures) const;
  bool founders_suffice() const;
  PartKey key(PartKind kind, PartIndex part) const { return {setup_.round, setup_.attempt, kind, part}; }
  void lap(const char* phase);

  net::Scheduler& scheduler_;
  Setup setup_;
  std::shared_ptr<Model> model_;
  swarm::Broadcaster& broadcaster_;
  PartExchange& exchange_;
  PeerId self_;
  std::vector<PartRange> ranges_;
  std::vector<PeerId> order_;       // of the roster, permuted: who takes over
  std::vector<PeerId> alive_;       // ascending: the previous agreed set; from COMMIT on of those with a vote
  std::vector<PeerId> candidates_;  // ascending: of COMMIT, without a vote
  std::vector<PeerId> followers_;   // ascending: those of them that reducers send the results
  std::vector<PeerId> present_;     // ascending: of COMMIT
  std::map<PeerId, CommitPayload> commits_;
  std::map<PeerId, swarm::Removal> removed_;
  std::map<PeerId, swarm::Evidence> evidence_;  // of the banned among them
  std::vector<swarm::Strike> strikes_;          // all that were found
  std::set<Mark> marks_;
  std::vector<Reduction> reductions_;
  std::set<PartOf> challenged_;  // contributions, in REDUCE
  // Contributions that this member holds and has checked: its own, received, or broadcast as answers.
  std::map<PartOf, Blob> contributions_;
  std::shared_ptr<NextState> next_;  // until its parameters form, the gradient lies in its memory
  Digest coins_{};                   // all that were revealed
  // Results that nobody misses but members that rest, by part, and who helps this one.
  std::map<std::size_t, std::set<PeerId>> missed_by_resting_;
  std::map<std::size_t, PeerId> helpers_;
  std::map<PeerId, std::vector<Deviation>> reports_;   // of contributors, in CHECK
  std::vector<std::size_t> disputed_;                  // parts, ascending
  swarm::AgreedBroadcast::MessageSet check_messages_;  // where parts are disputed
  std::map<PeerId, RoundRecord::Message> commit_messages_;
  std::vector<Validation> validations_;          // drawn for this round
  std::optional<Encoded> recomputed_;            // by this member, as a validator
  std::map<PeerId, RoundRecord::Claim> claims_;  // in this round's CHECK
  std::vector<Validation> disputes_;             // contributions of the round before the last, ascending
  std::vector<PeerId> right_;                    // whose were found right, ascending
  std::vector<Audit> audits_;                    // drawn for this round; none: it is not known what of
  std::optional<OwnAudit> own_audit_;
  std::map<PeerId, RoundRecord::AuditSaid> audits_said_;  // in this round's CHECK
  std::vector<Audit> disputed_audits_;  // of results of the round before the last, ascending
  std::shared_ptr<const RoundRecord> record_;
  std::map<PartOf, Blob> earlier_;  // of disputed contributions, as they were shown
  std::map<PartOf, Blob> audited_;  // of disputed results, as they were shown
  float deviation_ = 0;             // of this round
  // What was given to the pool last, by whom or for which part; bytes that prove wrong are not checked again.
  std::map<PartOf, Blob> checked_contributions_;
  std::map<std::size_t, Blob> checked_results_;
  std::size_t checks_running_ = 0;  // but for those of what candidates sent
  // Of what `next_` was when all parts had arrived.
  std::shared_ptr<const NextState> hashed_early_;
  StateDigests early_digests_;
  // The end of the last agreed broadcast, the same on all honest members up to Δ: deadlines count from here,
  // never from when this member happened to be ready.
  net::TimePoint anchor_;
  bool lost_ = false;  // the others agreed on a set without this member's message
  net::TimePoint lap_start_;
  std::vector<PhaseTime> phases_;
  net::TaskGroup checks_;  // last: its tasks refer to the rest
};

}  // namespace testudo::training
