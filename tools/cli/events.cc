#include "tools/cli/events.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "crypto/base/encoding.h"

namespace testudo::tools {
namespace {

// Where there is no terminal a download says less often how far it is.
constexpr net::Duration fetching_line_every = std::chrono::seconds(5);

const char* outcome_name(swarm::OutcomeKind kind) {
  return kind == swarm::OutcomeKind::apply ? "apply" : "void";
}

}  // namespace

Json round_event(const std::string& run, const training::RoundReport& report) {
  Json phases = Json::object();
  for (const training::PhaseTime& phase : report.phases) phases[phase.phase] = number(phase.seconds);
  return {{"event", "round"},
          {"run", run},
          {"round", report.round.value()},
          {"attempt", report.attempt.value()},
          {"outcome", outcome_name(report.kind)},
          {"members", report.members},
          {"contributors", report.contributors},
          {"loss", number(static_cast<double>(report.loss))},
          {"accuracy", report.evaluation ? number(report.evaluation->accuracy) : Json(nullptr)},
          {"evaluation_loss", report.evaluation ? number(report.evaluation->loss) : Json(nullptr)},
          {"parameters", to_hex(report.parameters)},
          {"bytes_sent", report.bytes_sent},
          {"bytes_received", report.bytes_received},
          {"seconds", number(report.seconds)},
          {"phases", std::move(phases)}};
}

std::string round_text(const training::RoundReport& report) {
  if (report.kind == swarm::OutcomeKind::voided) {
    return fmt::format("round {:<6} void: nothing was applied, it is tried again  members {:<3} {:.2f} s",
                       report.round.value(), report.members, report.seconds);
  }
  const std::string accuracy = report.evaluation
                                   ? fmt::format("accuracy {:5.1f} %", report.evaluation->accuracy * 100)
                                   : std::string(16, ' ');
  return fmt::format("round {:<6} loss {:<9.4g} {}  members {:<3} sent {:<9} received {:<9} {:.2f} s",
                     report.round.value(), report.loss, accuracy, report.members,
                     bytes_text(report.bytes_sent), bytes_text(report.bytes_received), report.seconds);
}

std::string strike_text(const swarm::Strike& strike) {
  if (!strike.other) return fmt::format("of {}: {}", strike.peer.to_text(), name(strike.reason));
  return fmt::format("between {} and {}: {}", strike.peer.to_text(), strike.other->to_text(),
                     name(strike.reason));
}

Json strike_json(const swarm::Strike& strike) {
  return {{"peer", strike.peer.to_text()},
          {"reason", std::string(name(strike.reason))},
          {"with", strike.other ? Json(strike.other->to_text()) : Json(nullptr)}};
}

Json fetching_event(const std::string& run, const training::FetchProgress& progress) {
  return {{"event", "fetching"},
          {"run", run},
          {"bytes", progress.bytes},
          {"total", progress.total},
          {"seconds", number(progress.seconds)}};
}

std::string fetching_text(const training::FetchProgress& progress) {
  const double rate = static_cast<double>(progress.bytes) / std::max(progress.seconds, 1e-3);
  return fmt::format("fetching the state: {} of {}, {}/s, time left {}", bytes_text(progress.bytes),
                     bytes_text(progress.total), bytes_text(static_cast<std::uint64_t>(rate)),
                     duration_text(static_cast<double>(progress.total - progress.bytes) / rate));
}

net::Task<Result<void>> listen(node::Node& node, std::vector<net::Multiaddr> addresses, Output& output) {
  CO_TRY_VOID(co_await node.listen(std::move(addresses)));
  for (const std::string& address : node.addresses()) {
    output.say({{"event", "listening"}, {"address", address}}, "listening " + address);
  }
  co_return Result<void>();
}

RunEvents::RunEvents(Output& output, const net::Scheduler& scheduler, const swarm::RunId& run,
                     std::function<void(swarm::RoundNumber)> on_round_started,
                     std::function<void(const std::string&)> on_phase_ended)
    : output_(output),
      scheduler_(scheduler),
      run_(to_hex(run)),
      started_(std::move(on_round_started)),
      phase_ended_(std::move(on_phase_ended)) {}

void RunEvents::on_round_started(swarm::RoundNumber round) {
  if (!first_) first_.emplace(round.value(), scheduler_.now());
  if (started_) started_(round);
}

void RunEvents::on_phase_ended(const std::string& phase) {
  if (phase_ended_) phase_ended_(phase);
}

void RunEvents::on_round(const training::RoundReport& report) {
  if (report.evaluation) last_evaluation_ = report.evaluation;
  output_.say(round_event(run_, report), round_text(report));
  show_progress(report);
}

void RunEvents::on_removed(const swarm::Removal& removal, swarm::RoundNumber round) {
  const char* what = swarm::is_ban(removal.fault) ? "banned" : "eliminated";
  const std::string peer = removal.peer.to_text();
  output_.say({{"event", what},
               {"run", run_},
               {"peer", peer},
               {"round", round.value()},
               {"reason", std::string(swarm::name(removal.fault))}},
              fmt::format("round {:<6} {} {}: {}", round.value(), what, peer, swarm::name(removal.fault)));
}

void RunEvents::on_admitted(const swarm::PeerId& peer, swarm::RoundNumber round) {
  output_.say({{"event", "admitted"}, {"run", run_}, {"peer", peer.to_text()}, {"round", round.value()}},
              fmt::format("round {:<6} admitted {}", round.value(), peer.to_text()));
}

void RunEvents::on_strike(const swarm::Strike& strike, swarm::RoundNumber round) {
  Json event = {{"event", "strike"}, {"run", run_}, {"round", round.value()}};
  event.update(strike_json(strike));
  output_.say(event, fmt::format("round {:<6} strike {}", round.value(), strike_text(strike)));
}

void RunEvents::on_resting(const std::vector<swarm::PeerId>& resting, swarm::RoundNumber from) {
  const auto say = [&](const swarm::PeerId& peer, const char* event, const char* what) {
    output_.say({{"event", event}, {"run", run_}, {"round", from.value()}, {"peer", peer.to_text()}},
                fmt::format("round {:<6} {} {}", from.value(), peer.to_text(), what));
  };
  for (const swarm::PeerId& peer : resting) {
    if (!std::ranges::binary_search(resting_, peer))
      say(peer, "rests", "reduces nothing until its strikes fade");
  }
  for (const swarm::PeerId& peer : resting_) {
    if (!std::ranges::binary_search(resting, peer)) say(peer, "reduces", "reduces again, or has left");
  }
  resting_ = resting;
}

void RunEvents::on_waiting(const std::string& reason) {
  if (reason.empty()) return;
  output_.say({{"event", "waiting"}, {"run", run_}, {"reason", reason}},
              reason.starts_with("waiting") ? reason : "waiting: " + reason);
}

void RunEvents::on_fetching(const training::FetchProgress& progress) {
  const std::string text = fetching_text(progress);
  output_.progress(text);
  const bool line = !output_.terminal() && scheduler_.now() >= next_fetching_line_;
  if (line) next_fetching_line_ = scheduler_.now() + fetching_line_every;
  output_.say(fetching_event(run_, progress), line ? text : "");
}

void RunEvents::show_progress(const training::RoundReport& report) {
  const std::uint64_t round = report.round.value();
  std::string left = "unknown";
  if (first_ && round >= first_->first && round <= last_round_) {
    const auto done = static_cast<double>(round - first_->first + 1);
    left = duration_text(net::seconds(scheduler_.now() - first_->second) / done *
                         static_cast<double>(last_round_ - round));
  }
  output_.progress(fmt::format("round {} of {} ({} %), time left {}", round, last_round_,
                               round * 100 / last_round_, left));
}

}  // namespace testudo::tools
