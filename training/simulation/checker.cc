#include "training/simulation/checker.h"

#include <algorithm>

#include "crypto/base/encoding.h"
#include "swarm/roster.h"
#include "training/round/payloads.h"

namespace testudo::training {

namespace {

std::string short_hex(const Digest& digest) { return to_hex(digest).substr(0, 12); }

std::string seconds_text(net::Duration duration) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

std::string attempt_text(const RoundReport& report) {
  return "attempt " + std::to_string(report.attempt.value());
}

}  // namespace

std::string to_text(const Violation& violation) {
  std::string text;
  if (violation.round != 0) text += "round " + std::to_string(violation.round) + ", ";
  if (violation.member) text += "member " + std::to_string(*violation.member) + ", ";
  return text + violation.property + ": " + violation.what;
}

net::Duration worst_attempt(const swarm::Manifest& manifest, std::size_t members) {
  // F of a roster where every vote has the same weight.
  const auto hostile = static_cast<net::Duration::rep>(manifest.hostile_share * static_cast<double>(members));
  const auto disputes =
      static_cast<net::Duration::rep>(std::min<std::size_t>(manifest.validators, dispute_limit));
  return (1 + disputes) * manifest.compute_deadline() + 14 * manifest.exchange_deadline() +
         10 * (hostile + 1) * 2 * manifest.delta();
}

SwarmChecker::SwarmChecker(swarm::Manifest manifest, std::vector<swarm::PeerId> members, bool calm)
    : manifest_(std::move(manifest)),
      founding_(manifest_.founders.size() < swarm::founding_size),
      calm_(calm) {
  for (const swarm::PeerId& id : members) {
    members_.push_back({.id = id, .founder = std::ranges::binary_search(manifest_.founders, id)});
  }
}

net::Duration SwarmChecker::worst() const { return worst_attempt(manifest_, members_.size()); }

void SwarmChecker::broken(std::string property, std::uint64_t round, std::optional<std::size_t> member,
                          std::string what) {
  violations_.push_back({std::move(property), round, member, std::move(what)});
}

std::optional<std::size_t> SwarmChecker::index_of(const swarm::PeerId& peer) const {
  const auto found = std::ranges::find(members_, peer, &MemberState::id);
  if (found == members_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - members_.begin());
}

void SwarmChecker::started(std::size_t member, net::TimePoint now) {
  members_[member].up = true;
  members_[member].known = true;
  disturbed(now);
}

void SwarmChecker::killed(std::size_t member, net::TimePoint now) {
  members_[member].up = false;
  not_calm();
  disturbed(now);
}

void SwarmChecker::reported(std::size_t member, const RoundReport& report, const std::optional<Digest>& held,
                            net::TimePoint now) {
  MemberState& state = members_[member];
  if (state.hostile) return;  // it may say what it likes
  const std::uint64_t round = report.round.value();
  const Position position{round, report.attempt.value()};
  if (position <= state.reported) {
    broken("nothing_lost", round, member,
           attempt_text(report) + " is reported after round " + std::to_string(state.reported.first) +
               ", attempt " + std::to_string(state.reported.second));
  }
  state.reported = std::max(state.reported, position);
  founding_ = founding_ && report.founding;

  const auto [known, fresh] = outcomes_.try_emplace(position, Ending{report.kind, report.parameters});
  if (fresh) last_certificate_ = now;
  if (known->second.kind != report.kind) {
    broken("one_outcome", round, member,
           attempt_text(report) + " was applied by one member and voided by another");
  } else if (known->second.parameters != report.parameters) {
    broken("same_parameters", round, member,
           "it follows a certificate for the parameters " + short_hex(report.parameters) +
               ", another member one for " + short_hex(known->second.parameters));
  }
  if (held && *held != report.parameters) {
    broken("same_parameters", round, member,
           "it holds the parameters " + short_hex(*held) + ", the certificate names " +
               short_hex(report.parameters));
  }

  const auto took = net::from_seconds(report.seconds);
  const net::Duration bound = worst() + (calm_ && !attacked_ ? net::Duration{} : recovery);
  if (now - took > undisturbed_since_ && took > bound) {
    broken("worst_time", round, member,
           attempt_text(report) + " took " + seconds_text(took) + ", more than " + seconds_text(bound));
  }
}

void SwarmChecker::signed_by(const swarm::PeerId& signer, swarm::RoundNumber round, swarm::Attempt attempt,
                             std::string_view place, const Digest& content) {
  const auto member = index_of(signer);
  if (!member || members_[*member].hostile) return;  // relayed, of somebody else
  const Signature key{{round.value(), attempt.value()}, *member, std::string(place)};
  const auto [known, fresh] = signed_.try_emplace(key, content);
  if (fresh || known->second == content) return;
  broken("one_signature", round.value(), member,
         "it signed two different things in attempt " + std::to_string(attempt.value()) + ": " +
             std::string(place));
}

void SwarmChecker::garbled(std::size_t member, const Error& why) {
  broken("one_signature", members_[member].reported.first, member,
         "it sent what does not decode: " + why.message);
}

void SwarmChecker::removed(std::size_t member, const swarm::Removal& removal, swarm::RoundNumber round) {
  if (members_[member].hostile) return;
  const auto victim = index_of(removal.peer);
  if (!victim || members_[*victim].hostile) return;
  const std::string why = "it lost its seat: " + std::string(swarm::name(removal.fault));
  if (swarm::is_ban(removal.fault)) {
    broken("no_honest_ban", round.value(), victim, why);
  } else if (calm_) {
    broken("kept_seat", round.value(), victim, why);
  }
}

bool SwarmChecker::is_hostile(const swarm::PeerId& peer) const {
  const auto member = index_of(peer);
  return member && members_[*member].hostile;
}

void SwarmChecker::struck(std::size_t member, const swarm::Strike& strike, swarm::RoundNumber round) {
  if (members_[member].hostile || !calm_) return;
  if (is_hostile(strike.peer) || (strike.other && is_hostile(*strike.other))) return;
  broken("fair_strikes", round.value(), index_of(strike.peer),
         "it is honest and has a strike" + std::string(strike.other ? " with another that is: " : ": ") +
             std::string(swarm::name(strike.reason)));
}

void SwarmChecker::rests(std::size_t member, const std::vector<swarm::PeerId>& resting,
                         swarm::RoundNumber from) {
  if (members_[member].hostile || !calm_) return;
  const auto hostile = static_cast<std::size_t>(
      std::ranges::count_if(resting, [this](const swarm::PeerId& peer) { return is_hostile(peer); }));
  if (resting.size() <= 2 * hostile) return;
  broken("fair_strikes", from.value(), std::nullopt,
         std::to_string(resting.size() - hostile) + " honest members rest because of strikes, and " +
             std::to_string(hostile) + " hostile ones");
}

void SwarmChecker::recovered(std::size_t member, swarm::RoundNumber next_round, swarm::Attempt next_attempt) {
  const MemberState& state = members_[member];
  if (state.hostile) return;
  if (Position{next_round.value(), next_attempt.value()} > state.reported) return;
  broken("nothing_lost", state.reported.first, member,
         "it reported attempt " + std::to_string(state.reported.second) +
             " as certified, and its ledger goes on with round " + std::to_string(next_round.value()) +
             ", attempt " + std::to_string(next_attempt.value()));
}

void SwarmChecker::ended(std::size_t member, const Result<void>& result) {
  MemberState& state = members_[member];
  state.reached_end = true;
  if (state.hostile || result) return;
  broken("no_early_end", state.reported.first, member, "it ended: " + result.error().message);
}

void SwarmChecker::measured(std::optional<std::size_t> member, const Load& load) {
  if (load.size <= load.bound || (member && members_[*member].hostile)) return;
  const std::uint64_t round = member ? members_[*member].reported.first : 0;
  broken("bounded", round, member,
         load.what + ": " + std::to_string(load.size) + ", more than " + std::to_string(load.bound));
}

// More than half of the founders, and of all that were ever there: whatever the roster is, they are a quorum.
// Where votes are earned and the founders no longer decide, all but less than half of those that had one when
// that began: whoever has one besides.
bool SwarmChecker::enough_are_there() const {
  std::size_t founders = 0;
  std::size_t known = 0;
  std::size_t up = 0;
  for (const MemberState& member : members_) {
    if (!member.known) continue;
    ++known;
    if (!member.up || member.hostile) continue;
    ++up;
    if (member.founder) ++founders;
  }
  if (2 * up <= known) return false;
  if (manifest_.validators > 0 && !founding_)
    return 2 * (known - up) < std::max(manifest_.founders.size(), swarm::founding_size);
  return 2 * founders > manifest_.founders.size();
}

void SwarmChecker::tick(net::TimePoint now) {
  if (!enough_are_there()) {
    disturbed(now);
    return;
  }
  const Position last = outcomes_.empty() ? Position{} : outcomes_.rbegin()->first;
  if (last.first >= manifest_.last_round && outcomes_.rbegin()->second.kind == swarm::OutcomeKind::apply)
    return;
  const net::TimePoint since = std::max(last_certificate_, undisturbed_since_);
  if (now - since <= worst() + recovery) return;
  broken("progress", last.first, std::nullopt,
         "no certificate for " + seconds_text(now - since) + ", although enough members are there");
}

void SwarmChecker::finished(const std::vector<std::uint64_t>& holds, net::TimePoint now) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const MemberState& member = members_[i];
    if (member.hostile || holds[i] >= manifest_.last_round) continue;
    const std::string state = member.up ? "it holds round " + std::to_string(holds[i]) + " of " +
                                              std::to_string(manifest_.last_round)
                                        : "it is down";
    broken("last_round", holds[i], i, "after " + seconds_text(now.time_since_epoch()) + " " + state);
  }
}

}  // namespace testudo::training
