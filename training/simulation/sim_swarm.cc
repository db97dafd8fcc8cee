#include "training/simulation/sim_swarm.h"

#include <algorithm>

#include "crypto/base/check.h"
#include "swarm/control.h"
#include "swarm/ledger.h"
#include "swarm/roster.h"
#include "training/round/state_store.h"
#include "training/simulation/label_flip.h"

namespace testudo::training {

namespace {

using namespace std::chrono_literals;

constexpr net::Duration tick_interval = 1s;

net::SimOptions network_options(const SwarmOptions& options) {
  net::SimOptions out;
  out.seed = options.seed;
  out.jitter = options.jitter;
  out.loss = options.loss;
  return out;
}

// The attack of member i, the last ones being hostile; nothing for the honest.
std::optional<std::string> attack_of(const SwarmOptions& options, std::size_t i) {
  const std::size_t honest = options.members() - options.hostile;
  if (i < honest) return std::nullopt;
  return options.attacks[(i - honest) % options.attacks.size()];
}

net::SimHostOptions host_options(const SwarmOptions& options) {
  net::SimHostOptions out;
  out.latency = options.latency / 2;  // each end has one half of the way
  out.upload = options.bandwidth;
  out.download = options.bandwidth;
  return out;
}

net::SimHostOptions host_options(const SwarmOptions& options, std::size_t i) {
  net::SimHostOptions out = host_options(options);
  if (const auto line = options.other_lines.find(i); line != options.other_lines.end()) {
    out.upload = line->second;
    out.download = line->second;
  }
  if (attack_of(options, i) == "one_computer") out.ip = "10.255.0.1";
  out.listening = !options.is_client(i);
  return out;
}

net::Task<void> run_member(SimSwarm::Member& member, net::PeerAddress bootstrap) {
  std::vector<net::PeerAddress> peers;
  peers.push_back(std::move(bootstrap));
  auto joined = co_await member.dht->bootstrap(std::move(peers));
  (void)joined;  // the participant goes on looking
  auto ended = co_await member.participant->run();
  member.ended = std::move(ended);
}

swarm::Manifest make_manifest(const SwarmOptions& options, const std::vector<swarm::PeerId>& founders,
                              const Model& model) {
  swarm::Manifest manifest;
  manifest.name = "simulated";
  manifest.author = founders.front();
  manifest.founders = founders;
  std::ranges::sort(manifest.founders);
  manifest.model = "synthetic";
  manifest.last_round = options.rounds;
  manifest.start_members = options.start_members;
  manifest.learning_rate = {{0, 0.2F}, {options.rounds, 0.0F}};
  manifest.rule = options.rule;
  manifest.codec = options.codec;
  manifest.tau = options.tau;
  manifest.validators = options.validators;
  manifest.recompute_tolerance = options.recompute_tolerance;
  if (options.survive > 0) manifest.hostile_share = options.survive;
  manifest.g_max = options.codec == "fp16" ? 65504.0F : 1e6F;
  manifest.delta_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options.delta).count());
  manifest.group_max = std::max(manifest.group_max, static_cast<std::uint32_t>(options.members()));
  if (options.adjust) options.adjust(manifest);
  manifest.parameter_count = model.parameter_count();
  manifest.initial_parameters = parameters_digest(model.initial_parameters(manifest.seed));
  return manifest;
}

std::vector<swarm::PeerId> ids_of(const std::vector<std::unique_ptr<SimSwarm::Member>>& members) {
  std::vector<swarm::PeerId> ids;
  for (const auto& member : members) ids.push_back(member->host->id());
  return ids;
}

// Lost packets and full lines delay by more than Δ promises, and what two clients say to each other comes by
// way of others. While a swarm grows, attackers among those that join may be more for a while than the run
// survives.
bool calm(const SwarmOptions& options, const swarm::Manifest& manifest) {
  const std::size_t survived =
      options.joiners > 0 ? 0
                          : swarm::Roster(manifest.founders).greatest_hostile_count(manifest.hostile_share);
  return options.loss == 0 && options.clients < 2 && options.bandwidth == 0 && options.other_lines.empty() &&
         !options.faulty_disks && options.latency + options.jitter < options.delta &&
         options.hostile <= survived;
}

}  // namespace

SimSwarm::Member::Member(SimSwarm& swarm, std::size_t index, net::SimHost& its_host)
    : host(&its_host), process(swarm.scheduler_), swarm_(swarm), index_(index) {}

Tamper SimSwarm::Member::watch() {
  return [this](const net::PeerId&, const std::string& protocol, TamperedFrame frame) {
    if (protocol.starts_with("/testudo/round/")) read_signed(frame.header);
    std::vector<TamperedFrame> frames;
    frames.push_back(std::move(frame));
    return frames;
  };
}

void SimSwarm::Member::read_signed(const Bytes& header) {
  if (header == last_read_) return;
  last_read_ = header;
  const auto frame = swarm::decode_control(header);
  if (!frame) {
    swarm_.checker_.garbled(index_, frame.error());
  } else if (const auto* vote = std::get_if<swarm::VoteFrame>(&*frame)) {
    swarm_.checker_.signed_by(vote->vote.signer, vote->outcome.round, vote->outcome.attempt, "an outcome",
                              vote->outcome.digest());
    voted_round = vote->outcome.round.value();
  } else if (const auto* broadcast = std::get_if<swarm::BroadcastFrame>(&*frame)) {
    const auto* message = std::get_if<swarm::PhaseMessage>(broadcast);
    if (message == nullptr) return;
    swarm_.checker_.signed_by(message->author, message->key.round, message->key.attempt,
                              swarm::name(message->key.phase), message->payload_digest());
    said = message->key;
  }
}

void SimSwarm::Member::on_round(const RoundReport& report) {
  if (report.kind == swarm::OutcomeKind::apply) reports[report.round.value()] = report;
  std::optional<Digest> held;
  if (swarm_.options_.watched && report.kind == swarm::OutcomeKind::apply &&
      holds() == report.round.value()) {
    held = parameters_digest(participant->parameters());
  }
  swarm_.checker_.reported(index_, report, held, swarm_.scheduler_.now());
  if (swarm_.observer_ != nullptr) swarm_.observer_->on_report(index_, report);
}

void SimSwarm::Member::on_removed(const swarm::Removal& removal, swarm::RoundNumber round) {
  removals.push_back(removal);
  removal_rounds.push_back(round.value());
  swarm_.checker_.removed(index_, removal, round);
  swarm_.tell(index_, "round " + std::to_string(round.value()) + ": removed " + removal.peer.short_text() +
                          ": " + std::string(swarm::name(removal.fault)));
}

void SimSwarm::Member::on_admitted(const swarm::PeerId& peer, swarm::RoundNumber round) {
  swarm_.tell(index_, "round " + std::to_string(round.value()) + ": admitted " + peer.short_text());
}

void SimSwarm::Member::on_strike(const swarm::Strike& strike, swarm::RoundNumber round) {
  strikes.push_back({round, strike});
  swarm_.checker_.struck(index_, strike, round);
  std::string who = strike.peer.short_text();
  if (strike.other) who += " and " + strike.other->short_text();
  swarm_.tell(index_, "round " + std::to_string(round.value()) + ": strike " + who + ": " +
                          std::string(swarm::name(strike.reason)));
}

void SimSwarm::Member::on_resting(const std::vector<swarm::PeerId>& now_resting, swarm::RoundNumber from) {
  resting = now_resting;
  rested.insert(resting.begin(), resting.end());
  swarm_.checker_.rests(index_, resting, from);
  std::string who;
  for (const swarm::PeerId& peer : resting) who += " " + peer.short_text();
  swarm_.tell(index_,
              "from round " + std::to_string(from.value()) + " on rest:" + (who.empty() ? " none" : who));
}

void SimSwarm::Member::on_waiting(const std::string& reason) {
  waiting = reason;
  swarm_.tell(index_, "waits: " + reason);
}

SimSwarm::SimSwarm(SwarmOptions options, SwarmObserver* observer)
    : options_(std::move(options)),
      observer_(observer),
      network_(scheduler_, network_options(options_)),
      bootstrap_(&network_.add_host(host_options(options_))),
      bootstrap_dht_(std::make_unique<dht::Dht>(*bootstrap_, dht::DhtOptions{})),
      model_(options_.model ? options_.model
                            : std::make_shared<SyntheticModel>(
                                  SyntheticOptions{.dimension = options_.dimension, .noise = 0.5})),
      members_([this] {
        std::vector<std::unique_ptr<Member>> members;
        for (std::size_t i = 0; i < options_.members(); ++i) {
          members.push_back(std::make_unique<Member>(*this, i, network_.add_host(host_options(options_, i))));
        }
        return members;
      }()),
      manifest_([this] {
        std::vector<swarm::PeerId> founders = ids_of(members_);
        founders.resize(options_.founders);
        auto manifest = make_manifest(options_, founders, *model_);
        const auto valid = manifest.validate();
        TESTUDO_CHECK(valid.has_value());
        return swarm::SignedManifest::sign(std::move(manifest), members_[0]->host->identity());
      }()),
      checker_(manifest_.manifest, ids_of(members_), calm(options_, manifest_.manifest)) {
  if (options_.watched) verified_.emplace();
  scheduler_.set_offload_time(options_.work);
  const auto collusion = std::make_shared<Collusion>();
  const auto mirrored = std::make_shared<MirroredModel>(model_);
  for (std::size_t i = 0; i < options_.members(); ++i) {
    const auto attack = attack_of(options_, i);
    if (!attack) continue;
    collusion->add(members_[i]->host->id());
    auto behaviour = make_attack(*attack, {.manifest = manifest_.manifest,
                                           .identity = members_[i]->host->identity(),
                                           .seed = options_.seed + i,
                                           .from_round = options_.attack_from,
                                           .every = options_.attack_every,
                                           .collusion = collusion,
                                           .flipped = mirrored});
    TESTUDO_CHECK(behaviour.has_value());
    members_[i]->behaviour = std::move(*behaviour);
  }
}

SimSwarm::~SimSwarm() {
  for (const auto& member : members_) stop_objects(*member);
}

// The wiring. What `testudo join` makes, with the simulated form of every seam: the host, the storage and the
// model here; time and randomness are the host's.
void SimSwarm::start(std::size_t i) {
  Member& member = *members_[i];
  if (!member.host->is_up()) network_.restart(*member.host);
  check_storage(i);

  if (!member.behaviour.is_honest()) checker_.set_hostile(i);
  member.tampering = std::make_unique<TamperingHost>(*member.host, member.process,
                                                     member.behaviour.tamper ? member.behaviour.tamper
                                                     : options_.watched      ? member.watch()
                                                                             : Tamper(),
                                                     member.behaviour.hear, member.behaviour.answer);
  member.disk = std::make_unique<net::FaultyStorage>(member.storage);
  member.dht = std::make_unique<dht::Dht>(*member.tampering, dht::DhtOptions{});
  member.participant =
      std::make_unique<Participant>(*member.tampering, *member.dht, *member.disk, manifest_, model_,
                                    options_.evaluate_every > 0 ? model_ : nullptr, member,
                                    ParticipantOptions{.evaluate_every = options_.evaluate_every,
                                                       .client_mode = options_.is_client(i),
                                                       .linger = options_.linger,
                                                       .misconduct = member.behaviour.misconduct.get()});
  member.tasks = std::make_unique<net::TaskGroup>(scheduler_);
  member.ended.reset();
  member.tasks->spawn(run_member(member, bootstrap_->peer_address()));

  checker_.started(i, scheduler_.now());
  tell(i, "started");
}

void SimSwarm::start_all() {
  for (std::size_t i = 0; i < members_.size(); ++i) start(i);
}

void SimSwarm::crash(std::size_t i) {
  network_.crash(*members_[i]->host);
  stop_objects(*members_[i]);
  checker_.killed(i, scheduler_.now());
  tell(i, "killed");
}

void SimSwarm::stop_objects(Member& member) {
  member.tasks.reset();
  member.participant.reset();
  member.dht.reset();
  member.tampering.reset();
}

void SimSwarm::partition(const std::vector<std::size_t>& one_side) {
  std::vector<net::SimHost*> hosts;
  std::string names;
  for (const std::size_t i : one_side) {
    hosts.push_back(members_[i]->host);
    names += " " + std::to_string(i);
  }
  network_.partition({hosts});
  checker_.not_calm();
  checker_.disturbed(scheduler_.now());
  tell(std::nullopt, "cut off:" + names);
}

void SimSwarm::heal() {
  network_.heal();
  checker_.disturbed(scheduler_.now());
  tell(std::nullopt, "the network is whole again");
}

// A copy: opening a ledger may write.
void SimSwarm::check_storage(std::size_t i) {
  net::MemoryStorage copy = members_[i]->storage;
  const auto ledger = swarm::Ledger::open(copy, manifest_);
  if (ledger) {
    checker_.recovered(i, (*ledger)->chain().next_round(), (*ledger)->chain().next_attempt());
  } else {
    checker_.ended(i, fail(ledger.error()));
  }
}

void SimSwarm::measure() {
  const std::size_t n = members_.size();
  // A member has long-lived links to the others, short questions of the DHT and of state transfer beside
  // them.
  constexpr std::size_t streams_a_peer = 16;
  constexpr std::size_t streams_of_dht = 512;
  // The certified state and the one that is signed, steps of that size; the steps that stay behind a
  // snapshot, and the last before it; a certificate of every attempt.
  constexpr std::size_t states_on_disk = 3;
  constexpr std::size_t steps_beside = StateStore::steps_before_snapshot + 1;
  const std::size_t d = model_->parameter_count();
  const std::size_t certificate_bytes = 4096 + 256 * n;
  // Whoever is banned, once, leaves evidence: at most everybody's message, and everybody's part of the
  // values.
  const std::size_t evidence_bytes = n * (4 * d + certificate_bytes);
  const auto hostile = static_cast<std::size_t>(
      std::ranges::count_if(members_, [](const auto& member) { return !member->behaviour.is_honest(); }));
  // What a round may have on its way at once, between any two members.
  constexpr std::size_t segments_a_pair = 256;
  for (std::size_t i = 0; i < n; ++i) {
    const Member& member = *members_[i];
    checker_.measured(i, {"open streams", member.host->open_streams(), streams_a_peer * n + streams_of_dht});
    checker_.measured(i, {"bytes on disk", member.storage.size_bytes(),
                          states_on_disk * TrainingState::encoded_bytes({d, d, d}) +
                              steps_beside * TrainingState::encoded_bytes({d, 0, 0}) +
                              certificate_bytes * (checker_.attempts() + 2) + evidence_bytes * hostile});
  }
  const std::size_t part_segments = 4 * d / network_.options().segment_size + 1;
  checker_.measured(std::nullopt, {"segments on their way", network_.in_flight(),
                                   n * n * (segments_a_pair + 4 * part_segments) + streams_of_dht * n});
}

bool SimSwarm::run_until(const std::function<bool()>& finished, net::Duration limit) {
  const net::TimePoint end = scheduler_.now() + limit;
  const auto stop = [&] { return !checker_.violations().empty() || finished(); };
  while (true) {
    const bool stopped = scheduler_.run_until(stop, std::min(end, next_tick_));
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i]->ended) note_end(i);
    }
    if (stopped || scheduler_.now() >= next_tick_) {
      measure();
      checker_.tick(scheduler_.now());
      next_tick_ = scheduler_.now() + tick_interval;
    }
    if (!checker_.violations().empty()) return false;
    if (stopped) return true;
    if (scheduler_.now() >= end) return false;
  }
}

void SimSwarm::note_end(std::size_t i) {
  const Result<void>& ended = *members_[i]->ended;
  if (options_.faulty_disks && !ended && ended.error().code == ErrorCode::io) {
    checker_.killed(i, scheduler_.now());
  } else {
    checker_.ended(i, ended);
  }
}

bool SimSwarm::all_ended() const {
  return std::ranges::all_of(members_,
                             [](const auto& member) { return !member->running() || member->ended; });
}

std::uint64_t SimSwarm::last_round(std::size_t i) const {
  return members_[i]->reports.empty() ? 0 : members_[i]->reports.rbegin()->first;
}

void SimSwarm::tell(std::optional<std::size_t> member, const std::string& what) {
  if (observer_ != nullptr) observer_->on_event(member, what);
}

}  // namespace testudo::training
