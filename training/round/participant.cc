#include "training/round/participant.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <set>

#include "crypto/base/encoding.h"
#include "dht/dht.h"
#include "net/async/channel.h"
#include "net/async/combinators.h"
#include "swarm/ballot.h"
#include "swarm/broadcaster.h"
#include "swarm/control.h"
#include "swarm/directory.h"
#include "swarm/links.h"
#include "swarm/sync.h"
#include "training/round/round.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using net::Task;
using swarm::Certificate;
using swarm::OutcomeKind;
using swarm::PeerId;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view state_key = "state";
// Votes and applications are repeated: a frame may be lost with its connection.
constexpr net::Duration repeat_every = 1s;
// Founders that start together wait this long for one another before the first round.
constexpr net::Duration startup_grace = 15s;
// An application that was not repeated for so long does not count any more.
constexpr net::Duration application_lifetime = 5s;
constexpr std::size_t applicants_limit = 256;
// Encoded states kept for members that are a step behind.
constexpr std::size_t served_states = 3;
// Whoever claims a longer ledger and does not show it is not asked again for this long.
constexpr net::Duration distrust_time = 10s;
// Reports that wait for an evaluation before rounds wait for the evaluator.
constexpr std::size_t report_queue = 256;

// The stated worst time of a round's attempt: every phase at its deadline and the slow path in each.
net::Duration worst_attempt_time(const swarm::Manifest& manifest, std::size_t hostile_count) {
  constexpr int broadcasts = 7;
  constexpr int exchange_deadlines =
      10;  // two for serve, reduce_again and gather, which begin with moving parts
  return manifest.compute_deadline() + exchange_deadlines * manifest.exchange_deadline() +
         broadcasts * 2 * manifest.delta() * static_cast<std::int64_t>(hostile_count + 1);
}

Task<void> run_round(Round& round, std::optional<Result<Round::Result>>& result, net::Event& done) {
  result.emplace(co_await round.run());
  done.pulse();
}

}  // namespace

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
        model_(std::move(model)),
        evaluator_(std::move(evaluator)),
        observer_(observer),
        options_(options),
        self_(host.id()),
        directory_(host, dht, run_),
        changed_(scheduler_),
        reports_(scheduler_, report_queue),
        tasks_(scheduler_) {}

  Task<Result<void>> run();
  const TrainingState& state() const { return *state_; }
  bool has_state() const { return state_ != nullptr; }

 private:
  struct Applicant {
    net::TimePoint heard;
    bool client_mode = false;
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
  bool seated() const { return chain().roster().contains(self_); }

  Result<void> open();
  void connect_protocols();
  Task<void> repeat_loop();
  Task<void> report_loop();
  Task<void> wait_for_start();
  Task<void> follow();
  Task<void> ask_for_certificate(PeerId donor);
  void claim_ahead(const PeerId& from);
  Task<void> fetch_state();
  Task<void> attempt();
  Task<void> adopt(Certificate certificate, const Round::Result* own, const Round* round,
                   net::TimePoint started);
  Task<void> finish();

  void receive(const PeerId& from, const Bytes& header);
  void receive_vote(const PeerId& from, const swarm::VoteFrame& frame);
  void receive_certificate(const PeerId& from, Certificate certificate);
  void receive_hello(const PeerId& from, const swarm::HelloFrame& hello);
  void look_for_certificate();
  Result<void> vote(swarm::Outcome outcome);
  void vote_as_spectator(net::TimePoint attempt_started);

  void send(const PeerId& to, const swarm::ControlFrame& frame);
  void send_to_members(const swarm::ControlFrame& frame);
  void keep_state(std::shared_ptr<const TrainingState> state, Bytes encoded);
  std::vector<swarm::Admission> fresh_applications() const;
  std::vector<swarm::Equivocation> accusations() const;
  std::size_t connected_founders() const;
  void say_waiting(const std::string& reason);
  void note_roster(const swarm::Outcome& outcome);

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
  std::deque<std::pair<Digest, std::shared_ptr<const Bytes>>> served_;
  swarm::Directory directory_;
  std::unique_ptr<swarm::Links> control_;
  std::unique_ptr<PartExchange> exchange_;
  std::unique_ptr<swarm::Broadcaster> broadcaster_;
  std::unique_ptr<swarm::SyncServer> sync_;
  swarm::Ballot ballot_;
  std::optional<Certificate> certificate_;  // of the current position, not adopted yet
  net::TimePoint certificate_time_;
  std::optional<PeerId> ahead_;  // somebody who claims a longer ledger
  bool asking_ = false;
  std::map<PeerId, net::TimePoint> distrusted_;  // who claimed that and had nothing to show, until when
  std::map<PeerId, Applicant> applicants_;
  std::map<PeerId, std::uint64_t> heights_;
  std::string waiting_;
  bool started_ = false;
  net::Event changed_;
  net::Channel<PendingReport> reports_;
  bool reported_all_ = false;
  net::Traffic traffic_before_;
  net::TaskGroup tasks_;  // last: its tasks refer to everything above
};

// --- start
// -----------------------------------------------------------------------------------------------------

Result<void> Participant::Impl::open() {
  TRY(rules_, RoundRules::make(manifest()));
  if (model_->parameter_count() != manifest().parameter_count) {
    return fail(ErrorCode::invalid_argument, "the model has " + std::to_string(model_->parameter_count()) +
                                                 " parameters, the manifest says " +
                                                 std::to_string(manifest().parameter_count));
  }
  TRY(ledger_, swarm::Ledger::open(storage_, manifest_));
  if (chain().roster().is_banned(self_)) {
    return fail(ErrorCode::refused,
                "this identity is banned from the run: its signed messages prove a fault");
  }
  if (chain().next_round() == swarm::RoundNumber(1)) {
    TRY(auto initial, initial_state(*rules_, model_->initial_parameters(manifest().seed)));
    auto shared = std::make_shared<const TrainingState>(std::move(initial));
    keep_state(shared, shared->encode());
    return {};
  }
  TRY(auto stored, storage_.get(state_key));
  if (stored && swarm::state_root(*stored) == chain().state_root()) {
    TRY(auto decoded, TrainingState::decode(*stored, manifest().parameter_count));
    keep_state(std::make_shared<const TrainingState>(std::move(decoded)), std::move(*stored));
  }
  return {};
}

void Participant::Impl::connect_protocols() {
  const auto gate = [this](const PeerId& from) { return !chain().roster().is_banned(from); };
  // A part is a share of the values, at most all of them; an answer carries a few of them.
  const std::size_t whole = encoded_size(rules_->codec, static_cast<std::size_t>(manifest().parameter_count));
  const std::size_t control_limit =
      1024 * 1024 + manifest().group_max * 4096 + manifest().challenge_limit * whole;
  control_ = std::make_unique<swarm::Links>(
      host_, "/testudo/round/1.0.0",
      swarm::Links::Limits{.header_bytes = control_limit, .blob_bytes = 0, .queued_frames = 1024}, gate,
      [this](const PeerId& from, Bytes header, Bytes) { receive(from, header); });
  exchange_ = std::make_unique<PartExchange>(host_, whole, manifest().group_max, [this](const PeerId& from) {
    return chain().roster().contains(from);
  });
  broadcaster_ = std::make_unique<swarm::Broadcaster>(
      scheduler_, host_.identity(), [this](const std::vector<PeerId>& to, Bytes frame) {
        const auto shared = std::make_shared<const Bytes>(swarm::encode_control_broadcast(frame));
        for (const PeerId& peer : to) {
          if (peer != self_) control_->send(peer, {shared, nullptr});
        }
      });
  sync_ = std::make_unique<swarm::SyncServer>(host_, run_, *ledger_, [this](const Digest& root) {
    const auto found = std::ranges::find(served_, root, &decltype(served_)::value_type::first);
    return found == served_.end() ? nullptr : found->second;
  });
  for (const PeerId& banned : chain().roster().banned()) host_.ban(banned);
}

Task<Result<void>> Participant::Impl::run() {
  auto opened = open();
  if (!opened) co_return fail(std::move(opened).error());
  connect_protocols();
  directory_.set_wanted(chain().roster().founders());
  directory_.start();
  tasks_.spawn(repeat_loop());
  tasks_.spawn(report_loop());
  traffic_before_ = host_.traffic();
  while (chain().next_round() <= swarm::RoundNumber(manifest().last_round)) {
    if (certificate_) {
      co_await adopt(std::move(*certificate_), nullptr, nullptr, scheduler_.now());
    } else if (ahead_) {
      co_await follow();
    } else if (!seated()) {
      say_waiting(directory_.connected().empty() ? "looking for members of the run"
                                                 : "asking the members for a seat");
      co_await changed_.wait();
    } else if (!state_) {
      co_await fetch_state();
    } else {
      co_await attempt();
    }
  }
  if (!state_) co_await fetch_state();
  co_await finish();
  co_return Result<void>{};
}

// The first round of this process waits for the founders, so that they need not void it.
Task<void> Participant::Impl::wait_for_start() {
  const net::TimePoint grace = scheduler_.now() + startup_grace;
  net::Timer timer = scheduler_.at(grace, [this] { changed_.pulse(); });
  while (!certificate_ && !ahead_) {
    const auto& members = chain().roster().members();
    const bool all = std::ranges::all_of(
        members, [this](const auto& member) { return member.id == self_ || host_.is_connected(member.id); });
    const bool founders =
        !chain().roster().founding() || 2 * connected_founders() > chain().roster().founders().size();
    if (all || (founders && scheduler_.now() >= grace)) break;
    say_waiting("waiting for the founders: " + std::to_string(connected_founders()) + " of " +
                std::to_string(chain().roster().founders().size()) + " connected");
    co_await changed_.wait();
  }
  started_ = true;
}

// --- one attempt of a round
// --------------------------------------------------------------------------------------

Task<void> Participant::Impl::attempt() {
  if (!started_) {
    co_await wait_for_start();
    if (certificate_ || ahead_) co_return;
  }
  const net::TimePoint started = scheduler_.now();
  const swarm::Ledger::Position position{chain().next_round(), chain().next_attempt()};
  broadcaster_->forget_before(position.round, position.attempt);
  exchange_->enter(position.round, position.attempt);
  // After a restart within the attempt this member may have signed messages in it that it does not remember,
  // and must not sign others: it looks on and follows.
  bool spectator = ledger_->entered() == position;
  if (!spectator) {
    auto remembered = ledger_->remember_entered(position);
    if (!remembered) {
      spdlog::error("cannot write to the data directory: {}; trying again", remembered.error().message);
      co_await net::sleep_for(scheduler_, repeat_every);
      co_return;
    }
  }
  observer_.on_round_started(position.round);

  Round round(scheduler_, self_,
              {.rules = rules_,
               .round = position.round,
               .attempt = position.attempt,
               .previous = chain().head(),
               .beacon = chain().beacon(),
               .roster = chain().roster(),
               .state = state_,
               .applications = fresh_applications(),
               .accusations = accusations()},
              model_, *broadcaster_, *exchange_);
  std::optional<Result<Round::Result>> result;
  net::TaskGroup group(scheduler_);
  if (!spectator) group.spawn(run_round(round, result, changed_));
  bool voted = ledger_->voted() && ledger_->voted()->round == position.round &&
               ledger_->voted()->attempt == position.attempt;
  if (voted) (void)vote(*ledger_->voted());
  look_for_certificate();

  while (true) {
    if (result && !voted && !spectator && !certificate_) {
      if (!*result) {
        spdlog::warn("round {}: {}; following the others", position.round.value(), result->error().message);
        spectator = true;
      } else {
        auto remembered = vote((*result)->outcome);
        voted = remembered.has_value();
        if (!voted)
          spdlog::error("cannot write to the data directory: {}; not voting yet", remembered.error().message);
      }
    }
    if (spectator && !voted && !certificate_) {
      vote_as_spectator(started);
      voted = ledger_->voted() && ledger_->voted()->round == position.round &&
              ledger_->voted()->attempt == position.attempt;
    }
    if (certificate_) {
      const auto& outcome = certificate_->outcome;
      const bool lost =
          std::ranges::find(outcome.removed, self_, &swarm::Removal::peer) != outcome.removed.end();
      // The others were a little faster: what they certified is about to be ready here, too.
      const bool own_is_near = outcome.kind == OutcomeKind::apply && !spectator && !result && !lost &&
                               scheduler_.now() < certificate_time_ + manifest().exchange_deadline();
      if (!own_is_near) break;
    }
    if (ahead_ && !asking_ && !certificate_) {
      asking_ = true;
      tasks_.spawn(ask_for_certificate(*std::exchange(ahead_, std::nullopt)));
    }
    co_await changed_.wait();
  }
  const Round::Result* own = result && *result ? &**result : nullptr;
  Certificate certificate = std::move(*certificate_);
  co_await adopt(std::move(certificate), own, &round, started);
}

Task<void> Participant::Impl::adopt(Certificate certificate, const Round::Result* own, const Round* round,
                                    net::TimePoint started) {
  certificate_.reset();
  const swarm::Outcome outcome = certificate.outcome;
  const bool applied = outcome.kind == OutcomeKind::apply;
  std::shared_ptr<const TrainingState> state;
  Bytes encoded;
  std::vector<net::Storage::Entry> entries;
  if (applied && own != nullptr && own->state && own->outcome.state == outcome.state) {
    state = own->state;
    encoded = state->encode();
    entries.push_back({std::string(state_key), encoded});
  }
  while (true) {
    auto appended = ledger_->append(certificate, entries);
    if (appended) break;
    if (appended.error().code != ErrorCode::io && appended.error().code != ErrorCode::limit) {
      spdlog::error("certificate refused: {}", appended.error().message);
      co_return;
    }
    // A full disk: nothing is certified until a write succeeds.
    spdlog::error("cannot write to the data directory: {}; trying again", appended.error().message);
    co_await net::sleep_for(scheduler_, repeat_every);
  }
  for (const auto& member : chain().roster().members()) {
    // Who has not signed may not know; who was just admitted does not either.
    if (member.id != self_ && !ballot_.has_vote_of(member.id, outcome.round, outcome.attempt)) {
      send(member.id, certificate);
    }
  }
  note_roster(outcome);
  if (applied) {
    if (own != nullptr && own->state && !state) {
      spdlog::error("round {}: this member computed another state than the certified one; fetching that",
                    outcome.round.value());
    }
    state_.reset();
    if (state) keep_state(std::move(state), std::move(encoded));
  }
  waiting_.clear();

  RoundReport report;
  report.round = outcome.round;
  report.attempt = outcome.attempt;
  report.kind = outcome.kind;
  report.members = chain().roster().size();
  report.contributors = own != nullptr ? own->contributors : outcome.present.size();
  report.loss = outcome.loss;
  report.parameters = outcome.parameters;
  const net::Traffic traffic = host_.traffic();
  report.bytes_sent = traffic.bytes_sent - traffic_before_.bytes_sent;
  report.bytes_received = traffic.bytes_received - traffic_before_.bytes_received;
  traffic_before_ = traffic;
  report.seconds = net::seconds(scheduler_.now() - started);
  if (round != nullptr) {
    report.phases = round->phases();
    double known = 0;
    for (const PhaseTime& phase : report.phases) known += phase.seconds;
    report.phases.push_back({"certify", std::max(0.0, report.seconds - known)});
  }
  const bool last = outcome.round == swarm::RoundNumber(manifest().last_round);
  const bool due = options_.evaluate_every > 0 && outcome.round.value() % options_.evaluate_every == 0;
  const bool evaluate = applied && evaluator_ && state_ && (due || last);
  PendingReport pending{std::move(report), evaluate ? state_ : nullptr};
  co_await reports_.push(std::move(pending));
}

void Participant::Impl::note_roster(const swarm::Outcome& outcome) {
  for (const swarm::Removal& removal : outcome.removed) {
    observer_.on_removed(removal, outcome.round);
    broadcaster_->drop_evidence(removal.peer);
    ballot_.forget(removal.peer);
    if (is_ban(removal.fault)) host_.ban(removal.peer);
    if (removal.peer == self_) {
      spdlog::warn("this member lost its seat in round {}: {}", outcome.round.value(), name(removal.fault));
    } else {
      control_->forget(removal.peer);
      exchange_->forget(removal.peer);
    }
  }
  for (const swarm::Admission& admission : outcome.admitted) {
    observer_.on_admitted(admission.peer, outcome.round);
    applicants_.erase(admission.peer);
  }
  std::vector<PeerId> wanted = chain().roster().founders();
  for (const auto& member : chain().roster().members()) wanted.push_back(member.id);
  std::erase_if(wanted, [this](const PeerId& id) { return chain().roster().is_banned(id); });
  directory_.set_wanted(std::move(wanted));
}

// --- votes
// ---------------------------------------------------------------------------------------------------------

// Written before it is sent: a member signs one outcome of an attempt, whatever happens to its process.
Result<void> Participant::Impl::vote(swarm::Outcome outcome) {
  if (ledger_->voted() != outcome) {
    TRY_VOID(ledger_->remember_vote(outcome));
  }
  swarm::VoteFrame frame{outcome, {self_, swarm::sign_outcome(host_.identity(), outcome.digest())}};
  ballot_.add(frame);
  send_to_members(frame);
  look_for_certificate();
  return {};
}

void Participant::Impl::vote_as_spectator(net::TimePoint attempt_started) {
  const auto tallies =
      ballot_.tallies(chain().roster(), chain().next_round(), chain().next_attempt(), chain().head());
  const swarm::Outcome nothing =
      swarm::plain_void(run_, chain().next_round(), chain().next_attempt(), chain().head());
  for (const auto& tally : tallies) {
    if (swarm::Ballot::may_follow(chain().roster(), tally, hostile_count()) || tally.outcome == nothing) {
      auto voted = vote(tally.outcome);
      if (!voted)
        spdlog::error("cannot write to the data directory: {}; not voting yet", voted.error().message);
      return;
    }
  }
  if (scheduler_.now() >= attempt_started + worst_attempt_time(manifest(), hostile_count())) {
    auto voted = vote(nothing);
    if (!voted)
      spdlog::error("cannot write to the data directory: {}; not voting yet", voted.error().message);
  }
}

void Participant::Impl::look_for_certificate() {
  if (certificate_) return;
  certificate_ =
      ballot_.certificate(chain().roster(), chain().next_round(), chain().next_attempt(), chain().head());
  if (!certificate_) return;
  certificate_time_ = scheduler_.now();
  changed_.pulse();
}

// --- frames
// --------------------------------------------------------------------------------------------------------

void Participant::Impl::receive(const PeerId& from, const Bytes& header) {
  auto frame = swarm::decode_control(header);
  if (!frame) {
    spdlog::warn("round frame from {}: {}", from.to_text(), frame.error().message);
    return;
  }
  if (auto* hello = std::get_if<swarm::HelloFrame>(&*frame)) {
    receive_hello(from, *hello);
  } else if (auto* certificate = std::get_if<Certificate>(&*frame)) {
    receive_certificate(from, std::move(*certificate));
  } else if (!chain().roster().contains(from)) {
    // Votes and broadcasts are the members'. Somebody this ledger does not know yet may be ahead of it.
    send(from, swarm::HelloFrame{chain().height(), false, options_.client_mode});
  } else if (auto* vote = std::get_if<swarm::VoteFrame>(&*frame)) {
    receive_vote(from, *vote);
  } else {
    const bool valid = broadcaster_->receive(from, std::get<swarm::BroadcastFrame>(*frame), header.size());
    if (!valid) spdlog::debug("broadcast frame from {}: not valid here", from.to_text());
  }
}

void Participant::Impl::receive_vote(const PeerId& from, const swarm::VoteFrame& frame) {
  if (frame.vote.signer != from || frame.outcome.run != run_) {
    spdlog::warn("vote from {}: not its own, or of another run", from.to_text());
    return;
  }
  const std::pair position(frame.outcome.round, frame.outcome.attempt);
  const std::pair here(chain().next_round(), chain().next_attempt());
  if (position < here) {
    send(from, swarm::HelloFrame{chain().height(), false, options_.client_mode});
    return;
  }
  if (!ballot_.add(frame)) spdlog::warn("vote from {}: wrong signature", from.to_text());
  look_for_certificate();
  changed_.pulse();
}

void Participant::Impl::receive_certificate(const PeerId& from, Certificate certificate) {
  const std::pair position(certificate.outcome.round, certificate.outcome.attempt);
  const std::pair here(chain().next_round(), chain().next_attempt());
  if (certificate.outcome.run != run_ || position < here || certificate_) return;
  if (position > here || certificate.outcome.previous != chain().head()) {
    claim_ahead(from);
  } else if (auto valid = certificate.verify(chain().roster()); !valid) {
    spdlog::warn("certificate from {}: {}", from.to_text(), valid.error().message);
    return;
  } else {
    certificate_ = std::move(certificate);
    certificate_time_ = scheduler_.now();
  }
  changed_.pulse();
}

void Participant::Impl::receive_hello(const PeerId& from, const swarm::HelloFrame& hello) {
  heights_[from] = hello.height;
  if (heights_.size() > applicants_limit) heights_.erase(heights_.begin());
  if (hello.application && (applicants_.contains(from) || applicants_.size() < applicants_limit)) {
    applicants_[from] = {scheduler_.now(), hello.client_mode};
  }
  if (hello.height > chain().height()) {
    claim_ahead(from);
  } else if (hello.height < chain().height()) {
    send(from, swarm::HelloFrame{chain().height(), false, options_.client_mode});
  }
  changed_.pulse();
}

void Participant::Impl::send(const PeerId& to, const swarm::ControlFrame& frame) {
  control_->send(to, {std::make_shared<const Bytes>(swarm::encode_control(frame)), nullptr});
}

void Participant::Impl::send_to_members(const swarm::ControlFrame& frame) {
  const auto shared = std::make_shared<const Bytes>(swarm::encode_control(frame));
  for (const auto& member : chain().roster().members()) {
    if (member.id != self_) control_->send(member.id, {shared, nullptr});
  }
}

// Once a second: repeats what may have been lost, says what is waited for, wakes whoever looks at the clock.
Task<void> Participant::Impl::repeat_loop() {
  while (true) {
    co_await net::sleep_for(scheduler_, repeat_every);
    const bool finished = chain().next_round() > swarm::RoundNumber(manifest().last_round);
    const auto& roster = chain().roster();
    std::erase_if(applicants_, [this](const auto& entry) {
      return entry.second.heard + application_lifetime < scheduler_.now();
    });
    if (finished || !seated()) {
      const swarm::HelloFrame hello{chain().height(), !finished && !seated(), options_.client_mode};
      std::set<PeerId> to;
      for (const PeerId& peer : directory_.connected()) to.insert(peer);
      for (const auto& member : roster.members()) {
        if (host_.is_connected(member.id)) to.insert(member.id);
      }
      to.erase(self_);
      for (const PeerId& peer : to) send(peer, hello);
    } else if (ledger_->voted() && ledger_->voted()->round == chain().next_round() &&
               ledger_->voted()->attempt == chain().next_attempt()) {
      const swarm::Outcome& outcome = *ledger_->voted();
      const swarm::VoteFrame frame{outcome, {self_, swarm::sign_outcome(host_.identity(), outcome.digest())}};
      for (const auto& member : roster.members()) {
        if (member.id != self_ && host_.is_connected(member.id)) send(member.id, frame);
      }
    }
    if (!finished && roster.founding() && 2 * connected_founders() <= roster.founders().size()) {
      say_waiting("waiting for the founders: " + std::to_string(connected_founders()) + " of " +
                  std::to_string(roster.founders().size()) +
                  " connected; the run goes on when more than half are back");
    }
    changed_.pulse();
  }
}

// --- being behind
// --------------------------------------------------------------------------------------------------

void Participant::Impl::claim_ahead(const PeerId& from) {
  const auto distrusted = distrusted_.find(from);
  if (distrusted != distrusted_.end() && scheduler_.now() < distrusted->second) return;
  ahead_ = from;
}

// During an attempt a claim ends nothing; the certificate itself does.
Task<void> Participant::Impl::ask_for_certificate(PeerId donor) {
  auto fetched = co_await swarm::fetch_certificates(host_, donor, run_, chain().height());
  asking_ = false;
  if (fetched && !fetched->empty()) {
    receive_certificate(donor, std::move(fetched->front()));
  } else {
    distrusted_[donor] = scheduler_.now() + distrust_time;
  }
}

Task<void> Participant::Impl::follow() {
  const PeerId donor = *std::exchange(ahead_, std::nullopt);
  const std::uint64_t height = chain().height();
  auto appended = co_await swarm::catch_up(host_, donor, run_, *ledger_);
  if (!appended) spdlog::warn("ledger from {}: {}", donor.to_text(), appended.error().message);
  if (chain().height() == height) {
    distrusted_[donor] = scheduler_.now() + distrust_time;
    co_return;
  }
  certificate_.reset();
  for (const PeerId& banned : chain().roster().banned()) host_.ban(banned);
  swarm::Outcome nothing;
  note_roster(nothing);  // whom to keep connected to
  const bool current = state_ && (chain().state_root() == Digest{} ||
                                  (!served_.empty() && served_.back().first == chain().state_root()));
  if (!current) state_.reset();
  look_for_certificate();
}

Task<void> Participant::Impl::fetch_state() {
  const Digest root = chain().state_root();
  std::vector<PeerId> donors;
  for (const auto& member : chain().roster().members()) {
    if (member.id != self_ && host_.is_connected(member.id)) donors.push_back(member.id);
  }
  say_waiting("fetching the training state from " + std::to_string(donors.size()) + " members");
  auto bytes = co_await swarm::download_state(
      host_, donors, run_, root,
      TrainingState::max_bytes(static_cast<std::size_t>(manifest().parameter_count)));
  auto state = bytes ? TrainingState::decode(*bytes, static_cast<std::size_t>(manifest().parameter_count))
                     : Result<TrainingState>(fail(bytes.error()));
  if (!state) {
    spdlog::warn("training state: {}", state.error().message);
    co_await net::sleep_for(scheduler_, 500ms);
    co_return;
  }
  if (chain().state_root() != root) co_return;  // the run went on meanwhile
  auto stored = storage_.put(std::string(state_key), *bytes);
  if (!stored) spdlog::error("cannot write to the data directory: {}", stored.error().message);
  keep_state(std::make_shared<const TrainingState>(std::move(*state)), std::move(*bytes));
}

void Participant::Impl::keep_state(std::shared_ptr<const TrainingState> state, Bytes encoded) {
  state_ = std::move(state);
  const Digest root = swarm::state_root(encoded);
  served_.emplace_back(root, std::make_shared<const Bytes>(std::move(encoded)));
  if (served_.size() > served_states) served_.pop_front();
}

// --- reports and the end
// -------------------------------------------------------------------------------------------

Task<void> Participant::Impl::report_loop() {
  while (true) {
    auto pending = co_await reports_.pop();
    if (!pending) break;
    if (pending->evaluate) {
      auto evaluation =
          co_await net::offload(scheduler_, [evaluator = evaluator_, state = pending->evaluate] {
            return evaluator->evaluate(state->parameters);
          });
      if (evaluation) {
        pending->report.evaluation = *evaluation;
      } else {
        spdlog::error("evaluation: {}", evaluation.error().message);
      }
    }
    observer_.on_round(pending->report);
  }
  reported_all_ = true;
  changed_.pulse();
}

// Stays until the members that are connected have the last certificate, too.
Task<void> Participant::Impl::finish() {
  reports_.close();
  const net::TimePoint limit = scheduler_.now() + options_.linger;
  send_to_members(swarm::HelloFrame{chain().height(), false, options_.client_mode});
  net::Timer timer = scheduler_.at(limit, [this] { changed_.pulse(); });
  while (true) {
    const bool level = std::ranges::all_of(chain().roster().members(), [this](const auto& member) {
      const auto height = heights_.find(member.id);
      return member.id == self_ || !host_.is_connected(member.id) ||
             (height != heights_.end() && height->second >= chain().height());
    });
    if (reported_all_ && (level || scheduler_.now() >= limit)) co_return;
    co_await changed_.wait();
  }
}

std::vector<swarm::Admission> Participant::Impl::fresh_applications() const {
  std::vector<swarm::Admission> fresh;
  for (const auto& [peer, applicant] : applicants_) {
    const bool heard = applicant.heard + application_lifetime >= scheduler_.now();
    if (heard && !chain().roster().contains(peer) && !chain().roster().is_banned(peer) &&
        fresh.size() < application_limit) {
      fresh.push_back({peer, applicant.client_mode});
    }
  }
  return fresh;
}

std::vector<swarm::Equivocation> Participant::Impl::accusations() const {
  std::vector<swarm::Equivocation> known;
  for (const auto& [offender, evidence] : broadcaster_->evidence()) {
    if (chain().roster().contains(offender) && known.size() < accusation_limit) known.push_back(evidence);
  }
  return known;
}

std::size_t Participant::Impl::connected_founders() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      chain().roster().founders(),
      [this](const PeerId& founder) { return founder == self_ || host_.is_connected(founder); }));
}

void Participant::Impl::say_waiting(const std::string& reason) {
  if (waiting_ == reason) return;
  waiting_ = reason;
  observer_.on_waiting(reason);
}

Participant::Participant(net::Host& host, dht::Dht& dht, net::Storage& storage,
                         swarm::SignedManifest manifest, std::shared_ptr<Model> model,
                         std::shared_ptr<Model> evaluator, ParticipantObserver& observer,
                         ParticipantOptions options)
    : impl_(std::make_unique<Impl>(host, dht, storage, std::move(manifest), std::move(model),
                                   std::move(evaluator), observer, options)) {}
Participant::~Participant() = default;

Task<Result<void>> Participant::run() { return impl_->run(); }

const std::vector<float>& Participant::parameters() const {
  TESTUDO_CHECK(impl_->has_state());
  return impl_->state().parameters;
}

swarm::RoundNumber Participant::finished_rounds() const {
  return impl_->has_state() ? impl_->state().round : swarm::RoundNumber(0);
}

}  // namespace testudo::training
