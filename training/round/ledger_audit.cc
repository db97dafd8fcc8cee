#include "training/round/ledger_audit.h"

#include <algorithm>

#include "training/round/round_rules.h"
#include "training/round/state_store.h"
#include "training/round/verify_evidence.h"

namespace testudo::training {

namespace {

class Auditor {
 public:
  Auditor(net::Storage& storage, const std::shared_ptr<const RoundRules>& rules, LedgerAudit& found)
      : storage_(storage), rules_(rules), found_(found) {}

  // An error: what does not hold, at the position that was reached.
  Result<void> run(const std::function<void(const CertificateAudit&)>& report, const AuditOptions& options) {
    TRY(auto reader, swarm::LedgerReader::open(storage_, rules_->manifest));
    Digest parameters{};
    while (true) {
      at(reader.chain());
      TRY(const auto entry, reader.next());
      if (!entry) break;
      const swarm::Outcome& outcome = entry->certificate.outcome;
      CertificateAudit audited;
      audited.height = entry->context.height;
      audited.outcome = outcome;
      audited.members = reader.chain().roster().size();
      audited.votes = reader.chain().roster().total_weight();
      audited.rested = entry->context.roster->resting();
      audited.resting = reader.chain().roster().resting();
      audited.signers = entry->certificate.votes.size();
      for (const swarm::Removal& removal : outcome.removed) {
        if (!is_ban(removal.fault)) {
          ++found_.eliminations;
          continue;
        }
        TRY(auto ban, judge(reader, entry->context, removal));
        audited.bans.push_back(std::move(ban));
      }
      TRY_VOID(check_audited(entry->context));
      found_.strikes += outcome.strikes.size();
      if (outcome.kind == swarm::OutcomeKind::apply) {
        found_.rounds = outcome.round;
        parameters = outcome.parameters;
      } else {
        ++found_.voids;
      }
      report(audited);
      found_.height = reader.chain().height();
      found_.members = reader.chain().roster().size();
      found_.votes = reader.chain().roster().total_weight();
    }
    note_votes(reader.chain().roster());
    if (!reader.evidence_of_no_ban().empty())
      return fail(ErrorCode::corrupt, "evidence is kept for a ban that is in no certificate");
    TRY_VOID(swarm::LedgerReader::check_remembered(storage_));
    if (!options.state || reader.chain().state_root() == Digest{}) return {};
    return check_state(reader.chain().state_root(), parameters);
  }

 private:
  void at(const swarm::Chain& chain) {
    found_.broken = LedgerBreak{chain.height(), chain.next_round(), chain.next_attempt(), {}};
  }

  void note_votes(const swarm::Roster& roster) {
    found_.members = roster.size();
    found_.votes = roster.total_weight();
    if (rules_->manifest.validators == 0) return;
    for (const swarm::Member& member : roster.members())
      found_.earned.push_back({member.id, member.weight, roster.standing_of(member.id)});
  }

  // Only whom a validator of the round before was drawn for was looked at.
  Result<void> check_audited(const swarm::EvidenceContext& context) const {
    const swarm::Outcome& outcome = context.outcome;
    if (outcome.audited.empty()) return {};
    std::vector<Validation> drawn;
    if (!context.earlier.empty()) {
      const swarm::AppliedRound& before = context.earlier.back();
      drawn = validations_of(rules_->manifest, *before.roster, rules_->run, before.round,
                             before.fruitless_voids, before.beacon);
    }
    for (const swarm::PeerId& peer : outcome.audited) {
      if (std::ranges::find(drawn, peer, &Validation::target) == drawn.end()) {
        return fail(ErrorCode::corrupt, "it says that " + peer.to_text() +
                                            "'s contribution was found right, and nobody was drawn to look");
      }
    }
    return {};
  }

  Result<BanAudit> judge(const swarm::LedgerReader& reader, const swarm::EvidenceContext& context,
                         const swarm::Removal& removal) {
    const std::string where =
        "the ban of " + removal.peer.to_text() + " (" + std::string(name(removal.fault)) + ")";
    auto evidence = reader.evidence(context.height, removal.evidence);
    if (!evidence) return fail(std::move(evidence).error().in(where));
    if (!*evidence) {
      ++found_.without_evidence;
      return BanAudit{removal, Proof::none,
                      "no evidence is kept here; the ban rests on the signatures of the certificate"};
    }
    auto finding = verify_evidence(**evidence, removal, context, *rules_);
    if (!finding) return fail(std::move(finding).error().in(where));
    ++(finding->proven ? found_.proven : found_.attested);
    if (!context.roster->contains(removal.peer)) finding->text += "; it had lost its seat before";
    return BanAudit{removal, finding->proven ? Proof::proven : Proof::attested, std::move(finding->text)};
  }

  Result<void> check_state(const Digest& root, const Digest& parameters) {
    const auto state = StateStore::load(storage_, rules_, root);
    if (!state && state.error().code == ErrorCode::not_found) return {};
    if (!state) return fail(Error(state.error()).in("the state on disk"));
    if ((*state)->round() != found_.rounds || parameters_digest((*state)->parameters()) != parameters)
      return fail(ErrorCode::corrupt, "the state on disk has other parameters than the certified ones");
    found_.state_on_disk = true;
    return {};
  }

  net::Storage& storage_;
  const std::shared_ptr<const RoundRules>& rules_;
  LedgerAudit& found_;
};

}  // namespace

const char* name(Proof proof) {
  switch (proof) {
    case Proof::proven:
      return "proven";
    case Proof::attested:
      return "attested";
    case Proof::none:
      return "none";
  }
  return "unknown";
}

LedgerAudit audit_ledger(net::Storage& storage, const std::shared_ptr<const RoundRules>& rules,
                         const std::function<void(const CertificateAudit&)>& report,
                         const AuditOptions& options) {
  LedgerAudit found;
  found.broken.emplace();
  const auto whole = Auditor(storage, rules, found).run(report, options);
  if (whole) {
    found.broken.reset();
  } else {
    found.broken->cause = whole.error().message;
  }
  return found;
}

}  // namespace testudo::training
