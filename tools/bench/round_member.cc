// One member of a measured run: what `testudo join` is made of, NetworkHost, Dht, SQLite and Participant, as
// they are; only the model is another, whose contribution costs next to nothing and begins at one moment for
// all members, as the all-reduce of a library does behind its barrier. The worker "round-member".
#include <unistd.h>

#include <cstring>
#include <mutex>

#include "crypto/hash.h"
#include "dht/dht.h"
#include "net/host/network_host.h"
#include "net/services/identify.h"
#include "net/services/ping.h"
#include "net/storage/sqlite_storage.h"
#include "tools/bench/measure.h"
#include "tools/bench/round_roles.h"
#include "tools/bench/shared_group.h"
#include "training/aggregation/rule.h"
#include "training/round/participant.h"

namespace testudo::bench {
namespace {

using namespace std::chrono_literals;
using tools::Json;

constexpr std::chrono::seconds group_limit{300};

crypto::KeyPair key_of(std::size_t index) {
  return crypto::KeyPair::from_seed(crypto::blake2b(as_bytes("benchmark member " + std::to_string(index))));
}

// A gradient from a short pattern: a copy costs what memory costs and holds nothing between rounds. Every
// member's is another, and none is of a hostile kind.
class PatternModel final : public training::Model {
 public:
  PatternModel(std::size_t values, std::size_t index, SharedGroup& group)
      : values_(values), group_(group), pattern_(pattern_values) {
    crypto::SeededRng rng(index);
    for (float& value : pattern_) value = 0.3F + 0.2F * static_cast<float>(rng.unit() - 0.5);
  }

  std::size_t parameter_count() const override { return values_; }
  std::vector<float> initial_parameters(const Digest&) const override {
    return std::vector<float>(values_, 0.0F);
  }
  Result<training::Contribution> contribution(std::span<const float>, const Digest&, std::uint32_t samples,
                                              std::span<float> gradient) override {
    for (std::size_t i = 0; i < values_; i += pattern_.size()) {
      std::copy_n(pattern_.begin(), std::min(pattern_.size(), values_ - i),
                  gradient.begin() + static_cast<std::ptrdiff_t>(i));
    }
    TRY_VOID(group_.wait_for_all(group_limit));
    const std::lock_guard lock(mutex_);
    released_.push_back({wall_seconds(), process_cpu_seconds()});
    return training::Contribution{.samples = samples, .loss = 0};
  }
  Result<training::Evaluation> evaluate(std::span<const float>) override { return training::Evaluation{}; }
  std::vector<training::NamedTensorInfo> layout() const override {
    return {{"pattern", {static_cast<std::int64_t>(values_)}, 0}};
  }

  // When the contribution of this turn was released, and the CPU seconds used till then. Any thread.
  Cost released(std::size_t turn) const {
    const std::lock_guard lock(mutex_);
    return turn < released_.size() ? released_[turn] : Cost{};
  }

 private:
  static constexpr std::size_t pattern_values = 64 * 1024 + 17;  // not a multiple of the codec's block
  std::size_t values_;
  SharedGroup& group_;
  std::vector<float> pattern_;
  mutable std::mutex mutex_;  // guards released_: the pool writes it, the loop reads it
  std::vector<Cost> released_;
};

// Says a "turn" for every round.
class TurnPrinter final : public training::ParticipantObserver {
 public:
  TurnPrinter(net::Scheduler& scheduler, tools::Output& output, const PatternModel& model)
      : scheduler_(scheduler), output_(output), model_(model) {}

  // The turn's own time, from which the round counts its phases; LibuvScheduler's is that of wall_seconds().
  void on_round_started(swarm::RoundNumber) override {
    started_.push_back(net::seconds(scheduler_.now().time_since_epoch()));
  }
  void on_round(const training::RoundReport& report) override {
    const bool applied = report.kind == swarm::OutcomeKind::apply && report.attempt == swarm::Attempt(0);
    // The next round may have begun already, but no report is left out.
    const double started = started_[turn_];
    const Cost release = model_.released(turn_++);
    Json phases = Json::object();
    double end = started;  // of GATHER: the reduced vector is here
    bool reduced = false;
    for (const training::PhaseTime& phase : report.phases) {
      if (!reduced) end += phase.seconds;
      reduced = reduced || phase.phase == "gather";
      phases[phase.phase] = phase.seconds;
    }
    // The wait for the others is no part of the round.
    if (phases.contains("compute")) {
      phases["compute"] = std::max(0.0, phases["compute"].get<double>() - (release.wall - started));
    }
    output_.say({{"event", "turn"},
                 {"applied", applied},
                 {"members", report.members},
                 {"contributors", report.contributors},
                 {"start", release.wall},
                 {"end", end},
                 {"whole", started + report.seconds - release.wall},
                 {"cpu", process_cpu_seconds() - release.cpu},
                 {"sent", report.bytes_sent},
                 {"phases", std::move(phases)}},
                "");
  }

 private:
  net::Scheduler& scheduler_;
  tools::Output& output_;
  const PatternModel& model_;
  std::vector<double> started_;
  std::size_t turn_ = 0;
};

swarm::SignedManifest make_manifest(const Json& role, std::size_t members, const PatternModel& model) {
  swarm::Manifest manifest;
  manifest.name = "benchmark";
  for (std::size_t i = 0; i < members; ++i) manifest.founders.push_back(key_of(i).peer_id());
  std::ranges::sort(manifest.founders);
  manifest.model = "synthetic";
  manifest.parameter_count = model.parameter_count();
  manifest.initial_parameters = training::parameters_digest(model.initial_parameters(manifest.seed));
  manifest.last_round = role.at("turns").get<std::uint64_t>();
  manifest.momentum = 0;  // an all-reduce has no state besides the vector
  manifest.learning_rate = {{0, 0.1F}};
  manifest.codec = role.at("codec").get<std::string>();
  manifest.rule = role.at("rule").get<std::string>();
  manifest.tau = training::automatic;
  manifest.g_max = 1e4F;
  manifest.start_members = static_cast<std::uint32_t>(members);
  // Generous, because all members share this machine's cores; nothing waits for them when all goes well.
  manifest.compute_deadline_ms = 300'000;
  manifest.exchange_deadline_ms = 120'000;
  manifest.delta_ms = 5'000;
  return swarm::SignedManifest::sign(std::move(manifest), key_of(0));
}

net::Task<Result<void>> take_part(net::Host& host, dht::Dht& dht, training::Participant& participant,
                                  std::vector<net::PeerAddress> bootstrap, tools::Output& output) {
  CO_TRY(const auto any_port, net::Multiaddr::tcp("127.0.0.1", 0));
  CO_TRY(const auto bound, co_await host.listen(any_port));
  output.say({{"event", "ready"}, {"address", bound.with_peer_id(host.id()).to_text()}}, "");
  CO_TRY_VOID(co_await dht.bootstrap(std::move(bootstrap)));
  co_return co_await participant.run();
}

}  // namespace

Result<void> round_member_role(const Json& role, tools::Output& output) {
  const std::size_t index = role.at("index");
  TRY(const auto group, SharedGroup::open(role.at("group")));
  std::vector<net::PeerAddress> bootstrap;
  if (const std::string address = role.at("bootstrap"); !address.empty()) {
    TRY(auto peer, net::parse_peer_address(address));
    bootstrap.push_back(std::move(peer));
  }
  const auto model = std::make_shared<PatternModel>(role.at("values"), index, *group);
  TRY(const auto storage, net::SqliteStorage::open(role.at("folder").get<std::string>() + "/member-" +
                                                   std::to_string(index) + ".sqlite"));
  net::LibuvScheduler scheduler;
  const auto host = net::make_network_host(scheduler, key_of(index));
  const net::PingService ping(*host);
  const net::IdentifyService identify(*host);
  dht::Dht dht(*host, {});
  TurnPrinter printer(scheduler, output, *model);
  training::Participant participant(*host, dht, *storage, make_manifest(role, group->members(), *model),
                                    model, nullptr, printer, {.evaluate_every = 0, .linger = 2s});
  std::optional<Result<void>> result;
  {
    net::TaskGroup tasks(scheduler);
    tasks.spawn(complete_into(take_part(*host, dht, participant, std::move(bootstrap), output), result));
    scheduler.run_until([&result] { return result.has_value(); });
  }
  TRY_VOID(*std::move(result));
  output.say({{"event", "done"}, {"peak", peak_resident_bytes(getpid())}}, "");
  return {};
}

}  // namespace testudo::bench
