// AgreedBroadcast: after it, all honest members hold the same set of messages, whatever liars and slow links
// do. A sans-IO machine, one a phase: frames and time in, frames and the next deadline out. Loop thread only.
//
// Specification (Dolev–Strong with a fast path; docs/protocol.md)
//  Given: the expected members (the previous agreed set), those of them that have a vote, T, Δ, and F, the
//  greatest number of hostile voters. What follows is promised to voters; others hold what they were shown.
//  1. Everybody sends its signed message to everybody.
//  2. Who holds a message of every expected member, or has reached T, signs and sends the digest of the set
//  it
//     holds, once. Equal digests of all expected voters are a *fast proof*: it ends the phase with that set.
//     (A liar that shows its message to one half only makes two digests: no proof.)
//  3. Who ends a phase forwards what ended it, so that honest members leave it within Δ of one another.
//  4. Without a fast proof at T: every held message is signed and relayed. An item (message or proof) first
//  seen in
//     slot k ≤ F+1 after T, slots of length 2Δ, counts iff k distinct voters other than its author relayed it
//     with their signatures; who counts it signs and relays it once. (k signatures contain an honest one as
//     soon as k > F: an item cannot first appear to some honest members only at the end.)
//  5. At T + (F+1)·2Δ the phase ends with the messages that count; an author with two different ones has
//  none, and
//     the two are evidence.
//  6. A member that acts on a deadline a slot late (its machine slept) relayed nothing that could count: what
//  it
//     holds says nothing of the others. It overslept the phase, blames nobody and follows their certificate.
//  7. Every member can name who was late: whose message it did not hold a slot before T; and, of a phase that
//     lasted until T and in the end lacks nobody, who had not told it by T that it holds the same set.
//     Whoever held all messages a slot before T has told everybody by T, also those that entered up to Δ
//     earlier; so who has not told, and names nobody as late, kept it back. (Attack: to send a message in
//     time, and then no digest.) Where members without a vote are expected nobody is named for that: they may
//     send their messages so late to some that these have nothing to confirm before T.
//  8. Members that nobody can connect to hear one another through the others: of each, four drawn by the key
//     of the phase hand on what it says, as it is. (Where all four are liars the phase is slow, no more: two
//     such members have no strikes for what one says of the other.)
//  Honest members enter a phase within Δ of one another and deliver within Δ, through others where they have
//  to.
// Cost: without faults 3 small messages a pair of members; with faults one bundle of all messages a pair
// more. Bounds: two messages an author (more prove nothing new), one set digest a holder, F+1 slots.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "net/async/scheduler.h"
#include "swarm/phase_message.h"

namespace testudo::swarm {

class AgreedBroadcast {
 public:
  struct Setup {
    RunId run{};
    PhaseKey key;
    std::vector<PeerId> expected;   // ascending; whose messages are waited for, self included
    std::set<PeerId> voters;        // whose relays count, and whose digests make a proof
    std::size_t hostile_count = 0;  // F
    net::TimePoint deadline;        // T
    net::Duration delta{};          // Δ
    // Larger payloads count as if they had not been sent: every frame must fit its link.
    std::size_t max_payload = 64 * 1024;
    std::set<PeerId> unreachable{};  // of the expected, those that nobody can connect to
  };
  using MessageSet = std::map<PeerId, PhaseMessage>;

  AgreedBroadcast(Setup setup, const crypto::KeyPair& self);

  // This member's own message; at most once.
  void send(net::TimePoint now, Bytes payload);
  // A frame with this phase's key from anybody. False when it is invalid or of no use: not signed by whom it
  // says, from nobody expected.
  bool receive(net::TimePoint now, const BroadcastFrame& frame);
  // To be called at next_deadline().
  void advance(net::TimePoint now);
  net::TimePoint next_deadline() const;

  bool finished() const { return finished_; }
  // The agreed set. REQUIRES: finished().
  const MessageSet& result() const { return result_; }
  // Authors with two payloads that both count, the same for all honest members: none after a fast proof,
  // whose set says nothing of what else was seen. REQUIRES: finished().
  std::vector<PeerId> contradicted() const;
  // By which way it ended, for reports.
  bool fast() const { return fast_; }
  // Whether the result may be this member's alone, because it was not awake when it had to act (rule 6).
  bool overslept() const { return overslept_; }
  // Rule 7, both ascending; nobody where this member was not there in time itself. REQUIRES: finished().
  std::vector<PeerId> late() const;
  std::vector<PeerId> unconfirmed() const;
  // Frames for every other member of the phase (also after it finished).
  std::vector<BroadcastFrame> take_output();
  // Frames of unreachable members for the other unreachable ones (rule 8).
  struct Forward {
    PeerId author;
    BroadcastFrame frame;
  };
  std::vector<Forward> take_forwards();
  // Equivocations seen, one an offender; they grow also after the end.
  const std::map<PeerId, Equivocation>& equivocations() const { return equivocations_; }
  const PhaseKey& key() const { return setup_.key; }
  std::size_t held() const { return held_.size(); }
  const Setup& setup() const { return setup_; }

 private:
  struct Held {
    PhaseMessage first;
    std::optional<PhaseMessage> second;  // of an equivocator
    net::TimePoint arrived;
  };
  bool expects(const PeerId& id) const;
  std::size_t slot(net::TimePoint now) const;  // 0 until T
  bool receive_message(net::TimePoint now, const PhaseMessage& message);
  bool receive_held(net::TimePoint now, const HeldMessage& held);
  bool receive_relayed(net::TimePoint now, const Relayed& relayed, RelayBundle& onward);
  // Keeps a verified message. False: nothing new.
  bool keep(net::TimePoint now, const PhaseMessage& message);
  MessageSet counted() const;
  Digest digest_of(const MessageSet& set) const;
  // Rule 8, of what is new.
  void forward(const PeerId& author, const BroadcastFrame& frame);
  // In frames that each fit a link, however many items there are.
  void relay(RelayBundle bundle);
  void sign_held(net::TimePoint now);
  void look_for_proof(net::TimePoint now);
  void finish(net::TimePoint now, MessageSet set, bool fast);
  net::TimePoint slot_before_deadline() const { return setup_.deadline - 2 * setup_.delta; }
  // Whether this member was there to tell who was late.
  bool may_name() const;

  Setup setup_;
  const crypto::KeyPair& self_;
  PeerId self_id_;
  std::vector<PeerId> proving_;  // ascending: the expected voters
  std::map<PeerId, Held> held_;
  std::map<PeerId, Equivocation> equivocations_;
  std::optional<MessageSet> signed_set_;  // what this member's digest stood for
  Digest signed_digest_{};
  std::map<PeerId, HeldMessage> digests_;
  std::set<PeerId> confirmed_;  // whose digests were here by T
  std::optional<net::TimePoint> entered_;
  net::TimePoint finished_at_;
  bool relaying_ = false;  // T has passed without a proof
  bool finished_ = false;
  bool fast_ = false;
  bool overslept_ = false;
  MessageSet result_;
  std::vector<BroadcastFrame> output_;
  std::vector<Forward> forwards_;
};

}  // namespace testudo::swarm
