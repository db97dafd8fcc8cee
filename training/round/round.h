// Round: one attempt of one round on one member, from COMPUTE to the outcome that it would sign. It reads
// from top to bottom like docs/protocol.md, section "One round"; decisions on agreed sets are the pure
// functions of round_rules.h. Loop thread; model, coding and aggregation on the CPU pool.
//
// What must hold: two honest members that end an attempt make the same outcome, byte for byte, because
// everything in it follows from agreed sets and committed bytes. A member that cannot end it (it lacks bytes
// that the others agreed to have) says so and follows the certificate instead.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "net/host/host.h"
#include "swarm/broadcaster.h"
#include "swarm/ledger.h"
#include "swarm/manifest.h"
#include "training/aggregation/rule.h"
#include "training/codec/codec.h"
#include "training/model.h"
#include "training/optimizer/schedule.h"
#include "training/partition.h"
#include "training/round/part_exchange.h"
#include "training/round/participant.h"
#include "training/round/payloads.h"
#include "training/round/state.h"

namespace testudo::training {

// What a run fixes for all its rounds, made once from the manifest.
struct RoundRules {
  swarm::RunId run{};
  swarm::Manifest manifest;
  CodecKind codec = CodecKind::fp32;
  std::shared_ptr<const AggregationRule> rule;
  Schedule schedule = Schedule::constant(0);

  // invalid_argument: the manifest names a codec, rule or optimizer that this version does not know.
  static Result<std::shared_ptr<const RoundRules>> make(const swarm::Manifest& manifest);
};

// The optimizer's state before the first round.
Result<TrainingState> initial_state(const RoundRules& rules, std::vector<float> parameters);
// One step with the reduced vector; pure. CPU-bound.
Result<TrainingState> next_state(const RoundRules& rules, const TrainingState& state,
                                 std::vector<float> aggregate);

class Round {
 public:
  using PeerId = swarm::PeerId;
  struct Setup {
    std::shared_ptr<const RoundRules> rules;
    swarm::RoundNumber round;
    swarm::Attempt attempt;
    Digest previous{};  // head of the chain
    Digest beacon{};    // beacon(t−1)
    swarm::Roster roster;
    std::shared_ptr<const TrainingState> state;
    std::vector<swarm::Admission> applications;  // that this member has seen, ascending
    std::vector<swarm::Equivocation> accusations;
  };
  struct Result {
    swarm::Outcome outcome;
    std::shared_ptr<const TrainingState> state;  // after an APPLY
    std::shared_ptr<const Bytes> encoded;        // the same, as the certificate's root covers it
    std::size_t contributors = 0;
  };

  Round(net::Scheduler& scheduler, PeerId self, Setup setup, std::shared_ptr<Model> model,
        swarm::Broadcaster& broadcaster, PartExchange& exchange);

  // `not_found`: this member lacks what the others have; it follows their certificate.
  net::Task<testudo::Result<Result>> run();
  const std::vector<PhaseTime>& phases() const { return phases_; }

 private:
  struct Prepared {  // of this member, for COMMIT
    std::vector<std::shared_ptr<const Bytes>> parts;
    CommitPayload commit;
  };
  struct Reduction {  // of one part
    PeerId reducer;
    std::vector<PeerId> contributors;  // C_j
    bool assigned_again = false;
    std::optional<Digest> hash;  // agreed; nothing: absent
    std::shared_ptr<const Bytes> bytes;
  };

  net::Task<testudo::Result<Prepared>> compute();
  net::Task<void> agree_on_contributions(Prepared& prepared);
  net::Task<void> scatter(const Prepared& prepared, bool again);
  net::Task<void> serve(const Prepared& prepared);
  net::Task<void> reduce(swarm::Phase phase);
  void assign_again();
  net::Task<testudo::Result<void>> gather();
  net::Task<testudo::Result<std::vector<float>>> assemble();
  swarm::Outcome make_outcome(swarm::OutcomeKind kind) const;

  net::Task<swarm::AgreedBroadcast::MessageSet> agree(swarm::Phase phase, net::Duration until_deadline,
                                                      Bytes payload);
  net::Task<void> wait_for_parts(const std::function<bool()>& complete, net::TimePoint limit);
  std::shared_ptr<const Bytes> contribution(PartIndex part, const PeerId& from);
  bool decodes_as_committed(ByteView bytes, PartIndex part, const PeerId& from) const;
  void remove(const PeerId& peer, swarm::Fault fault, const Digest& evidence = {});
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
  std::vector<PeerId> order_;    // of the roster, permuted: who takes over
  std::vector<PeerId> alive_;    // ascending: the previous agreed set
  std::vector<PeerId> present_;  // ascending: of COMMIT
  std::map<PeerId, CommitPayload> commits_;
  std::map<PeerId, swarm::Removal> removed_;
  std::vector<Reduction> reductions_;
  // Contributions that this member holds and has checked: its own, received, or broadcast as answers.
  std::map<PartOf, std::shared_ptr<const Bytes>> contributions_;
  // The end of the last agreed broadcast, the same on all honest members up to Δ: deadlines count from here,
  // never from when this member happened to be ready.
  net::TimePoint anchor_;
  bool lost_ = false;  // the others agreed on a set without this member's message
  net::TimePoint lap_start_;
  std::vector<PhaseTime> phases_;
};

}  // namespace testudo::training
