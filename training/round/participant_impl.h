// What Participant keeps to itself: included by the four files that implement it. Loop thread only.
//   participant.cc         joining, the attempt of a round, adopting its certificate
//   participant_frames.cc  votes and frames of the others, what is repeated every second
//   participant_follow.cc  being behind: the ledger from others; reports; the end
//   participant_state.cc   being behind: the training state from others
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>

#include "dht/dht.h"
#include "net/async/channel.h"
#include "net/messages/misbehaviour.h"
#include "swarm/ballot.h"
#include "swarm/broadcaster.h"
#include "swarm/control.h"
#include "swarm/directory.h"
#include "swarm/links.h"
#include "swarm/sync.h"
#include "training/round/applicants.h"
#include "training/round/participant.h"
#include "training/round/round.h"
#include "training/round/state_store.h"
#include "training/serial_model.h"

namespace testudo::training {

using net::Task;
using swarm::Certificate;
using swarm::OutcomeKind;
using swarm::PeerId;
using namespace std::chrono_literals;

// Longer ago than any phase that still lasts began.
inline constexpr net::Duration long_ago = std::chrono::milliseconds(2 * std::int64_t{swarm::max_deadline_ms});

// Votes and applications are repeated: a frame may be lost with its connection.
inline constexpr net::Duration repeat_every = 1s;

// Whoever claims a longer ledger, or a state, and does not show it is not asked again for this long, the next
// time for twice as long. An honest one whose line was down for a while is asked again within the longest.
inline constexpr net::Duration distrust_time = 10s;
inline constexpr net::Duration longest_distrust = 80s;

// Donors of a state: each has its own line up, more make a download no faster and cost everybody a question.
inline constexpr std::size_t donors_asked = 16;
// Steps that are fetched side by side, in memory until they are repeated.
inline constexpr std::size_t most_steps_at_once = 4;

// What a member waits for that has none.
inline constexpr const char* fetching = "fetching the training state from the members";
inline constexpr net::Duration say_fetched_every = 1s;

// Reports that wait for an evaluation before rounds wait for the evaluator.
inline constexpr std::size_t report_queue = 256;

class Participant::Impl {
 public:
  Impl(net::Host& host, dht::Dht& dht, net::Storage& storage, swarm::SignedManifest manifest,
       std::shared_ptr<Model> model, std::shared_ptr<Model> evaluator, ParticipantObserver& observer,
       ParticipantOptions options)
      : host_(host),
        scheduler_(host.scheduler()),
        storage_(storage),
        manifest_(std::move(manifest)),
        run_(manifest_.manifest.run_id()),
        model_(std::make_shared<SerialModel>(std::move(model))),
        evaluator_(std::move(evaluator)),
        observer_(observer),
        options_(options),
        self_(host.id()),
        states_(host.scheduler(), storage),
        directory_(host, dht, run_),
        downloads_(scheduler_),
        changed_(scheduler_),
        reports_(scheduler_, report_queue),
        tasks_(scheduler_) {}

  Task<Result<void>> run();
  const TrainingState& state() const { return *state_; }
  bool has_state() const { return state_ != nullptr; }

 private:
  struct Claim {  // of a ledger that is at least so long
    PeerId from;
    std::uint64_t height = 0;
  };
  struct Distrust {
    net::TimePoint until;
    net::Duration time{};
  };
  struct Moved {
    net::TimePoint when;
    std::uint64_t bytes = 0;  // received until then
  };
  struct Trying {  // to be where the others are, for a seat
    net::TimePoint since;
    std::uint64_t round = 0;  // the run's, then
    net::Duration moving{};   // downloads took so long in all
    std::uint64_t bytes = 0;  // and brought so much
  };
  struct PendingReport {
    RoundReport report;
    std::shared_ptr<const TrainingState> evaluate;  // null: without evaluation
  };

  const swarm::Chain& chain() const { return ledger_->chain(); }
  const swarm::Manifest& manifest() const { return manifest_.manifest; }
  std::size_t hostile_count() const {
    return chain().roster().greatest_hostile_count(manifest().hostile_share);
  }
  // In the attempt that comes next, or is under way.
  bool voted_here() const {
    const auto& voted = ledger_->voted();
    return voted && voted->round == chain().next_round() && voted->attempt == chain().next_attempt();
  }
  bool seated() const { return chain().roster().contains(self_); }
  // What the results of a round may take to come to a newcomer: the other half of COMMIT's time is the
  // model's.
  net::Duration longest_step() const { return manifest().compute_deadline() / 2; }

  Result<void> open();
  void connect_protocols();
  Task<void> repeat_loop();
  Task<void> report_loop();
  Task<void> wait_for_start();
  void note_entered(net::TimePoint when);
  void note_next_attempt(net::TimePoint when);
  void ask_since_when();
  Task<net::TimePoint> others_entered();
  Task<void> follow(Claim claim);
  Task<void> ask_for_certificate(Claim claim);
  void ask_whoever_is_ahead();
  std::optional<Claim> take_claim();
  // Claims that came to nothing do not keep it from the state of the last round that it knows.
  bool may_follow() const { return state_ ? !seated() : !followed_in_vain_; }
  void claim_ahead(const PeerId& from, std::uint64_t height);
  void distrust(const PeerId& liar);
  bool is_distrusted(const PeerId& peer) const;
  Task<void> fetch_state();
  struct Way;
  struct Step;
  std::vector<PeerId> donors() const;
  Task<std::optional<Way>> find_way(std::vector<PeerId> donors, Digest root);
  bool leads_along_the_chain(const std::vector<Digest>& roots) const;
  Task<Result<StateStore::State>> go(Way& way);
  Task<Result<StateStore::State>> fetch_whole(const Way& way);
  Task<Result<Step>> fetch_step(Way& way, std::size_t index);
  void drop(Way& way, const PeerId& donor, const Error& why);
  net::Duration patience_for_a_step() const;
  bool is_slow(const PeerId& donor) const;
  void judge_line(net::TimePoint begun, const Moved& before);
  void begin_fetching(const Way& way);
  void note_fetched(std::size_t bytes);
  Task<Result<StateStore::State>> repeat(Way& way, std::size_t index, StateStore::State from,
                                         Result<Step> step);
  Task<void> store_fetched(Task<Result<StateStore::Entries>> prepared, Digest root);
  Task<void> store_beside(Digest root, StateStore::State state);
  Task<void> fetch_evidence();
  Task<void> attempt();
  std::shared_ptr<const RoundRecord> record_of(std::uint64_t round) const;
  crypto::Opening opening_at(const swarm::Ledger::Position& position) const;
  Task<Result<StateStore::Entries>> prepare(const Round::Result& own, Digest root);
  Task<void> adopt(Certificate certificate, const Round::Result* own, const Round* round,
                   net::TimePoint started);
  Task<void> finish();

  void receive(const PeerId& from, const Bytes& header);
  void receive_vote(const PeerId& from, const swarm::VoteFrame& frame);
  void receive_certificate(const PeerId& from, Certificate certificate);
  void look_for_second_signatures(const PeerId& from, const Certificate& other);
  void receive_hello(const PeerId& from, const swarm::HelloFrame& frame);
  void look_for_certificate();
  Result<void> vote(swarm::Outcome outcome, StateStore::Entries entries = {});
  swarm::HelloFrame hello() const;
  bool hopeless() const;
  std::set<PeerId> out_of_attempt() const;
  void vote_as_spectator();

  void send(const PeerId& to, const swarm::ControlFrame& frame);
  void send_to_members(const swarm::ControlFrame& frame);
  bool load_state(const Digest& root);
  std::vector<swarm::Admission> fresh_applications() const;
  std::vector<swarm::Equivocation> accusations() const;
  std::size_t connected_founders() const;
  std::string missing_founders() const;
  std::size_t members_here() const;
  std::string missing_to_start(bool after_grace) const;
  std::string waiting_reason() const;
  void say_waiting(const std::string& reason);
  void say_unwritten(const Error& error);
  void note_roster(const swarm::Outcome& outcome);
  void note_strikes(const swarm::Outcome& outcome);
  void note_vote();
  Error banned() const;
  Task<void> dismiss(PeerId peer, Certificate certificate);

  net::Host& host_;
  net::Scheduler& scheduler_;
  net::Storage& storage_;
  swarm::SignedManifest manifest_;
  swarm::RunId run_;
  std::shared_ptr<Model> model_;
  std::shared_ptr<Model> evaluator_;
  ParticipantObserver& observer_;
  ParticipantOptions options_;
  PeerId self_;
  std::shared_ptr<const RoundRules> rules_;
  std::unique_ptr<swarm::Ledger> ledger_;
  std::shared_ptr<const TrainingState> state_;  // of the chain's head; null while it has to be fetched
  std::shared_ptr<SpareBuffers> spare_;
  std::map<std::uint64_t, std::shared_ptr<const RoundRecord>> records_;  // of the last two applied rounds
  std::vector<Mark> marks_;                                              // of the last attempt
  std::vector<PeerId> resting_;                                          // as the observer knows it
  std::optional<bool> votes_;  // as the log knows it; nothing without a seat
  StateStore states_;
  swarm::Directory directory_;
  std::unique_ptr<swarm::Links> control_;
  std::unique_ptr<PartExchange> exchange_;
  std::unique_ptr<swarm::Broadcaster> broadcaster_;
  std::unique_ptr<swarm::SyncServer> sync_;
  swarm::Ballot ballot_;
  std::optional<Certificate> certificate_;  // of the current position, not adopted yet
  net::TimePoint certificate_time_;
  std::optional<Claim> ahead_;
  bool asking_ = false;
  swarm::DownloadWindow downloads_;  // what its line bears of them
  std::size_t ways_looked_for_ = 0;
  FetchProgress fetched_;  // of the way that is gone
  net::TimePoint fetching_from_;
  net::TimePoint say_fetched_from_;
  std::size_t wholes_fetched_ = 0;
  std::size_t steps_at_once_ = most_steps_at_once;
  std::map<PeerId, net::Duration> step_times_;  // what its last step took, a donor
  std::optional<Trying> trying_;
  net::Duration step_time_{};              // what a step took, the last time
  bool lost_for_its_line_ = false;         // its seat, because a step took too long
  std::string slow_line_;                  // why it has none, where its line is the reason
  net::TimePoint say_slow_line_from_;      // what is wrong with the line is not repeated before
  bool followed_in_vain_ = false;          // the last claim
  bool level_ = false;                     // has the last state that it heard of, or will soon
  std::map<PeerId, Distrust> distrusted_;  // who claimed that and had nothing to show
  bool fetching_evidence_ = false;
  std::map<std::pair<std::uint64_t, Digest>, std::size_t> evidence_tries_;  // of bans, by height and name
  Applicants applicants_;
  std::map<PeerId, std::uint64_t> heights_;
  std::map<PeerId, std::uint64_t> looking_on_;  // members that take no part in the attempt at this height
  bool spectator_ = false;                      // whether this one is among them
  net::TimePoint progress_;                     // of the last certificate, or of the start
  net::Misbehaviour misbehaviour_{swarm::round_protocol};
  std::string waiting_;
  net::TimePoint say_unwritten_from_;  // what the disk says is not repeated before
  bool started_ = false;
  net::TimePoint voted_at_;
  net::TimePoint entered_;                           // the attempt at this height
  std::map<PeerId, net::TimePoint> others_entered_;  // the attempt at this height, as they say
  std::optional<net::TimePoint> asked_;              // when they were asked that; nothing: they were not
  net::Event changed_;
  net::Channel<PendingReport> reports_;
  bool reported_all_ = false;
  net::Traffic traffic_before_;
  net::TaskGroup tasks_;  // last: its tasks refer to everything above
};

}  // namespace testudo::training
