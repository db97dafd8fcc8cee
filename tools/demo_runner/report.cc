#include "tools/demo_runner/report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "crypto/base/file.h"
#include "tools/demo_runner/chart.h"
#include "tools/demo_runner/page.h"

namespace testudo::tools {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f} %", *share * 100) : std::string("none");
}

const char* what_the_rule_does(const std::string& rule) {
  if (rule == "centered_clip") return "bounds how far any one member can pull the average";
  if (rule == "mean") return "the plain average: no defence";
  if (rule == "coordinate_median") return "the median of every coordinate";
  return "";
}

std::string cards(const std::vector<RunRecord>& runs) {
  std::string out = R"(<div class="cards">)";
  for (const RunRecord& run : runs) {
    out += fmt::format(
        R"(<div class="card"><span class="soft">{}</span><b>{}</b>test accuracy after {} of {} rounds<br>)"
        R"(<span class="soft">{}. {} members, {} hostile; {:.0f} s, {} sent.</span></div>)",
        escape(run.rule()), percent(run.test_accuracy()), run.latest_round(), run.rounds(),
        what_the_rule_does(run.rule()), run.members().size(), run.hostile_count(), run.wall_seconds,
        bytes_text(static_cast<double>(run.total_bytes_sent())));
  }
  return out + "</div>\n";
}

std::string agreement_text(const std::vector<RunRecord>& runs) {
  std::string out;
  for (const RunRecord& run : runs) {
    const Agreement agreement = run.agreement();
    if (agreement.holds()) {
      out += fmt::format(
          R"(<p class="good">{}: after each of {} rounds all honest members held the same parameters, bit )"
          R"(for bit.</p>)",
          escape(run.rule()), agreement.rounds_compared);
    } else {
      out += fmt::format(
          R"(<p class="bad">{}: the honest members' parameters differed after {} of {} rounds compared.</p>)",
          escape(run.rule()), agreement.rounds_apart.size(), agreement.rounds_compared);
    }
  }
  return out;
}

// Where the attack starts, and where whom was banned.
std::vector<Mark> marks_of(const std::vector<RunRecord>& runs) {
  std::vector<Mark> marks;
  for (const RunRecord& run : runs) {
    if (run.hostile_count() > 0 && run.attack_from() > 0 && marks.empty()) {
      marks.push_back({static_cast<double>(run.attack_from()), "the attack starts"});
    }
  }
  for (const RunRecord& run : runs) {
    for (const BanRecord& ban : run.bans()) {
      marks.push_back({static_cast<double>(ban.round), ban.member + " banned (" + run.rule() + ")", true});
    }
  }
  return marks;
}

std::string bans_table(const RunRecord& run) {
  if (run.bans().empty()) return "";
  std::string out = fmt::format(
      R"(<h2>Bans of the {} run</h2><div class="scroll"><table><thead><tr><th class="number">round</th>)"
      R"(<th>member</th><th>for</th><th>proof</th><th>evidence in a founder's ledger</th></tr></thead><tbody>)",
      escape(run.rule()));
  for (const BanRecord& ban : run.bans()) {
    out += fmt::format(
        R"(<tr><td class="number">{}</td><td>{}</td><td>{}</td><td>{}</td><td class="long">{}</td></tr>)",
        ban.round, escape(ban.member), escape(ban.reason), escape(ban.proof), escape(ban.evidence));
  }
  out += "</tbody></table></div>\n";
  if (!run.ledger().empty()) {
    out += fmt::format(R"(<p class="{}"><code>testudo ledger verify</code> on that ledger, offline: {}.</p>)",
                       run.ledger() == "verified" ? "good" : "bad", escape(run.ledger()));
  }
  return out;
}

std::string accuracy_figure(const std::vector<RunRecord>& runs) {
  LineChart chart{.title = "Test accuracy by round",
                  .x_label = "round",
                  .y_label = "test accuracy",
                  .series = {},
                  .y_min = 0,
                  .y_max = 1,
                  .percent = true,
                  .marks = marks_of(runs)};
  for (const RunRecord& run : runs) {
    Series series{.label = run.rule(), .points = {}};
    for (const auto& [round, accuracy] : run.accuracy_by_round()) {
      series.points.emplace_back(static_cast<double>(round), accuracy);
    }
    chart.series.push_back(std::move(series));
  }
  return figure(draw(chart), "Share of the held-out test images that the model names rightly.");
}

std::string loss_figure(const std::vector<RunRecord>& runs) {
  LineChart chart{.title = "Loss by round",
                  .x_label = "round",
                  .y_label = "training loss",
                  .series = {},
                  .y_min = 0,
                  .y_max = std::nullopt,
                  .percent = false,
                  .marks = marks_of(runs)};
  // An attacked run's loss grows without bound: what matters is below a few times where learning started.
  double first = 0;
  double greatest = 0;
  for (const RunRecord& run : runs) {
    Series series{.label = run.rule(), .points = {}};
    for (const RoundRecord& round : run.curve()) {
      if (!round.loss) continue;
      if (series.points.empty()) first = std::max(first, *round.loss);
      greatest = std::max(greatest, *round.loss);
      series.points.emplace_back(static_cast<double>(round.round), *round.loss);
    }
    chart.series.push_back(std::move(series));
  }
  const double ceiling = 3 * std::max(first, 1e-9);
  if (greatest > ceiling) chart.y_max = ceiling;
  return figure(draw(chart),
                chart.y_max ? "Mean over the members' batches, as they claim it; greater values are drawn "
                              "at the upper edge."
                            : "Mean over the members' batches, as they claim it.");
}

std::string bytes_figure(const RunRecord& run) {
  BarChart chart{.title = "Bytes sent by peer", .segments = {"sent"}, .bars = {}};
  for (const MemberRecord& member : run.members()) {
    chart.bars.push_back({.label = member.name,
                          .segments = {static_cast<double>(member.bytes_sent)},
                          .value = bytes_text(static_cast<double>(member.bytes_sent)),
                          .highlighted = member.hostile});
  }
  return figure(
      draw(chart),
      fmt::format("{}: bytes that each member sent, everything included; hostile ones in red.", run.rule()));
}

std::string phases_figure(const std::vector<RunRecord>& runs) {
  BarChart chart{.title = "Round time by phase", .segments = {}, .bars = {}};
  for (const RunRecord& run : runs) {
    Bar bar{.label = run.rule(), .segments = {}, .value = {}, .highlighted = false};
    const std::vector<RoundRecord> curve = run.curve();
    double whole = 0;
    for (const RoundRecord& round : curve) {
      whole += round.seconds;
      for (const auto& [phase, seconds] : round.phases) {
        auto at = std::ranges::find(chart.segments, phase);
        if (at == chart.segments.end()) at = chart.segments.insert(chart.segments.end(), phase);
        const auto index = static_cast<std::size_t>(at - chart.segments.begin());
        if (bar.segments.size() <= index) bar.segments.resize(index + 1);
        bar.segments[index] += std::max(0.0, seconds) / static_cast<double>(curve.size());
      }
    }
    if (!curve.empty())
      bar.value = fmt::format("{:.0f} ms", 1000 * whole / static_cast<double>(curve.size()));
    chart.bars.push_back(std::move(bar));
  }
  return figure(draw(chart),
                "Where one member's round goes on average, from the start of the round to its certificate.");
}

std::string members_table(const RunRecord& run) {
  std::string out = fmt::format(
      R"(<h2>Members of the {} run</h2><div class="scroll"><table><thead><tr><th>member</th><th>peer</th><th>kind</th>)"
      R"(<th class="number">last round</th><th class="number">sent</th><th class="number">received</th>)"
      R"(<th class="number">strikes</th><th>status</th>)"
      R"(</tr></thead><tbody>)",
      escape(run.rule()));
  for (const MemberRecord& member : run.members()) {
    const std::string status = !member.removed.empty() ? member.removed
                               : member.done           ? "finished the run"
                               : member.last_round > 0 ? "left before the end"
                                                       : "never took part";
    out += fmt::format(
        R"(<tr><td>{}</td><td><code>{}</code></td><td class="{}">{}</td><td class="number">{}</td>)"
        R"(<td class="number">{}</td><td class="number">{}</td><td class="number">{}</td><td>{}</td></tr>)",
        escape(member.name), escape(member.peer), member.hostile ? "hostile" : "",
        member.hostile ? "hostile" : "honest", member.last_round,
        bytes_text(static_cast<double>(member.bytes_sent)),
        bytes_text(static_cast<double>(member.bytes_received)), member.strikes, escape(status));
  }
  return out + "</tbody></table></div>\n";
}

Json number_or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json summary_of(const RunRecord& run) {
  const Agreement agreement = run.agreement();
  Json out;
  out["rule"] = run.rule();
  out["members"] = run.members().size();
  out["hostile"] = run.hostile_count();
  out["rounds"] = run.rounds();
  out["test_accuracy"] = number_or_null(run.test_accuracy());
  out["accuracy_by_round"] = Json::array();
  for (const auto& [round, accuracy] : run.accuracy_by_round()) {
    out["accuracy_by_round"].push_back(Json::array({Json(round), Json(accuracy)}));
  }
  out["loss_by_round"] = Json::array();
  for (const RoundRecord& round : run.curve()) {
    out["loss_by_round"].push_back(Json::array({Json(round.round), number_or_null(round.loss)}));
  }
  out["attack_from_round"] = run.attack_from();
  out["rounds_finished"] = run.latest_round();
  out["rounds_voided"] = run.voided_rounds();
  out["seconds"] = run.wall_seconds;
  out["bytes_sent"] = run.total_bytes_sent();
  out["equal_parameters"] = agreement.holds();
  out["rounds_compared"] = agreement.rounds_compared;
  out["ledger"] = run.ledger();
  out["bans"] = Json::array();
  for (const BanRecord& ban : run.bans()) {
    out["bans"].push_back({{"round", ban.round},
                           {"name", ban.member},
                           {"peer", ban.peer},
                           {"reason", ban.reason},
                           {"proof", ban.proof},
                           {"evidence", ban.evidence}});
  }
  out["peers"] = Json::array();
  for (const MemberRecord& member : run.members()) {
    out["peers"].push_back({{"name", member.name},
                            {"peer", member.peer},
                            {"hostile", member.hostile},
                            {"last_round", member.last_round},
                            {"bytes_sent", member.bytes_sent},
                            {"bytes_received", member.bytes_received},
                            {"removed", member.removed},
                            {"strikes", member.strikes},
                            {"finished", member.done}});
  }
  return out;
}

}  // namespace

std::string report_page(const std::vector<RunRecord>& runs) {
  std::string page = page_begin("Testudo: a swarm that outlives its attackers");
  page += "<h1>A swarm that outlives its attackers</h1>\n";
  if (!runs.empty()) {
    const RunRecord& run = runs.front();
    page += fmt::format(
        "<p>{} processes on this machine, each with its own key and data, trained one small convolutional "
        "network on "
        "Fashion-MNIST together. They knew one bootstrap address and the run id, nothing else; no server "
        "held the "
        "model.",
        run.members().size());
    if (run.hostile_count() > 0) {
      page += fmt::format(
          " From round {} on, {} of them sent their gradients with the sign flipped and a thousand times "
          "too large. The same swarm trained twice, with two rules for averaging.",
          run.attack_from(), run.hostile_count());
    }
    page += "</p>\n";
  }
  page += cards(runs) + agreement_text(runs);
  page += "<h2>Accuracy</h2>\n" + accuracy_figure(runs);
  for (const RunRecord& run : runs) page += bans_table(run);
  page += "<h2>Loss</h2>\n" + loss_figure(runs);
  page += "<h2>Round time</h2>\n" + phases_figure(runs);
  page += "<h2>Traffic</h2>\n";
  for (const RunRecord& run : runs) page += bytes_figure(run);
  for (const RunRecord& run : runs) page += members_table(run);
  return page + page_end;
}

std::string report_summary(const std::vector<RunRecord>& runs) {
  Json out;
  out["runs"] = Json::array();
  for (const RunRecord& run : runs) out["runs"].push_back(summary_of(run));
  return out.dump(2) + "\n";
}

Result<void> write_report(const std::string& directory, const std::vector<RunRecord>& runs) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(ErrorCode::io, "cannot make " + directory + ": " + error.message());
  TRY_VOID(write_file(directory + "/index.html", as_bytes(report_page(runs))));
  return write_file(directory + "/summary.json", as_bytes(report_summary(runs)));
}

}  // namespace testudo::tools
