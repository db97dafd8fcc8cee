// Suite overhead: what believing a result costs where the network is the limit. Sixteen members, each a
// machine of its own with a line of 1 Gbit/s and 20 ms to every other, in virtual time: once the production
// round, once a plain butterfly that encodes, sends, averages and sends back, and trusts everybody. Both with
// the same codec, the same transport and the same simulated lines; jobs take the CPU time that they really
// take here, and what the loop of a member costs is added in the mean. Making the gradient is not counted.
#include <algorithm>
#include <map>

#include "crypto/base/check.h"
#include "crypto/base/log.h"
#include "net/async/combinators.h"
#include "net/sim/sim_network.h"
#include "tools/bench/suites.h"
#include "training/aggregation/rule.h"
#include "training/round/part_exchange.h"
#include "training/simulation/sim_swarm.h"

namespace testudo::bench {
namespace {

using namespace std::chrono_literals;
using net::Task;

struct Line {
  net::Duration latency = 20ms;  // one way
  double bandwidth = 1e9 / 8;    // bytes a second, each way
};

struct Shape {
  std::size_t members = 16;
  std::size_t values = 11'000'000;
  std::size_t cores = 4;
  std::size_t rounds = 5;
  Line line;
};

// Of one round, from when the last member had ended the one before until the last has ended it; bytes of the
// mean member.
struct Taken {
  std::vector<double> seconds;
  std::vector<double> bytes;
  std::map<std::string, std::vector<double>> phases;  // seconds, of the mean member
};

net::Duration cpu_now() { return net::from_seconds(thread_cpu_seconds()); }

// Copies a short pattern: the gradient costs what memory costs.
class PatternModel final : public training::Model {
 public:
  explicit PatternModel(std::size_t values) : values_(values), pattern_(64 * 1024 + 17) {
    crypto::SeededRng rng(1);
    for (float& value : pattern_) value = 0.3F + 0.2F * static_cast<float>(rng.unit() - 0.5);
  }
  std::size_t parameter_count() const override { return values_; }
  std::vector<float> initial_parameters(const Digest&) const override {
    return std::vector<float>(values_, 0.0F);
  }
  Result<training::Contribution> contribution(std::span<const float>, const Digest& seed,
                                              std::uint32_t samples, std::span<float> gradient) override {
    const double begun = thread_cpu_seconds();
    fill(gradient, seed[0]);
    seconds_.push_back(thread_cpu_seconds() - begun);
    return training::Contribution{.samples = samples, .loss = 0};
  }
  void fill(std::span<float> gradient, std::size_t shift) const {
    for (std::size_t i = 0; i < gradient.size();) {
      const std::size_t from = (i + shift) % pattern_.size();
      const std::size_t count = std::min(pattern_.size() - from, gradient.size() - i);
      std::copy_n(pattern_.begin() + static_cast<std::ptrdiff_t>(from), count,
                  gradient.begin() + static_cast<std::ptrdiff_t>(i));
      i += count;
    }
  }
  Result<training::Evaluation> evaluate(std::span<const float>) override { return training::Evaluation{}; }
  std::vector<training::NamedTensorInfo> layout() const override {
    return {{"pattern", {static_cast<std::int64_t>(values_)}, 0}};
  }
  // CPU seconds that a gradient takes.
  double seconds() const { return figure(seconds_).median; }

 private:
  std::size_t values_;
  std::vector<float> pattern_;
  std::vector<double> seconds_;
};

net::SimHostOptions host_options(const Line& line) {
  net::SimHostOptions options;
  options.latency = line.latency / 2;  // each end has one half of the way
  options.upload = options.download = line.bandwidth;
  return options;
}

// One member of the plain butterfly.
class Trusting {
 public:
  Trusting(net::SimNetwork& network, const Shape& shape)
      : host(network.add_host(host_options(shape.line))),
        process_(network.scheduler()),
        shape_(shape),
        rule_(*training::make_rule("mean")),
        exchange_(
            host, encoded_size(codec, shape.values), shape.members, [](const net::PeerId&) { return true; },
            std::make_shared<SpareBuffers>(spare_limit)),
        gradient_(shape.values),
        result_(shape.values) {
    process_.set_cores(shape.cores, cpu_now);
    PatternModel(shape.values).fill(gradient_, 0);
  }

  Task<void> connect(const std::vector<std::unique_ptr<Trusting>>& all) {
    for (const auto& other : all) {
      if (other.get() == this) continue;
      const auto connected = co_await host.connect(other->host.id(), other->host.addresses());
      (void)connected;  // both ends dial, and one of them is late
    }
  }

  Task<void> round(const std::vector<std::unique_ptr<Trusting>>& all, std::uint64_t number) {
    exchange_.enter(swarm::RoundNumber(number), swarm::Attempt(0));
    const std::uint64_t sent_before = host.traffic().bytes_sent;
    std::vector<Task<void>> parts;
    const std::size_t place = place_in(all);
    for (std::size_t i = 1; i <= all.size(); ++i) {
      const std::size_t j =
          (place + i) % all.size();  // each begins elsewhere, so that no line is full while others idle
      parts.push_back(scatter(*all[j], number, j));
    }
    parts.push_back(reduce(all, number));
    for (std::size_t j = 0; j < all.size(); ++j) parts.push_back(gather(*all[j], number, j));
    net::TaskGroup group(process_);
    for (auto& part : parts) group.spawn(std::move(part));
    co_await group.wait_idle();
    ended = process_.now();
    sent = host.traffic().bytes_sent - sent_before;
  }

  net::Duration job_time() const { return process_.job_time(); }

  net::SimHost& host;
  net::TimePoint ended{};
  std::uint64_t sent = 0;

 private:
  static constexpr training::CodecKind codec = training::CodecKind::int8;
  static constexpr float g_max = 1e4F;
  static constexpr std::size_t spare_limit = 64;

  std::size_t place_in(const std::vector<std::unique_ptr<Trusting>>& all) const {
    std::size_t place = 0;
    while (all[place].get() != this) ++place;
    return place;
  }
  training::PartRange range(std::size_t j) const {
    const std::size_t begin = shape_.values * j / shape_.members;
    return {begin, shape_.values * (j + 1) / shape_.members - begin, static_cast<std::uint32_t>(j)};
  }
  static training::PartKey key(std::uint64_t number, training::PartKind kind, std::size_t j) {
    return {swarm::RoundNumber(number), swarm::Attempt(0), kind,
            training::PartIndex(static_cast<std::uint32_t>(j))};
  }

  Task<void> scatter(Trusting& reducer, std::uint64_t number, std::size_t j) {
    const auto values = std::span<const float>(gradient_).subspan(range(j).begin, range(j).size);
    auto encoded = co_await net::offload(process_, [values] {
      Buffer bytes(encoded_size(codec, values.size()));
      const auto good = encode_into(codec, values, bytes, g_max);
      TESTUDO_CHECK(good.has_value());
      return std::make_shared<const Buffer>(std::move(bytes));
    });
    if (&reducer == this) {
      own_ = std::move(encoded);
      own_ready_ = number;
      exchange_.arrived().pulse();
    } else {
      exchange_.send(reducer.host.id(), key(number, training::PartKind::contribution, j), std::move(encoded));
    }
  }

  // The part of this member's place.
  Task<void> reduce(const std::vector<std::unique_ptr<Trusting>>& all, std::uint64_t number) {
    const std::size_t place = place_in(all);
    std::vector<Blob> parts;
    for (const auto& other : all) {
      const bool own = other.get() == this;
      const auto part_key = key(number, training::PartKind::contribution, place);
      Blob part;
      while (!(part = own ? (own_ready_ == number ? own_ : nullptr)
                          : exchange_.find(part_key, other->host.id())))
        co_await exchange_.arrived().wait();
      parts.push_back(std::move(part));
    }
    const std::size_t size = range(place).size;
    auto result = co_await net::offload(process_, [parts = std::move(parts), size, this] {
      std::vector<ByteView> bytes;
      for (const Blob& part : parts) bytes.emplace_back(*part);
      const std::vector<double> weights(parts.size(), 1.0);
      Buffer encoded(encoded_size(codec, size));
      rule_->aggregate({training::EncodedParts(codec, size, g_max, std::move(bytes)), weights, {}},
                       [&encoded](std::size_t begin, std::span<const float> values) {
                         const auto good = encode_into(
                             codec, values,
                             encoded_range(codec, MutableByteView(encoded), begin, values.size()));
                         TESTUDO_CHECK(good.has_value());
                       });
      return std::make_shared<const Buffer>(std::move(encoded));
    });
    for (std::size_t i = 1; i < all.size(); ++i) {
      exchange_.send(all[(place + i) % all.size()]->host.id(), key(number, training::PartKind::result, place),
                     result);
    }
    reduced_ = std::move(result);
    reduced_ready_ = number;
    exchange_.arrived().pulse();
  }

  Task<void> gather(Trusting& reducer, std::uint64_t number, std::size_t j) {
    const bool own = &reducer == this;
    const auto part_key = key(number, training::PartKind::result, j);
    Blob part;
    while (!(part = own ? (reduced_ready_ == number ? reduced_ : nullptr)
                        : exchange_.find(part_key, reducer.host.id())))
      co_await exchange_.arrived().wait();
    const auto values = std::span<float>(result_).subspan(range(j).begin, range(j).size);
    const bool good = co_await net::offload(
        process_, [part, values] { return decode(codec, *part, values, g_max).has_value(); });
    TESTUDO_CHECK(good);
  }

  net::SimProcess process_;
  const Shape& shape_;
  std::shared_ptr<const training::AggregationRule> rule_;
  training::PartExchange exchange_;
  std::vector<float> gradient_;
  std::vector<float> result_;
  Blob own_, reduced_;
  std::uint64_t own_ready_ = 0, reduced_ready_ = 0;  // in which round
};

net::SimOptions network_options() {
  net::SimOptions options;
  options.jitter = {};
  return options;
}

// Processor time of the calling thread: all of it, and what jobs took.
struct Spent {
  double all = 0;
  double jobs = 0;
};

// Seconds a member and round between two moments, but for the jobs: what the loop of a member costs, and what
// simulating the network costs.
double loop_seconds(const Spent& from, const Spent& to, const Shape& shape, std::uint64_t rounds) {
  const double loops = (to.all - from.all) - (to.jobs - from.jobs);
  const double seconds = loops / static_cast<double>(shape.members * rounds);
  log::info("overhead: the loop of a member took {:.1f} ms a round", seconds * 1000);
  return seconds;
}

Spent spent_by(const std::vector<std::unique_ptr<Trusting>>& all) {
  Spent spent{.all = thread_cpu_seconds()};
  for (const auto& member : all) spent.jobs += net::seconds(member->job_time());
  return spent;
}

Taken run_plain(const Shape& shape) {
  net::SimScheduler scheduler;
  net::SimNetwork network(scheduler, network_options());
  std::vector<std::unique_ptr<Trusting>> all;
  for (std::size_t i = 0; i < shape.members; ++i) all.push_back(std::make_unique<Trusting>(network, shape));
  net::TaskGroup tasks(scheduler);
  for (const auto& member : all) tasks.spawn(member->connect(all));
  scheduler.run_until([&tasks] { return tasks.size() == 0; }, scheduler.now() + 1h);
  Taken taken;
  Spent before;
  for (std::uint64_t number = 0; number <= shape.rounds; ++number) {
    if (number == 1) before = spent_by(all);
    const net::TimePoint begun = scheduler.now();
    for (const auto& member : all) tasks.spawn(member->round(all, number));
    scheduler.run_until([&tasks] { return tasks.size() == 0; }, scheduler.now() + 1h);
    if (number == 0) continue;  // opens the streams
    net::TimePoint ended = begun;
    double sent = 0;
    for (const auto& member : all) {
      ended = std::max(ended, member->ended);
      sent += static_cast<double>(member->sent);
    }
    taken.seconds.push_back(net::seconds(ended - begun));
    taken.bytes.push_back(sent / static_cast<double>(shape.members));
  }
  const double loop = loop_seconds(before, spent_by(all), shape, shape.rounds);
  for (double& seconds : taken.seconds) seconds += loop;
  return taken;
}

// When the last member had ended each round, and what had been spent by then.
class Ends final : public training::SwarmObserver {
 public:
  void watch(training::SimSwarm& swarm) { swarm_ = &swarm; }
  void on_report(std::size_t, const training::RoundReport& report) override {
    const std::uint64_t round = report.round.value();
    if (report.kind != swarm::OutcomeKind::apply || ++members_[round] < swarm_->size()) return;
    Spent spent{.all = thread_cpu_seconds()};
    for (std::size_t i = 0; i < swarm_->size(); ++i)
      spent.jobs += net::seconds(swarm_->member(i).process.job_time());
    ends_[round] = {swarm_->scheduler().now(), spent};
  }
  net::TimePoint time(std::uint64_t round) const { return ends_.at(round).first; }
  const Spent& spent(std::uint64_t round) const { return ends_.at(round).second; }

 private:
  training::SimSwarm* swarm_ = nullptr;
  std::map<std::uint64_t, std::size_t> members_;  // that have ended a round
  std::map<std::uint64_t, std::pair<net::TimePoint, Spent>> ends_;
};

Result<Taken> run_round_with(const std::string& rule, const Shape& shape) {
  const auto model = std::make_shared<PatternModel>(shape.values);
  const std::uint64_t last =
      shape.rounds + 2;  // the first opens connections and streams, at the last all leave
  Ends ends;
  training::SimSwarm swarm({.founders = shape.members,
                            .joiners = 0,
                            .model = model,
                            .adjust = [&](swarm::Manifest& manifest) { manifest.momentum = 0; },
                            .rounds = last,
                            .start_members = static_cast<std::uint32_t>(shape.members),
                            .rule = rule,
                            .latency = shape.line.latency,
                            .jitter = {},
                            .bandwidth = shape.line.bandwidth,
                            .evaluate_every = 0,
                            .watched = false},
                           &ends);
  ends.watch(swarm);
  for (std::size_t i = 0; i < swarm.size(); ++i) swarm.member(i).process.set_cores(shape.cores, cpu_now);
  swarm.start_all();
  if (!swarm.run_until([&] { return swarm.all_ended(); }, 1h) || !swarm.checker().violations().empty())
    return fail(ErrorCode::protocol, "the simulated rounds with " + rule + " did not end as they should");
  const double loop = loop_seconds(ends.spent(1), ends.spent(last - 1), shape, last - 2);
  const double gradient = model->seconds();
  Taken taken;
  for (std::uint64_t round = 2; round < last; ++round) {
    taken.seconds.push_back(net::seconds(ends.time(round) - ends.time(round - 1)) - gradient + loop);
    std::map<std::string, double> phases{{"compute", -gradient * static_cast<double>(shape.members)}};
    double sent = 0;
    for (std::size_t i = 0; i < swarm.size(); ++i) {
      const training::RoundReport& report = swarm.member(i).reports.at(round);
      sent += static_cast<double>(report.bytes_sent);
      for (const training::PhaseTime& phase : report.phases) phases[phase.phase] += phase.seconds;
    }
    for (const auto& [phase, sum] : phases)
      taken.phases[phase].push_back(sum / static_cast<double>(shape.members));
    taken.bytes.push_back(sent / static_cast<double>(shape.members));
  }
  return taken;
}

}  // namespace

Result<void> run_overhead(const Options& options, Report& report) {
  Shape shape;
  if (options.quick) {
    shape.members = 4;
    shape.values = 200'000;
    shape.rounds = 2;
  }
  report.section("overhead: rounds of " + std::to_string(shape.members) + " members, " +
                 std::to_string(shape.values) + " values, on simulated lines of 1 Gbit/s and 20 ms");
  log::info("overhead: the plain butterfly");
  const Taken plain = run_plain(shape);
  const Figure base = figure(plain.seconds);
  for (const std::string rule : {"mean", "centered_clip"}) {
    log::info("overhead: rounds with {}", rule);
    TRY(const Taken ours, run_round_with(rule, shape));
    const std::string name = "overhead/" + rule + "/" + std::to_string(shape.members) + " members/";
    const Figure seconds = figure(ours.seconds);
    report.add({name + "wall", seconds, "s, virtual", Better::lower, {"plain butterfly", base.median}, {}});
    report.add({name + "beyond 1.1 x plain",
                mapped(seconds, [&](double value) { return value - 1.1 * base.median; }),
                "s, virtual",
                Better::lower,
                {"one-way latency", net::seconds(shape.line.latency)},
                10.0});
    for (const auto& [phase, taken] : ours.phases) {
      report.add({name + "phase " + phase,
                  figure(taken),
                  "s, virtual",
                  Better::lower,
                  {"wall", seconds.median},
                  {}});
    }
    report.add({name + "sent by a member",
                mapped(figure(ours.bytes), [](double value) { return value / mebi; }),
                "MiB",
                Better::lower,
                {"plain butterfly", figure(plain.bytes).median / mebi},
                1.02});
  }
  return {};
}

}  // namespace testudo::bench
