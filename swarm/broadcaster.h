// Broadcaster: runs agreed broadcasts one after another over Links: keeps frames that come early, drives the
// machine's deadlines, collects equivocations. Owned by the participant; loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "net/async/event.h"
#include "net/async/task.h"
#include "swarm/agreed_broadcast.h"

namespace testudo::swarm {

class Broadcaster {
 public:
  // Sends an encoded broadcast frame to every peer of the list but this one.
  using Send = std::function<void(const std::vector<PeerId>& to, Bytes frame)>;

  // Frames of later phases that are kept for one peer until this member gets there: of a round or two, its
  // own and those that it hands on for others.
  static constexpr std::size_t early_frames_per_peer = 1024;
  static constexpr std::size_t early_bytes_per_peer = 64 * 1024 * 1024;
  // Of peers that this member does not know as members, together: its ledger may be a round behind theirs.
  static constexpr std::size_t unknown_frames = 64;
  static constexpr std::size_t unknown_frames_per_peer = 8;
  static constexpr std::size_t unknown_frame_bytes = 64 * 1024;
  // Evidence that waits to be reported.
  static constexpr std::size_t evidence_limit = 16;

  Broadcaster(net::Scheduler& scheduler, const crypto::KeyPair& self, Send send);

  // Runs one phase to its end. Phases come in ascending order of their keys.
  net::Task<AgreedBroadcast::MessageSet> agree(AgreedBroadcast::Setup setup, Bytes payload);
  // Whether the phase that ended last ended by the fast proof.
  bool fast() const { return machine_->fast(); }
  bool overslept() const { return machine_->overslept(); }
  // Who was late in the phase that ended last (rule 7 of the broadcast).
  std::vector<PeerId> late() const { return machine_->late(); }
  std::vector<PeerId> unconfirmed() const { return machine_->unconfirmed(); }
  // Who contradicted itself in the phase that ended last, as agreed.
  std::vector<PeerId> contradicted() const { return machine_->contradicted(); }
  // The equivocations seen in that phase: also of all who contradicted themselves as agreed.
  const std::map<PeerId, Equivocation>& equivocations() const { return machine_->equivocations(); }
  // A frame from a member of the run. False when it is malformed or wrongly signed.
  bool receive(const PeerId& from, const BroadcastFrame& frame, std::size_t size);
  // A frame from somebody whom the ledger does not know as a member yet: kept for a phase to come.
  void receive_of_unknown(const PeerId& from, const BroadcastFrame& frame, std::size_t size);
  // Whether a member has begun a phase that this member has not.
  bool heard_of(const PhaseKey& key) const { return early_.contains(key); }
  // Frames of phases before this position are forgotten.
  void forget_before(RoundNumber round, Attempt attempt);

  // Equivocations that are not in a certificate yet.
  const std::map<PeerId, Equivocation>& evidence() const { return evidence_; }
  // Of one that was found elsewhere, and verified.
  void add_evidence(const Equivocation& equivocation);
  void drop_evidence(const PeerId& offender) { evidence_.erase(offender); }
  // Phases that ended without the fast path.
  std::uint64_t slow_phases() const { return slow_phases_; }

 private:
  struct Early {
    PeerId from;
    BroadcastFrame frame;
    std::size_t size;
  };
  void flush();
  void collect_evidence();

  net::Scheduler& scheduler_;
  const crypto::KeyPair& self_;
  Send send_;
  // The machine that runs, or the one that ended last: it still answers with what ended it.
  std::unique_ptr<AgreedBroadcast> machine_;
  net::Event changed_;
  std::map<PhaseKey, std::vector<Early>> early_;
  std::map<PeerId, std::pair<std::size_t, std::size_t>> early_load_;  // frames, bytes
  std::deque<std::pair<PhaseKey, Early>> unknown_;                    // at most unknown_frames
  std::map<PeerId, Equivocation> evidence_;
  std::uint64_t slow_phases_ = 0;
};

}  // namespace testudo::swarm
