// A whole swarm in one process and virtual time: production code over SimNetwork, with checkers.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "dht/dht.h"
#include "net/async/sim_scheduler.h"
#include "net/sim/sim_network.h"
#include "net/storage/faulty_storage.h"
#include "net/storage/memory_storage.h"
#include "swarm/control.h"
#include "tests/training/tampering_host.h"
#include "training/round/participant.h"
#include "training/synthetic_model.h"

namespace testudo::training {

using namespace std::chrono_literals;

// Sends its gradient with another sign and a thousand times as long.
class SignFlippingModel final : public Model {
 public:
  explicit SignFlippingModel(std::shared_ptr<Model> honest) : honest_(std::move(honest)) {}
  std::size_t parameter_count() const override { return honest_->parameter_count(); }
  std::vector<float> initial_parameters(const Digest& seed) const override {
    return honest_->initial_parameters(seed);
  }
  Result<Contribution> contribution(std::span<const float> parameters, const Digest& seed,
                                    std::uint32_t samples) override {
    TRY(auto contribution, honest_->contribution(parameters, seed, samples));
    for (float& value : contribution.gradient) value *= -1000.0F;
    return contribution;
  }
  Result<Evaluation> evaluate(std::span<const float> parameters) override {
    return honest_->evaluate(parameters);
  }
  std::vector<NamedTensorInfo> layout() const override { return honest_->layout(); }

 private:
  std::shared_ptr<Model> honest_;
};

struct SwarmOptions {
  std::size_t founders = 3;
  std::size_t joiners = 2;
  std::size_t hostile = 0;  // of the joiners
  std::size_t dimension = 500;
  std::uint64_t rounds = 10;
  std::uint32_t start_members = 1;
  std::string rule = "centered_clip";
  std::string codec = "int8";
  double loss = 0;
  net::Duration work = 50ms;  // a job on the CPU pool
  std::uint64_t seed = 1;
};

class SimSwarm {
 public:
  struct Member final : ParticipantObserver {
    net::SimHost* host = nullptr;
    bool hostile = false;
    Tamper tamper;  // set before start(): lies on the wire
    std::unique_ptr<TamperingHost> tampering;
    std::unique_ptr<net::SimProcess> process;  // its time: the same one through all its restarts
    net::MemoryStorage storage;
    std::unique_ptr<net::FaultyStorage> disk;  // in front of it, a new one at every start
    std::unique_ptr<dht::Dht> dht;
    std::unique_ptr<Participant> participant;
    std::unique_ptr<net::TaskGroup> tasks;
    std::optional<Result<void>> ended;
    std::map<std::uint64_t, RoundReport> reports;  // of applied rounds
    std::vector<swarm::Removal> removals;
    std::string waiting;
    std::uint64_t started_round = 0;
    swarm::PhaseKey said{};  // of its last phase message
    std::uint64_t voted_round = 0;

    void on_round_started(swarm::RoundNumber round) override { started_round = round.value(); }
    void on_round(const RoundReport& report) override {
      if (report.kind == swarm::OutcomeKind::apply) reports[report.round.value()] = report;
    }
    void on_removed(const swarm::Removal& removal, swarm::RoundNumber) override {
      removals.push_back(removal);
    }
    void on_waiting(const std::string& reason) override { waiting = reason; }
    bool running() const { return participant != nullptr; }
  };

  explicit SimSwarm(SwarmOptions options)
      : options_(options), network_(scheduler_, {.seed = options.seed, .loss = options.loss}) {
    scheduler_.set_offload_time(options.work);
    bootstrap_ = &network_.add_host();
    bootstrap_dht_ = std::make_unique<dht::Dht>(*bootstrap_, dht::DhtOptions{});
    for (std::size_t i = 0; i < options.founders + options.joiners; ++i) {
      auto member = std::make_unique<Member>();
      member->host = &network_.add_host();
      member->process = std::make_unique<net::SimProcess>(scheduler_);
      member->hostile = i >= options.founders + options.joiners - options.hostile;
      members_.push_back(std::move(member));
    }
    swarm::Manifest manifest;
    manifest.name = "simulated";
    manifest.author = members_[0]->host->id();
    for (std::size_t i = 0; i < options.founders; ++i) manifest.founders.push_back(members_[i]->host->id());
    std::ranges::sort(manifest.founders);
    manifest.model = "synthetic";
    manifest.parameter_count = options.dimension;
    manifest.initial_parameters = parameters_digest(model()->initial_parameters(manifest.seed));
    manifest.last_round = options.rounds;
    manifest.start_members = options.start_members;
    manifest.learning_rate = {{0, 0.2F}, {options.rounds, 0.0F}};
    manifest.rule = options.rule;
    manifest.codec = options.codec;
    manifest.tau = 5;
    manifest.g_max = options.codec == "fp16" ? 65504.0F : 1e6F;
    REQUIRE(manifest.validate().has_value());
    manifest_ = swarm::SignedManifest::sign(manifest, members_[0]->host->identity());
  }

  ~SimSwarm() {
    for (std::size_t i = 0; i < members_.size(); ++i) stop_objects(i);
  }

  void start(std::size_t i) {
    Member& member = *members_[i];
    if (!member.host->is_up()) network_.restart(*member.host);
    member.tampering = std::make_unique<TamperingHost>(*member.host, *member.process,
                                                       member.tamper ? member.tamper : watched(member));
    member.disk = std::make_unique<net::FaultyStorage>(member.storage);
    member.dht = std::make_unique<dht::Dht>(*member.tampering, dht::DhtOptions{});
    std::shared_ptr<Model> own = model();
    if (member.hostile) own = std::make_shared<SignFlippingModel>(own);
    member.participant =
        std::make_unique<Participant>(*member.tampering, *member.dht, *member.disk, manifest_, own, model(),
                                      member, ParticipantOptions{.evaluate_every = 5});
    member.tasks = std::make_unique<net::TaskGroup>(scheduler_);
    member.ended.reset();
    member.tasks->spawn(run_member(member, bootstrap_->peer_address()));
  }
  void start_all() {
    for (std::size_t i = 0; i < members_.size(); ++i) start(i);
  }
  // kill -9.
  void crash(std::size_t i) {
    network_.crash(*members_[i]->host);
    stop_objects(i);
  }

  bool run_until(const std::function<bool()>& finished, net::Duration limit) {
    return scheduler_.run_for(
        [&] {
          check_equality();
          return finished();
        },
        limit);
  }
  bool all_ended() const {
    return std::ranges::all_of(members_,
                               [](const auto& member) { return !member->running() || member->ended; });
  }
  std::uint64_t last_round(std::size_t i) const {
    return members_[i]->reports.empty() ? 0 : members_[i]->reports.rbegin()->first;
  }

  // Byte-identical parameters on all members after every round; nobody honest signed two things in one place.
  void check_equality() {
    for (const auto& member : members_) {
      for (auto it = member->reports.rbegin(); it != member->reports.rend(); ++it) {
        const auto [known, fresh] = digests_.try_emplace(it->first, it->second.parameters);
        if (known->second != it->second.parameters) {
          FAIL("round ", it->first, " diverged, seed ", options_.seed);
        }
        if (!fresh && it != member->reports.rbegin()) break;
      }
    }
    if (!contradiction_.empty()) FAIL(contradiction_, ", seed ", options_.seed);
  }

  Member& member(std::size_t i) { return *members_[i]; }
  net::SimScheduler& scheduler() { return scheduler_; }
  net::SimNetwork& network() { return network_; }
  const swarm::Manifest& manifest() const { return manifest_.manifest; }
  std::shared_ptr<SyntheticModel> model() const {
    return std::make_shared<SyntheticModel>(SyntheticOptions{.dimension = options_.dimension, .noise = 0.5});
  }

 private:
  // Changes nothing, and reads what an honest member signs: never two things in one place, in all its lives.
  Tamper watched(Member& member) {
    return [this, &member](const net::PeerId&, const std::string& protocol, TamperedFrame frame) {
      if (protocol.starts_with("/testudo/round/")) watch(member, frame.header);
      return std::optional(std::move(frame));
    };
  }
  void watch(Member& member, const Bytes& header) {
    const auto frame = swarm::decode_control(header);
    if (!frame) {
      contradiction_ = "a member sent what does not decode: " + frame.error().message;
    } else if (const auto* vote = std::get_if<swarm::VoteFrame>(&*frame)) {
      note_signed(vote->vote.signer, vote->outcome.round, vote->outcome.attempt, "outcome",
                  vote->outcome.digest());
      member.voted_round = vote->outcome.round.value();
    } else if (const auto* broadcast = std::get_if<swarm::BroadcastFrame>(&*frame)) {
      const auto* message = std::get_if<swarm::PhaseMessage>(broadcast);
      if (message == nullptr) return;
      const auto phase = static_cast<unsigned>(message->key.phase);
      note_signed(message->author, message->key.round, message->key.attempt, "phase " + std::to_string(phase),
                  message->payload_digest());
      member.said = message->key;
    }
  }
  void note_signed(const net::PeerId& signer, swarm::RoundNumber round, swarm::Attempt attempt,
                   const std::string& what, const Digest& content) {
    const std::string place = signer.short_text() + " signed two different things: " + what + ", round " +
                              std::to_string(round.value()) + ", attempt " + std::to_string(attempt.value());
    const auto [known, fresh] = signed_.try_emplace(place, content);
    if (!fresh && known->second != content) contradiction_ = place;
  }
  static net::Task<void> run_member(Member& member, net::PeerAddress bootstrap) {
    std::vector<net::PeerAddress> peers;
    peers.push_back(std::move(bootstrap));
    auto joined = co_await member.dht->bootstrap(std::move(peers));
    (void)joined;
    auto ended = co_await member.participant->run();
    member.ended = std::move(ended);
  }
  void stop_objects(std::size_t i) {
    members_[i]->tasks.reset();
    members_[i]->participant.reset();
    members_[i]->dht.reset();
  }

  SwarmOptions options_;
  net::SimScheduler scheduler_;
  net::SimNetwork network_;
  net::SimHost* bootstrap_;
  std::unique_ptr<dht::Dht> bootstrap_dht_;
  std::vector<std::unique_ptr<Member>> members_;
  swarm::SignedManifest manifest_;
  std::map<std::uint64_t, Digest> digests_;
  std::map<std::string, Digest> signed_;
  std::string contradiction_;  // what an honest member must never do, and one did
};

}  // namespace testudo::training
