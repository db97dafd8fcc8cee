// testudo ledger: what a member's ledger says, and whether it holds, offline.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <memory>

#include "crypto/base/counted.h"
#include "crypto/base/encoding.h"
#include "net/storage/sqlite_storage.h"
#include "node/addresses.h"
#include "node/data_directory.h"
#include "tools/cli/events.h"
#include "tools/cli/wrapped.h"
#include "tools/testudo/commands.h"
#include "training/round/ledger_audit.h"

namespace testudo::tools {
namespace {

using training::CertificateAudit;
using training::LedgerAudit;

struct LedgerOptions {
  std::string what;  // run id, or a path
  std::string data = node::default_data_directory();
  std::uint64_t last = 0;  // of show: so many rounds; 0: all
  bool bans = false;       // of show: nothing else
};

// Nothing in here writes: a member may be running on the same directory.
struct StoredLedger {
  std::unique_ptr<net::SqliteStorage> storage;
  swarm::RunId run{};
  std::shared_ptr<const training::RoundRules> rules;
};

Result<StoredLedger> open_ledger(const LedgerOptions& options) {
  const bool is_run = digest_from_hex(options.what).has_value();
  std::filesystem::path directory = is_run ? options.data : options.what;
  std::error_code ignored;
  if (!is_run && std::filesystem::is_regular_file(directory, ignored)) directory = directory.parent_path();
  if (directory.empty()) directory = ".";
  const std::string where = "the data directory " + directory.string();
  if (!std::filesystem::is_directory(directory, ignored)) {
    return fail(ErrorCode::not_found,
                is_run ? where + " is missing; name the one with the ledger: --data DIR"
                       : options.what + " is neither a run id (64 hex digits) nor a " + "data directory");
  }
  StoredLedger ledger;
  auto storage = net::SqliteStorage::open_read_only((directory / "testudo.sqlite").string());
  const std::string no_ledger = where + " holds no ledger: nobody has joined a run with it, or its " +
                                "testudo.sqlite is gone; name another" + (is_run ? ": --data DIR" : "");
  if (!storage && storage.error().code == ErrorCode::not_found) return fail(ErrorCode::not_found, no_ledger);
  if (!storage) return fail(std::move(storage).error());
  ledger.storage = std::move(*storage);
  TRY(const auto run, swarm::LedgerReader::stored_run(*ledger.storage));
  if (!run) return fail(ErrorCode::not_found, no_ledger);
  ledger.run = *run;
  if (is_run) {
    TRY(const auto wanted, node::parse_run_id(options.what));
    if (wanted != ledger.run) {
      return fail(ErrorCode::refused, where + " belongs to run " + to_hex(ledger.run) + ", not " +
                                          options.what + "; name the one with the ledger: --data DIR");
    }
  }
  TRY(const auto manifest, node::kept_manifest(directory.string(), ledger.run, false));
  if (!manifest) {
    return fail(
        ErrorCode::not_found,
        where + " lacks the manifest of its run, manifests/" + to_hex(ledger.run) +
            ": without it nobody knows the founders; testudo run show --bootstrap ADDRESS fetches it");
  }
  TRY(ledger.rules, training::RoundRules::make(manifest->manifest));
  return ledger;
}

std::string round_name(swarm::RoundNumber round, swarm::Attempt attempt) {
  return attempt == swarm::Attempt(0) ? fmt::format("round {}", round.value())
                                      : fmt::format("round {}.{}", round.value(), attempt.value());
}

Json ban_json(const training::BanAudit& ban) {
  return {{"peer", ban.removal.peer.to_text()},
          {"reason", std::string(name(ban.removal.fault))},
          {"proof", training::name(ban.proof)},
          {"evidence", ban.text}};
}

// Who and for what behind what stands `before`; below that what proves it.
std::string ban_text(const std::string& before, std::size_t indent, const training::BanAudit& ban) {
  return fmt::format("{}banned {}: {}\n{}", before, ban.removal.peer.to_text(), name(ban.removal.fault),
                     wrapped(fmt::format("{}: {}", training::name(ban.proof), ban.text), indent));
}

void say_bans(const std::string& run, const CertificateAudit& entry, Output& output) {
  for (const auto& ban : entry.bans) {
    Json event = {{"event", "ban"}, {"run", run}, {"round", entry.outcome.round.value()}};
    event.update(ban_json(ban));
    output.say(event, ban_text(round_name(entry.outcome.round, entry.outcome.attempt) + ": ", 2, ban));
  }
}

Json certificate_json(const std::string& run, const CertificateAudit& entry) {
  const swarm::Outcome& outcome = entry.outcome;
  const bool applied = outcome.kind == swarm::OutcomeKind::apply;
  Json banned = Json::array();
  for (const auto& ban : entry.bans) banned.push_back(ban_json(ban));
  Json eliminated = Json::array();
  for (const swarm::Removal& removal : outcome.removed) {
    if (is_ban(removal.fault)) continue;
    eliminated.push_back({{"peer", removal.peer.to_text()}, {"reason", std::string(name(removal.fault))}});
  }
  Json admitted = Json::array();
  for (const swarm::Admission& admission : outcome.admitted) admitted.push_back(admission.peer.to_text());
  Json strikes = Json::array();
  for (const swarm::Strike& strike : outcome.strikes) strikes.push_back(strike_json(strike));
  Json resting = Json::array();
  for (const swarm::PeerId& peer : entry.resting) resting.push_back(peer.to_text());
  Json audited = Json::array();
  for (const swarm::PeerId& peer : outcome.audited) audited.push_back(peer.to_text());
  return {{"event", "certificate"},
          {"run", run},
          {"height", entry.height},
          {"round", outcome.round.value()},
          {"attempt", outcome.attempt.value()},
          {"outcome", applied ? "apply" : "void"},
          {"members", entry.members},
          {"votes", entry.votes},
          {"contributors", outcome.present.size()},
          {"signers", entry.signers},
          {"samples", outcome.samples},
          {"loss", applied ? number(static_cast<double>(outcome.loss)) : Json(nullptr)},
          {"banned", std::move(banned)},
          {"eliminated", std::move(eliminated)},
          {"admitted", std::move(admitted)},
          {"strikes", std::move(strikes)},
          {"resting", std::move(resting)},
          {"audited", std::move(audited)}};
}

std::string certificate_text(const CertificateAudit& entry) {
  const swarm::Outcome& outcome = entry.outcome;
  const bool applied = outcome.kind == swarm::OutcomeKind::apply;
  std::string text = fmt::format("{:<12} {}  members {:<3} votes {:<3} samples {:<7} signed by {:<3}",
                                 round_name(outcome.round, outcome.attempt), applied ? "apply" : "void ",
                                 entry.members, entry.votes, outcome.samples, entry.signers);
  if (applied) text += fmt::format(" loss {:.4g}", outcome.loss);
  for (const swarm::Admission& admission : outcome.admitted)
    text += fmt::format("\n             admitted {}", admission.peer.to_text());
  for (const swarm::Removal& removal : outcome.removed) {
    if (is_ban(removal.fault)) continue;
    text += fmt::format("\n             eliminated {}: {}", removal.peer.to_text(), name(removal.fault));
  }
  for (const auto& ban : entry.bans) text += "\n" + ban_text(std::string(13, ' '), 15, ban);
  for (const swarm::Strike& strike : outcome.strikes)
    text += "\n" + wrapped("strike " + strike_text(strike), 13);
  const auto among = [](const std::vector<swarm::PeerId>& peers, const swarm::PeerId& peer) {
    return std::ranges::binary_search(peers, peer);
  };
  for (const swarm::PeerId& peer : entry.resting) {
    if (!among(entry.rested, peer))
      text += fmt::format("\n             reduces nothing now: {}", peer.to_text());
  }
  for (const swarm::PeerId& peer : entry.rested) {
    if (!among(entry.resting, peer))
      text += fmt::format("\n             reduces again, or has left: {}", peer.to_text());
  }
  return text;
}

Json summary_json(const char* event, const std::string& run, const LedgerAudit& audit) {
  Json weights = Json::array();
  for (const training::VoteAudit& vote : audit.earned) {
    weights.push_back({{"peer", vote.peer.to_text()},
                       {"weight", vote.weight},
                       {"audits", vote.standing.audits},
                       {"worked", vote.standing.rounds_worked()}});
  }
  return {{"event", event},
          {"run", run},
          {"certificates", audit.height},
          {"rounds", audit.rounds.value()},
          {"voids", audit.voids},
          {"members", audit.members},
          {"votes", audit.votes},
          {"weights", std::move(weights)},
          {"eliminated", audit.eliminations},
          {"strikes", audit.strikes},
          {"banned", audit.proven + audit.attested + audit.without_evidence},
          {"proven", audit.proven},
          {"attested", audit.attested},
          {"without_evidence", audit.without_evidence}};
}

// A line a member: its vote, and what it did for it.
std::string votes_text(const LedgerAudit& audit) {
  std::string text;
  for (const training::VoteAudit& vote : audit.earned) {
    text += fmt::format("\n{}  weight {}, found right {} of {}, worked {} of {}", vote.peer.to_text(),
                        vote.weight, vote.standing.audits, swarm::audits_for_a_vote,
                        vote.standing.rounds_worked(), swarm::work_window);
  }
  return text;
}

std::string summary_text(const LedgerAudit& audit) {
  return fmt::format(
      "{} applied, {} voided; {} with {}; {} eliminated; {}; banned: {} proven by their evidence, {} "
      "attested by "
      "measurements or what could be kept, {} without evidence here",
      counted(audit.rounds.value(), "round"), counted(audit.voids, "attempt"),
      counted(audit.members, "member"), counted(static_cast<std::size_t>(audit.votes), "vote"),
      audit.eliminations, counted(audit.strikes, "strike"), audit.proven, audit.attested,
      audit.without_evidence);
}

Result<void> broken(const std::string& run, const LedgerAudit& audit, Output& output) {
  const auto& where = *audit.broken;
  Json event = summary_json("broken", run, audit);
  event["round"] = where.round.value();
  event["attempt"] = where.attempt.value();
  event["height"] = where.height;
  event["cause"] = where.cause;
  output.say(event, "");
  return fail(ErrorCode::corrupt, "the ledger does not hold from " + round_name(where.round, where.attempt) +
                                      " on: " + where.cause);
}

Result<void> show(const LedgerOptions& options, Output& output) {
  end_with_reader();
  TRY(const auto ledger, open_ledger(options));
  const std::string run = to_hex(ledger.run);
  const auto say = [&](const CertificateAudit& entry) {
    if (options.bans) {
      say_bans(run, entry, output);
    } else {
      output.say(certificate_json(run, entry), certificate_text(entry));
    }
  };
  std::deque<CertificateAudit> newest;  // of the rounds that are asked for
  const auto hold = [&](const CertificateAudit& entry) {
    newest.push_back(entry);
    const std::uint64_t round = entry.outcome.round.value();
    while (round - newest.front().outcome.round.value() >= options.last) newest.pop_front();
  };
  const LedgerAudit audit = audit_ledger(*ledger.storage, ledger.rules,
                                         [&](const CertificateAudit& entry) {
                                           if (options.last > 0) {
                                             hold(entry);
                                           } else {
                                             say(entry);
                                           }
                                         },
                                         {.state = false});
  for (const CertificateAudit& entry : newest) say(entry);
  if (audit.broken) return broken(run, audit, output);
  output.say(summary_json("ledger", run, audit),
             "run " + run + "\n" + wrapped(summary_text(audit), 0) + votes_text(audit));
  return {};
}

// While a member runs, its files go on: a state that was there when the reading began may be gone when it is
// read. What does not hold is looked at again as it stands then, so often.
constexpr int looks = 3;

Result<void> verify(const LedgerOptions& options, Output& output) {
  end_with_reader();
  TRY(auto ledger, open_ledger(options));
  const std::string run = to_hex(ledger.run);
  LedgerAudit audit;
  std::vector<CertificateAudit> with_bans;
  std::uint64_t height = 0;
  Result<void> sound;  // the file itself
  for (int look = 0; look < looks; ++look) {
    with_bans.clear();
    audit = audit_ledger(*ledger.storage, ledger.rules, [&](const CertificateAudit& entry) {
      output.progress(fmt::format("verified {}", round_name(entry.outcome.round, entry.outcome.attempt)));
      if (!entry.bans.empty()) with_bans.push_back(entry);
    });
    sound = audit.broken ? Result<void>() : ledger.storage->check();
    if ((!audit.broken && sound) || (look > 0 && audit.height == height)) break;
    height = audit.height;
    TRY(ledger, open_ledger(options));
  }
  output.progress("");
  for (const CertificateAudit& entry : with_bans) say_bans(run, entry, output);
  if (audit.broken) return broken(run, audit, output);
  if (!sound) {
    Json event = summary_json("broken", run, audit);
    event["cause"] = sound.error().message;
    output.say(event, "");
    return fail(ErrorCode::corrupt,
                fmt::format("the ledger holds, {}, but not all of the file can be read: {}",
                            counted(audit.rounds.value(), "round"), sound.error().message));
  }
  Json event = summary_json("verified", run, audit);
  event["state"] = audit.state_on_disk ? "whole" : "not on this disk";
  const std::string state = audit.state_on_disk ? "the certified one" : "not on this disk";
  output.say(event,
             "run " + run + " verified:\n" + wrapped(summary_text(audit) + "; the state is " + state, 0));
  return {};
}

CLI::App* add_ledger_command(Program& program, CLI::App* group, const std::string& command_name,
                             const std::string& description, const std::string& teaching,
                             Result<void> (*run)(const LedgerOptions&, Output&),
                             const std::shared_ptr<LedgerOptions>& options) {
  CLI::App* command = program.add(
      command_name, description, teaching, [options, run](Output& output) { return run(*options, output); },
      group);
  command->add_option("ledger", options->what, "Run id (64 hex digits), or the path of a data directory")
      ->required()
      ->type_name("RUN|PATH");
  command->add_option("--data", options->data, "Data directory, for a run id")->capture_default_str();
  return command;
}

}  // namespace

void add_ledger(Program& program) {
  CLI::App* group = program.add_group("ledger", "Show and verify what a run's members agreed on, offline",
                                      "Next: testudo ledger show --help, testudo ledger verify --help");
  const auto options = std::make_shared<LedgerOptions>();
  CLI::App* command = add_ledger_command(
      program, group, "show", "Show the rounds of a run, and who was banned for what",
      R"(A line a round: whether it was applied, the members and samples, who lost its seat or was banned and what proves it,
who has a strike for what, and who reduces nothing because of strikes; last a summary of the whole run. Reads only: the
member of that directory may be running.

Example:  testudo ledger show /tmp/a
          testudo ledger show /tmp/a --last 20
          testudo ledger show /tmp/a --bans
Next:     testudo ledger verify /tmp/a)",
      show, options);
  command->add_option("--last", options->last, "Only the last so many rounds; 0: all")->capture_default_str();
  command->add_flag("--bans", options->bans, "Only who was banned, and what proves it");
  add_ledger_command(
      program, group, "verify", "Verify a run's ledger, offline",
      R"(Checks, with no network and nobody's word: that certificates follow on one another from the founders on, each
signed by a quorum of the members of its time; that the evidence for every ban shows the fault; that the state on disk
is the certified one. Says of every ban what its evidence proves, and what rests on the signatures. When something does
not hold, names the first round and the cause, and exits 1. Reads only: the member of that directory may be running.

Example:  testudo ledger verify /tmp/a
          testudo ledger verify RUN --data /tmp/a --json | tail -1)",
      verify, std::make_shared<LedgerOptions>());
}

}  // namespace testudo::tools
