#include "training/round/participant.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "crypto/base/log.h"
#include "crypto/derive.h"
#include "crypto/hash.h"
#include "crypto/signing.h"
#include "training/round/participant_impl.h"
#include "training/round/round_rules.h"

namespace testudo::training {

namespace {

// Members that start together wait for one another before the first round: so long after the last that came,
// and not longer than this in all.
constexpr net::Duration startup_grace = 15s;
constexpr net::Duration longest_startup = 60s;

// From COMMIT to the end of GATHER: newcomers' downloads leave them the line.
bool parts_move_after(const std::string& phase) {
  return phase == "commit" || phase == "scatter" || phase == "serve" || phase == "reduce";
}

Task<void> run_round(Round& round, std::optional<Result<Round::Result>>& result, net::Event& done) {
  result.emplace(co_await round.run());
  done.pulse();
}

}  // namespace

Result<void> Participant::Impl::open() {
  TRY(rules_, RoundRules::make(manifest()));
  if (model_->parameter_count() != manifest().parameter_count) {
    return fail(ErrorCode::invalid_argument, "the model has " + std::to_string(model_->parameter_count()) +
                                                 " parameters, the manifest says " +
                                                 std::to_string(manifest().parameter_count));
  }
  TRY(ledger_, swarm::Ledger::open(storage_, manifest_));
  if (chain().roster().is_banned(self_)) {
    return fail(banned());
  }
  // What a round makes and drops: the state before the last and, encoded, this member's contribution, what it
  // reduces and the results.
  const std::size_t whole = encoded_size(rules_->codec, static_cast<std::size_t>(manifest().parameter_count));
  spare_ = std::make_shared<SpareBuffers>(TrainingState::encoded_bytes(rules_->state_sizes()) + 3 * whole);
  TRY_VOID(states_.open(rules_));
  if (chain().state_root() == Digest{}) {
    TRY(auto initial, initial_state(*rules_, model_->initial_parameters(manifest().seed)));
    state_ = std::make_shared<const TrainingState>(std::move(initial));
    states_.remember(StateStore::initial, state_);
  } else {
    load_state(chain().state_root());
  }
  return {};
}

void Participant::Impl::connect_protocols() {
  // A vote or a certificate of a large group fits; only members' frames carry payloads.
  constexpr std::size_t strangers_limit = 256 * 1024;
  const auto gate = [this](const PeerId& from) {
    if (chain().roster().is_banned(from)) return std::size_t{0};
    return chain().roster().contains(from) ? std::numeric_limits<std::size_t>::max() : strangers_limit;
  };
  const std::size_t payload = max_payload(manifest(), swarm::Phase::evidence);
  control_ = std::make_unique<swarm::Links>(
      host_, swarm::round_protocol,
      swarm::Links::Limits{.header_bytes = strangers_limit + payload + 256 * manifest().group_max,
                           .blob_bytes = 0,
                           .queued_frames = 1024},
      gate, [this](const PeerId& from, Bytes header, Buffer) { receive(from, header); });
  // A part is a share of the values, at most all of them.
  const std::size_t whole = encoded_size(rules_->codec, static_cast<std::size_t>(manifest().parameter_count));
  exchange_ = std::make_unique<PartExchange>(
      host_, whole, manifest().group_max,
      [this](const PeerId& from) { return chain().roster().contains(from); }, spare_);
  broadcaster_ = std::make_unique<swarm::Broadcaster>(
      scheduler_, host_.identity(), [this](const std::vector<PeerId>& to, Bytes frame) {
        const auto shared = std::make_shared<const Bytes>(swarm::encode_control_broadcast(frame));
        for (const PeerId& peer : to) {
          if (peer != self_) control_->send(peer, {shared, nullptr});
        }
      });
  sync_ = std::make_unique<swarm::SyncServer>(host_, run_, *ledger_, states_);
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
  progress_ = scheduler_.now();
  while (chain().next_round() <= swarm::RoundNumber(manifest().last_round)) {
    if (chain().roster().is_banned(self_)) {
      co_return fail(banned());
    }
    if (certificate_) {
      co_await adopt(std::move(*certificate_), nullptr, nullptr, scheduler_.now());
    } else if (const auto claim = may_follow() ? take_claim() : std::nullopt) {
      co_await follow(*claim);
    } else if (!state_ && (seated() || !directory_.connected().empty())) {
      co_await fetch_state();
    } else if (!seated()) {
      say_waiting(waiting_reason());
      co_await changed_.wait();
    } else {
      co_await attempt();
    }
  }
  while (!state_) {
    if (chain().roster().is_banned(self_)) co_return fail(banned());
    co_await fetch_state();
  }
  co_await finish();
  co_return Result<void>{};
}

// The first round of this process waits for the members, so that they need not void it; the first round of
// the run also for as many as it wants to start with. Who is connected may still be on its way to this
// protocol: a member is there once it was heard and can be told. Whoever hears that others have begun begins,
// too, so that they are apart by what one message takes.
Task<void> Participant::Impl::wait_for_start() {
  const net::TimePoint last = scheduler_.now() + longest_startup;
  net::TimePoint grace = scheduler_.now() + startup_grace;
  net::Timer timer = scheduler_.at(grace, [this] { changed_.pulse(); });
  std::size_t here = members_here();
  ask_since_when();
  while (!certificate_) {
    ask_whoever_is_ahead();
    const swarm::PhaseKey first{chain().next_round(), chain().next_attempt(), swarm::Phase::commit};
    if (!others_entered_.empty() || broadcaster_->heard_of(first)) break;
    if (const std::size_t now_here = members_here(); std::exchange(here, now_here) < now_here) {
      grace = std::min(scheduler_.now() + startup_grace, last);
      timer = scheduler_.at(grace, [this] { changed_.pulse(); });
    }
    const std::string missing = missing_to_start(scheduler_.now() >= grace);
    if (missing.empty()) break;
    say_waiting(missing);
    co_await changed_.wait();
  }
  note_entered(scheduler_.now());
  started_ = true;
  send_to_members(hello());
}

// In the attempt at this height. Whoever was restarted in it cannot say since when; nobody who comes after it
// is in time.
void Participant::Impl::note_entered(net::TimePoint when) {
  const swarm::Ledger::Position position{chain().next_round(), chain().next_attempt()};
  entered_ = when - (ledger_->entered() == position ? long_ago : net::Duration{});
}

// The ledger has grown: what was said of the attempt before says nothing of the one that comes.
void Participant::Impl::note_next_attempt(net::TimePoint when) {
  others_entered_.clear();
  asked_.reset();
  note_entered(when);
}

// Since when the others are in the attempt at this height. Whoever began answers a hello that does not say
// when its sender did.
void Participant::Impl::ask_since_when() {
  asked_ = scheduler_.now();
  swarm::HelloFrame question = hello();
  question.begun_ms = std::nullopt;
  send_to_members(question);
}

// When the others did. Members enter with the certificate of the attempt before, and whoever has it as soon
// as they do need not ask. Who may have it later (it was started, or its line was down, or others made the
// certificate) asks: the deadlines of an attempt are one for all, or its members agree on different sets, and
// the one that is late publishes results of contributions that the others do not count. F liars may name any
// time. The earliest F do not count, so that an honest one was there by then; and of 2F + 1 answers F + 1 are
// honest, so that liars that say "just now" do not make it later than these.
Task<net::TimePoint> Participant::Impl::others_entered() {
  if (!asked_) co_return entered_;
  const std::size_t hostile = hostile_count();
  const std::size_t due = std::min<std::size_t>(2 * hostile + 1, chain().roster().total_weight() - 1);
  const net::TimePoint limit = *asked_ + 2 * manifest().delta();  // a question and its answer
  const net::Timer timer = scheduler_.at(limit, [this] { changed_.pulse(); });
  while (others_entered_.size() < due && scheduler_.now() < limit) co_await changed_.wait();
  std::vector<net::TimePoint> said;
  for (const auto& [member, time] : others_entered_) said.push_back(time);
  std::ranges::sort(said);
  // From now on this member says so, too.
  if (said.size() > hostile) entered_ = std::min(entered_, said[hostile]);
  co_return entered_;
}

// Members that were heard and can be told.
std::size_t Participant::Impl::members_here() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(chain().roster().members(), [this](const auto& member) {
        return member.id == self_ || (host_.is_connected(member.id) && heights_.contains(member.id) &&
                                      control_->is_open(member.id));
      }));
}

// What the first round of this process still waits for; nothing when it can begin.
std::string Participant::Impl::missing_to_start(bool after_grace) const {
  std::string founders = missing_founders();
  if (!founders.empty()) return founders;
  const auto& members = chain().roster().members();
  const auto there = static_cast<std::size_t>(std::ranges::count_if(members, [this](const auto& member) {
    return member.id == self_ ||
           (host_.is_connected(member.id) && heights_.contains(member.id) && control_->is_open(member.id));
  }));
  if (there < members.size() && !after_grace) {
    return "waiting for members: " + std::to_string(there) + " of " + std::to_string(members.size()) +
           " are here";
  }
  const std::size_t wanted = manifest().start_members;
  const std::size_t together = there + fresh_applications().size();
  if (chain().height() == 0 && together < wanted) {
    return "waiting for members: " + std::to_string(together) + " of the " + std::to_string(wanted) +
           " that the run starts with are here; others join with the same run id";
  }
  return {};
}

Task<void> Participant::Impl::attempt() {
  if (!started_) {
    co_await wait_for_start();
    if (certificate_) co_return;
  }
  const net::TimePoint started = scheduler_.now();
  const swarm::Ledger::Position position{chain().next_round(), chain().next_attempt()};
  broadcaster_->forget_before(position.round, position.attempt);
  exchange_->enter(position.round, position.attempt);
  // After a restart within the attempt this member may have signed messages in it that it does not remember,
  // and must not sign others: it looks on and follows.
  spectator_ = ledger_->entered() == position;
  if (spectator_) {
    send_to_members(hello());
  } else {
    auto remembered = ledger_->remember_entered(position);
    if (!remembered) {
      say_unwritten(remembered.error());
      co_await net::sleep_for(scheduler_, repeat_every);
      co_return;
    }
  }
  observer_.on_round_started(position.round);

  Round round(scheduler_, self_,
              {.rules = rules_,
               .round = position.round,
               .attempt = position.attempt,
               .fruitless_voids = chain().fruitless_voids(),
               .previous = chain().head(),
               .beacon = chain().beacon(),
               .deviation = chain().deviation(),
               .opening = opening_at(position),
               .roster = chain().roster(),
               .state = state_,
               .spare = spare_,
               .applications = fresh_applications(),
               .accusations = accusations(),
               .marks = std::exchange(marks_, {}),
               .last = record_of(position.round.value() - 1),
               .before_last = record_of(position.round.value() - 2),
               .others_entered = [this] { return others_entered(); },
               .on_phase_ended =
                   [this](const std::string& phase) {
                     sync_->give_way(parts_move_after(phase));
                     observer_.on_phase_ended(phase);
                   },
               .misconduct = options_.misconduct},
              model_, *broadcaster_, *exchange_);
  std::optional<Result<Round::Result>> result;
  net::TaskGroup group(scheduler_);
  if (!spectator_) group.spawn(run_round(round, result, changed_));
  bool voted = voted_here();
  if (voted) (void)vote(*ledger_->voted());
  look_for_certificate();
  // Without a vote it does its work, signs nothing, and takes what the others certify.
  const bool votes = chain().roster().votes(self_);

  net::TimePoint vote_from;  // a state is large: a full disk is not tried with it at every turn
  while (true) {
    if (result && (votes || !*result) && !voted && !spectator_ && !certificate_ &&
        scheduler_.now() >= vote_from) {
      if (!*result) {
        log::warn("round {}: {}; following the others", position.round.value(), result->error().message);
        spectator_ = true;
        send_to_members(hello());
      } else {
        const Round::Result& own = **result;
        auto prepared = co_await prepare(own, own.outcome.state);
        if (certificate_) continue;  // came meanwhile
        if (prepared)
          prepared = vote(own.outcome, std::move(*prepared)).transform([] { return StateStore::Entries(); });
        voted = prepared.has_value();
        if (voted && own.state) states_.remember(own.outcome.state, own.state);
        if (!voted) {
          say_unwritten(prepared.error());
          vote_from = scheduler_.now() + repeat_every;
        }
      }
    }
    // So many others are out of this attempt that it cannot be applied any more.
    if (votes && !voted && !certificate_ && !spectator_ && hopeless()) {
      spectator_ = true;
      send_to_members(hello());
    }
    if (votes && spectator_ && !voted && !certificate_) {
      vote_as_spectator();
      voted = voted_here();
    }
    if (certificate_) {
      const auto& outcome = certificate_->outcome;
      const bool lost =
          std::ranges::find(outcome.removed, self_, &swarm::Removal::peer) != outcome.removed.end();
      // The others were a little faster: what they certified is about to be ready here, too.
      const bool own_is_near = outcome.kind == OutcomeKind::apply && votes && !spectator_ && !result &&
                               !lost && scheduler_.now() < certificate_time_ + manifest().exchange_deadline();
      if (!own_is_near) break;
    }
    ask_whoever_is_ahead();
    co_await changed_.wait();
  }
  // What this member saw in an attempt that it then slept through says nothing of others.
  if (!spectator_) {
    marks_.assign(round.marks().begin(), round.marks().end());
    if (marks_.size() > mark_limit) marks_.resize(mark_limit);
  }
  const Round::Result* own = votes && result && *result ? &**result : nullptr;
  std::optional<Round::Result> followed;
  if (!votes && result && *result && certificate_->outcome.kind == OutcomeKind::apply) {
    followed = co_await round.follow(certificate_->outcome);
    if (followed) own = &*followed;
  }
  Certificate certificate = std::move(*certificate_);
  co_await adopt(std::move(certificate), own, &round, started);
}

std::shared_ptr<const RoundRecord> Participant::Impl::record_of(std::uint64_t round) const {
  const auto found = records_.find(round);
  return found == records_.end() ? nullptr : found->second;
}

// The coin of an attempt: nobody else can make these signatures, and this member makes no others.
crypto::Opening Participant::Impl::opening_at(const swarm::Ledger::Position& position) const {
  const auto secret = [&](std::string_view domain) {
    const Digest place = crypto::derive_seed(domain, run_, position.round.value(), position.attempt.value(),
                                             chain().head(), self_);
    const auto signature = crypto::sign(host_.identity(), domain, place);
    return crypto::Hasher(domain).bytes(signature).finish();
  };
  return {.coin = secret("testudo/coin/1"), .salt = secret("testudo/coin-salt/1")};
}

// The state that this member computed, for the disk.
Task<Result<StateStore::Entries>> Participant::Impl::prepare(const Round::Result& own, Digest root) {
  if (!own.state) co_return StateStore::Entries{};
  co_return co_await states_.prepare(root, own.state, chain().state_root(), own.reduced);
}

Task<void> Participant::Impl::adopt(Certificate certificate, const Round::Result* own, const Round* round,
                                    net::TimePoint started) {
  certificate_.reset();
  const net::TimePoint certified = certificate_time_;
  sync_->give_way(false);
  const swarm::Outcome outcome = certificate.outcome;
  const bool applied = outcome.kind == OutcomeKind::apply;
  // Who has a seat without a vote signs nothing, and counts the votes itself.
  const bool votes = chain().roster().votes(self_);
  std::set<PeerId> candidates;
  for (const auto& member : chain().roster().members()) {
    if (!member.votes()) candidates.insert(member.id);
  }
  std::shared_ptr<const TrainingState> state;
  if (applied && own != nullptr && own->state && own->outcome.state == outcome.state) state = own->state;
  // Who has not signed need not have the state on disk: those that made the certificate do. So a disk that
  // has no room for another snapshot beside the old one lets that go, and takes the new one afterwards.
  auto prepared = state ? co_await prepare(*own, outcome.state) : Result<StateStore::Entries>();
  if (!prepared) say_unwritten(prepared.error());
  StateStore::Entries entries = prepared ? std::move(*prepared) : StateStore::Entries();
  // Without the state, what is there stays: the new one stands on it.
  if (applied && state) {
    for (auto& entry : states_.to_forget_all_but(outcome.state, entries)) entries.push_back(std::move(entry));
  }
  while (true) {
    auto appended = ledger_->append(certificate, entries,
                                    own != nullptr ? own->evidence : std::vector<swarm::Evidence>());
    if (appended) {
      states_.stored(entries);
      break;
    }
    if (appended.error().code != ErrorCode::io && appended.error().code != ErrorCode::limit) {
      log::error("certificate refused: {}", appended.error().message);
      co_return;
    }
    // A full disk: nothing is certified until a write succeeds.
    say_unwritten(appended.error());
    co_await net::sleep_for(scheduler_, repeat_every);
  }
  if (!prepared) tasks_.spawn(store_beside(outcome.state, state));
  certificate_.reset();  // found once more while the disk was full
  note_next_attempt(certified);
  // Whoever counts votes still gets this member's, or the certificate: the vote that made it may have been
  // lost on its way to some, and members enter the next round together. With the certificate on disk this
  // member can sign nothing else here any more.
  const auto& own_vote = ledger_->voted();
  const bool signed_it = own_vote == outcome;
  const bool signed_other = own_vote && !signed_it && place_of_votes(*own_vote) == place_of_votes(outcome);
  const bool same = own != nullptr && own->outcome == outcome;
  for (const swarm::Vote& given : certificate.votes) {
    if (const auto lie = ballot_.contradiction({outcome, given})) broadcaster_->add_evidence(*lie);
  }
  if (votes && !signed_it && !signed_other && same) {
    send_to_members(swarm::VoteFrame{outcome, {self_, swarm::sign_outcome(host_.identity(), outcome)}});
  }
  for (const auto& member : chain().roster().members()) {
    // Who has not signed may not know; who was just admitted does not either.
    const bool voted = ballot_.has_vote_of(member.id, outcome.round, outcome.attempt);
    if (member.id == self_ || !votes || candidates.contains(member.id)) continue;
    if (!voted || (!signed_it && !same)) send(member.id, certificate);
  }
  for (const swarm::Removal& removal : outcome.removed) {
    if (is_ban(removal.fault) && removal.peer != self_) tasks_.spawn(dismiss(removal.peer, certificate));
  }
  note_roster(outcome);
  spectator_ = false;
  progress_ = scheduler_.now();
  const bool in_time = same && certified <= voted_at_ + 2 * manifest().delta();
  if (chain().roster().votes(self_) && !in_time) ask_since_when();
  if (applied) {
    if (own != nullptr && own->state && !state) {
      log::error("round {}: this member computed another state than the certified one; fetching that",
                 outcome.round.value());
    }
    state_ = state;
    records_.erase(records_.begin(), records_.lower_bound(outcome.round.value() - 1));
    if (round != nullptr && round->record() && round->record()->is_of(outcome))
      records_[outcome.round.value()] = round->record();
    if (state) states_.remember(outcome.state, state);
  }
  waiting_.clear();

  RoundReport report;
  report.round = outcome.round;
  report.attempt = outcome.attempt;
  report.kind = outcome.kind;
  report.members = chain().roster().size();
  report.contributors = own != nullptr && votes ? own->contributors : contributors_of(outcome, manifest());
  report.founding = chain().roster().founding();
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
    ballot_.forget(removal.peer);
    if (is_ban(removal.fault)) broadcaster_->drop_evidence(removal.peer);
    if (removal.peer == self_) {
      level_ = false;
      lost_for_its_line_ = removal.fault == swarm::Fault::absent && step_time_ > longest_step();
      log::warn("this member lost its seat in round {}: {}", outcome.round.value(), name(removal.fault));
    } else if (!is_ban(removal.fault)) {
      control_->forget(removal.peer);
      exchange_->forget(removal.peer);
    }
  }
  for (const swarm::Admission& admission : outcome.admitted) {
    observer_.on_admitted(admission.peer, outcome.round);
    applicants_.forget(admission.peer);
  }
  note_strikes(outcome);
  note_vote();
  std::vector<PeerId> wanted = chain().roster().founders();
  for (const auto& member : chain().roster().members()) wanted.push_back(member.id);
  std::erase_if(wanted, [this](const PeerId& id) { return chain().roster().is_banned(id); });
  directory_.set_wanted(std::move(wanted));
}

// What it means for this member, and what its owner may do about it.
void Participant::Impl::note_strikes(const swarm::Outcome& outcome) {
  for (const swarm::Strike& strike : outcome.strikes) {
    observer_.on_strike(strike, outcome.round);
    if (strike.peer != self_ && strike.other != self_) continue;
    const std::string with =
        strike.other ? ", with " + (strike.other == self_ ? strike.peer : *strike.other).to_text() : "";
    log::warn("round {}: a strike for this member{}: {}; {}", outcome.round.value(), with,
              name(strike.reason), swarm::advice(strike.reason));
  }
  std::vector<PeerId> resting = chain().roster().resting();
  if (resting == resting_) return;
  const bool rests = std::ranges::binary_search(resting, self_);
  const bool rested = std::ranges::binary_search(resting_, self_);
  if (rests && !rested) {
    log::warn(
        "from round {} on this member reduces nothing, because of strikes; they fade after {} rounds, and it "
        "keeps its seat and its vote. When they are with many others, your line is likely at fault: see that "
        "it is up, and fast enough for the parts of this model",
        chain().next_round().value(), swarm::strike_window);
  } else if (rested && !rests) {
    log::info("this member reduces again");
  }
  resting_ = std::move(resting);
  observer_.on_resting(resting_, chain().next_round());
}

// Whether its work counts, for its owner.
void Participant::Impl::note_vote() {
  const swarm::Roster& roster = chain().roster();
  const auto before = std::exchange(votes_, seated() ? std::optional(roster.votes(self_)) : std::nullopt);
  if (!votes_ || votes_ == before) return;
  if (*votes_) {
    if (before) log::info("from round {} on this member has a vote", chain().next_round().value());
    return;
  }
  const swarm::Standing standing = roster.standing_of(self_);
  log::info(
      "this member has no vote, and what it computes is checked but does not count yet: validators found {} "
      "of {} contributions right, and it worked in {} of the last {} rounds, of {} that it needs",
      standing.audits, swarm::audits_for_a_vote, standing.rounds_worked(), swarm::work_window,
      swarm::work_for_a_vote);
}

// As its own ledger has it.
Error Participant::Impl::banned() const {
  std::string where;
  for (std::uint64_t height = chain().height(); height > 0 && where.empty(); --height) {
    const auto encoded = ledger_->read(height - 1, 1);
    if (!encoded || encoded->empty()) break;
    const auto certificate = Certificate::decode(encoded->front());
    if (!certificate) break;
    const swarm::Outcome& outcome = certificate->outcome;
    for (const swarm::Removal& removal : outcome.removed) {
      if (removal.peer == self_ && is_ban(removal.fault))
        where = ": round " + std::to_string(outcome.round.value()) + ", " + std::string(name(removal.fault));
    }
  }
  return {ErrorCode::refused,
          "this identity was banned from the run" + where + "; the run never takes it back"};
}

// Who is banned is shown why, and has a moment to read it, before the door closes.
Task<void> Participant::Impl::dismiss(PeerId peer, Certificate certificate) {
  exchange_->forget(peer);
  send(peer, certificate);
  co_await net::sleep_for(scheduler_, repeat_every);
  control_->forget(peer);
  host_.ban(peer);
}

bool Participant::Impl::load_state(const Digest& root) {
  const auto state = states_.find(root);
  if (!state) return false;
  state_ = state;
  return true;
}

Participant::Participant(net::Host& host, dht::Dht& dht, net::Storage& storage,
                         swarm::SignedManifest manifest, std::shared_ptr<Model> model,
                         std::shared_ptr<Model> evaluator, ParticipantObserver& observer,
                         ParticipantOptions options)
    : impl_(std::make_unique<Impl>(host, dht, storage, std::move(manifest), std::move(model),
                                   std::move(evaluator), observer, options)) {}
Participant::~Participant() = default;

Task<Result<void>> Participant::run() { return impl_->run(); }

std::span<const float> Participant::parameters() const {
  return impl_->has_state() ? impl_->state().parameters() : std::span<const float>();
}

swarm::RoundNumber Participant::finished_rounds() const {
  return impl_->has_state() ? impl_->state().round() : swarm::RoundNumber(0);
}

}  // namespace testudo::training
