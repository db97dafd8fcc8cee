#include "tools/demo_runner/record.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace testudo::tools {
namespace {

using Json = nlohmann::ordered_json;  // keeps the phases in their order

std::optional<double> finite_number(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number()) return std::nullopt;
  const double value = at->get<double>();
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::uint64_t count(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number_unsigned() ? at->get<std::uint64_t>() : 0;
}

std::string text(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

RunRecord::RunRecord(std::string rule, std::uint64_t rounds, std::uint64_t attack_from,
                     std::vector<MemberRecord> members)
    : rule_(std::move(rule)), rounds_(rounds), attack_from_(attack_from), members_(std::move(members)) {}

Result<void> RunRecord::add_line(std::size_t index, std::string_view line) {
  const Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!event.is_object() || !event.contains("event")) {
    return fail(ErrorCode::protocol, "not an event: " + std::string(line.substr(0, 200)));
  }
  MemberRecord& member = members_.at(index);
  const std::string kind = text(event, "event");
  if (kind == "round") {
    Report report;
    report.round.round = count(event, "round");
    member.bytes_sent += count(event, "bytes_sent");
    member.bytes_received += count(event, "bytes_received");
    if (!member.hostile) waiting_.clear();
    if (text(event, "outcome") != "apply") {
      if (index == 0) ++voided_;
      return {};
    }
    report.round.loss = finite_number(event, "loss");
    report.round.accuracy = finite_number(event, "accuracy");
    report.round.members = count(event, "members");
    report.round.seconds = finite_number(event, "seconds").value_or(0);
    if (const auto phases = event.find("phases"); phases != event.end() && phases->is_object()) {
      for (const auto& [name, seconds] : phases->items()) {
        if (seconds.is_number()) report.round.phases.emplace_back(name, seconds.get<double>());
      }
    }
    report.parameters = text(event, "parameters");
    member.last_round = std::max(member.last_round, report.round.round);
    if (report.round.accuracy) member.accuracy = report.round.accuracy;
    reports_[report.round.round].insert_or_assign(index, std::move(report));
  } else if (kind == "eliminated" || kind == "banned") {
    for (MemberRecord& other : members_) {
      if (other.peer != text(event, "peer")) continue;
      other.removed =
          kind + " in round " + std::to_string(count(event, "round")) + ": " + text(event, "reason");
    }
    if (kind == "banned" && !member.hostile)
      ban_of(text(event, "peer"), count(event, "round"), text(event, "reason"));
  } else if (kind == "ban") {
    BanRecord& ban = ban_of(text(event, "peer"), count(event, "round"), text(event, "reason"));
    ban.proof = text(event, "proof");
    ban.evidence = text(event, "evidence");
  } else if (kind == "verified" || kind == "broken") {
    ledger_ = kind == "verified" ? kind : kind + ": " + text(event, "cause");
  } else if (kind == "strike") {
    for (MemberRecord& other : members_) {
      const bool struck = other.peer == text(event, "peer") || other.peer == text(event, "with");
      if (index == 0 && struck) ++other.strikes;
    }
  } else if (kind == "admitted") {
    for (MemberRecord& other : members_) {
      if (other.peer == text(event, "peer")) other.removed.clear();
    }
  } else if (kind == "waiting") {
    if (!member.hostile) waiting_ = text(event, "reason");
  } else if (kind == "done") {
    member.done = true;
  }
  return {};
}

// Nobody is banned twice.
BanRecord& RunRecord::ban_of(const std::string& peer, std::uint64_t round, const std::string& reason) {
  const auto known = std::ranges::find(bans_, peer, &BanRecord::peer);
  if (known != bans_.end()) return *known;
  BanRecord ban{round, peer, peer, reason, {}, {}};
  const auto member = std::ranges::find(members_, peer, &MemberRecord::peer);
  if (member != members_.end()) ban.member = member->name;
  return bans_.emplace_back(std::move(ban));
}

std::size_t RunRecord::hostile_count() const {
  return static_cast<std::size_t>(std::ranges::count_if(members_, &MemberRecord::hostile));
}

std::vector<RoundRecord> RunRecord::curve() const {
  std::vector<RoundRecord> curve;
  for (const auto& [round, by_member] : reports_) {
    std::optional<RoundRecord> first;
    for (const auto& [index, report] : by_member) {
      if (members_[index].hostile) continue;
      if (!first) {
        first = report.round;
      } else if (!first->accuracy) {
        first->accuracy = report.round.accuracy;
      }
    }
    if (first) curve.push_back(std::move(*first));
  }
  return curve;
}

std::vector<std::pair<std::uint64_t, double>> RunRecord::accuracy_by_round() const {
  std::vector<std::pair<std::uint64_t, double>> points;
  for (const RoundRecord& round : curve()) {
    if (round.accuracy) points.emplace_back(round.round, *round.accuracy);
  }
  return points;
}

std::optional<double> RunRecord::test_accuracy() const {
  const auto points = accuracy_by_round();
  if (points.empty()) return std::nullopt;
  return points.back().second;
}

std::uint64_t RunRecord::latest_round() const {
  std::uint64_t latest = 0;
  for (const MemberRecord& member : members_) {
    if (!member.hostile) latest = std::max(latest, member.last_round);
  }
  return latest;
}

std::uint64_t RunRecord::total_bytes_sent() const {
  std::uint64_t total = 0;
  for (const MemberRecord& member : members_) total += member.bytes_sent;
  return total;
}

Agreement RunRecord::agreement() const {
  Agreement agreement;
  for (const auto& [round, by_member] : reports_) {
    std::set<std::string> digests;
    std::size_t honest = 0;
    for (const auto& [index, report] : by_member) {
      if (members_[index].hostile) continue;
      ++honest;
      digests.insert(report.parameters);
    }
    if (honest < 2) continue;
    ++agreement.rounds_compared;
    // A member that does not say what it holds does not count as agreeing.
    if (digests.size() > 1 || digests.contains("")) agreement.rounds_apart.push_back(round);
  }
  return agreement;
}

}  // namespace testudo::tools
