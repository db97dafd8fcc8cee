#include "training/simulation/round_simulation.h"

#include <algorithm>
#include <cmath>
#include <ranges>
#include <set>

namespace testudo::training {

namespace {

using namespace std::chrono_literals;

// Members that finished stay for those that come back for the model: longer than anybody is away.
constexpr net::Duration patience_of_finished = 1h;

bool is_done(SimSwarm& swarm, std::size_t i) {
  const auto& member = swarm.member(i);
  return !member.behaviour.is_honest() || member.holds() >= swarm.manifest().last_round;
}

bool all_done(SimSwarm& swarm) {
  for (std::size_t i = 0; i < swarm.size(); ++i) {
    if (!is_done(swarm, i)) return false;
  }
  return true;
}

// Faults end after half of it. What is left is enough for everybody who is away to come back, and for every
// round to take as long as it can.
net::Duration default_limit(const SimSwarm& swarm, const FaultOptions& faults) {
  const net::Duration attempt = worst_attempt(swarm.manifest(), swarm.size()) + SwarmChecker::recovery;
  const net::Duration rounds = static_cast<net::Duration::rep>(swarm.manifest().last_round + 1) * attempt;
  return 2 * (rounds + faults.longest_absence());
}

// As the honest member saw them that saw the most.
void add_removals(SimSwarm& swarm, RoundSimulationReport& report) {
  const SimSwarm::Member* witness = &swarm.member(0);
  for (std::size_t i = 0; i < swarm.size(); ++i) {
    const auto& member = swarm.member(i);
    if (member.behaviour.is_honest() && member.removals.size() > witness->removals.size()) witness = &member;
  }
  std::set<swarm::PeerId> hostile;
  for (std::size_t i = 0; i < swarm.size(); ++i) {
    if (!swarm.member(i).behaviour.is_honest()) hostile.insert(swarm.member(i).host->id());
  }
  double rounds = 0;
  for (std::size_t k = 0; k < witness->removals.size(); ++k) {
    const swarm::Removal& removal = witness->removals[k];
    const bool banned = swarm::is_ban(removal.fault);
    if (!hostile.contains(removal.peer)) {
      ++(banned ? report.banned_honest : report.eliminated_honest);
    } else if (banned) {
      ++report.banned_hostile;
      rounds += static_cast<double>(witness->removal_rounds[k] + 1) -
                static_cast<double>(swarm.options().attack_from);
    }
  }
  report.strikes = witness->strikes.size();
  for (const swarm::PeerId& peer : witness->rested)
    ++(hostile.contains(peer) ? report.rested_hostile : report.rested_honest);
  if (report.banned_hostile > 0) report.rounds_to_ban = rounds / static_cast<double>(report.banned_hostile);
}

void add_figures(SimSwarm& swarm, RoundSimulationReport& report) {
  double bytes = 0;
  double rounds = 0;
  for (std::size_t i = 0; i < swarm.size(); ++i) {
    const auto& member = swarm.member(i);
    if (!member.behaviour.is_honest()) continue;
    for (const auto& [round, applied] : member.reports) {
      report.round_seconds.push_back(applied.seconds);
      bytes += static_cast<double>(applied.bytes_sent);
    }
    rounds += static_cast<double>(member.reports.size());
    report.applied = std::max(report.applied, swarm.last_round(i));
  }
  std::ranges::sort(report.round_seconds);
  if (rounds > 0) report.bytes_sent = bytes / rounds;
  report.voided = swarm.checker().attempts() - report.applied;
  add_removals(swarm, report);
  for (std::size_t i = 0; i < swarm.size(); ++i) {
    const bool honest = swarm.member(i).behaviour.is_honest();
    if (!honest || report.applied == 0 || swarm.member(i).holds() < report.applied) continue;
    const auto evaluated = swarm.model()->evaluate(swarm.member(i).participant->parameters());
    if (evaluated) report.final_loss = evaluated->loss;
    break;
  }
}

}  // namespace

RoundSimulationReport simulate_round(const RoundSimulationOptions& options,
                                     RoundSimulationObserver* observer) {
  SwarmOptions swarm_options = options.swarm;
  swarm_options.linger = patience_of_finished;
  SimSwarm swarm(swarm_options, observer);
  if (observer != nullptr) observer->on_start(swarm);
  Faults faults(swarm, options.faults, options.swarm.seed);
  const net::Duration limit =
      options.within > net::Duration{} ? options.within : default_limit(swarm, options.faults);
  const net::TimePoint end = net::TimePoint{} + limit;
  const net::TimePoint half_time = net::TimePoint{} + limit / 2;

  bool done = false;
  while (!done && swarm.scheduler().now() < end && swarm.checker().violations().empty()) {
    const net::TimePoint now = swarm.scheduler().now();
    const net::TimePoint stop = std::min({end, faults.next(), now + 1s});
    // Once the first has the last round the others only have to come back: whoever is killed on and on
    // cannot. And where faults let no round through, rounds come when they are over.
    if (now >= half_time ||
        std::ranges::any_of(std::views::iota(std::size_t{0}, swarm.size()), [&](std::size_t i) {
          return swarm.member(i).behaviour.is_honest() && is_done(swarm, i);
        })) {
      faults.stop_breaking();
    }
    done = swarm.run_until([&] { return all_done(swarm); }, stop - now);
    if (!done) faults.apply();
    if (observer != nullptr) observer->on_progress(swarm);
  }

  // Reports come a turn after what they report.
  if (done) swarm.run_until([] { return false; }, 10ms);

  RoundSimulationReport report;
  report.virtual_time = (swarm.scheduler().now() - (done ? 10ms : 0ms)).time_since_epoch();
  if (swarm.checker().violations().empty()) {
    std::vector<std::uint64_t> holds;
    for (std::size_t i = 0; i < swarm.size(); ++i) holds.push_back(swarm.member(i).holds());
    swarm.checker().finished(holds, swarm.scheduler().now());
  }
  report.violations = swarm.checker().violations();
  report.kills = faults.kills();
  report.partitions = faults.partitions();
  report.segments = swarm.network().segments();
  report.trace = swarm.network().trace();
  add_figures(swarm, report);
  return report;
}

double quantile(const std::vector<double>& ascending, double share) {
  if (ascending.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(ascending.size())));
  return ascending[std::min(std::max<std::size_t>(rank, 1), ascending.size()) - 1];
}

}  // namespace testudo::training
