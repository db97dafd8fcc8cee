// Audits: a validator also reduces one drawn part of the last round again, and a dispute about a result of an
// earlier round is settled by its committed bytes.
//
// The course, for a part of round t. Round t + 1's beacon draws its auditor. All know whom, so that every
// contributor sends it the committed bytes unasked, while the others compute; what is not there when REVEAL
// is agreed does not count. The auditor says in CHECK when they give another result than the agreed one, or
// who kept some from it: if that opened no dispute, a reducer and one contributor that keep their bytes from
// auditors would never be found. What it says is disputed in round t + 2 when a quorum lists it, as those
// disputes about contributions are that members without records learn of: EVIDENCE shows the contributions to
// everybody, and they decide.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "crypto/merkle.h"
#include "net/async/combinators.h"
#include "training/round/round.h"
#include "training/round/round_rules.h"
#include "training/round/strike_rules.h"

namespace testudo::training {

using net::Task;
using swarm::AgreedBroadcast;
using swarm::Fault;
using swarm::Phase;

// Who is to send the auditor the bytes of each contributor to its part, before or after COMMIT, the same for
// all. So whoever keeps something from auditors is struck for it until it is struck out, and from then on the
// reducer sends what it would not. Nothing: there is no such result, or not all can come to the auditor.
std::optional<std::vector<swarm::PeerId>> Round::senders_to(const Audit& audit, bool committed) const {
  const RoundRecord& last = *setup_.last;
  const auto* const result = last.find_audited(audit, setup_.roster);
  if (result == nullptr) return std::nullopt;
  // Twice all values, as PartExchange takes them from one member.
  return senders_to_auditor(
      setup_.roster, audit.auditor, last.reducers[audit.part.value()], result->contributors,
      [this, committed](const PeerId& peer) { return !committed || commits_.contains(peer); },
      2 * last.ranges.size());
}

// COMPUTE: what this member is to send auditors. Again after COMMIT, with what members were to send that did
// not commit. The audit of this member, if it is an auditor, takes place beside the round.
void Round::send_audited(bool committed) {
  if (!setup_.last) return;
  const RoundRecord& last = *setup_.last;
  for (const Audit& audit : audits_) {
    if (audit.auditor == self_) {
      if (!committed) begin_audit(audit);
      continue;
    }
    const auto& contributors = last.results[audit.part.value()]->contributors;
    const auto before = senders_to(audit, false);
    const auto now = senders_to(audit, committed);
    for (std::size_t i = 0; i < contributors.size(); ++i) {
      if (now->at(i) != self_ || (committed && before->at(i) == self_)) continue;
      const Blob bytes = last.find_contribution({audit.part, contributors[i]}, self_);
      if (!bytes) continue;  // this member was restarted
      exchange_.send(audit.auditor, key(PartKind::audited, PartIndex(static_cast<std::uint32_t>(i))), bytes);
    }
  }
  exchange_.arrived().pulse();  // an own audit may take from reducers now what it got before
}

void Round::begin_audit(const Audit& audit) {
  const std::size_t count = setup_.last->results[audit.part.value()]->contributors.size();
  own_audit_.emplace(
      OwnAudit{.audit = audit, .arrived = std::vector<Blob>(count), .good = std::vector<Blob>(count)});
  checks_.spawn(collect_audited());
}

Task<void> Round::collect_audited() {
  while (!own_audit_->closed) {
    check_arrived_audited();
    co_await exchange_.arrived().wait();
  }
}

void Round::check_arrived_audited() {
  OwnAudit& own = *own_audit_;
  const RoundRecord& last = *setup_.last;
  const auto& contributors = last.results[own.audit.part.value()]->contributors;
  const auto senders = senders_to(own.audit, !commits_.empty());
  for (std::size_t i = 0; i < contributors.size(); ++i) {
    if (own.good[i]) continue;
    Blob bytes = contributors[i] == self_
                     ? last.find_contribution({own.audit.part, self_}, self_)
                     : exchange_.find(key(PartKind::audited, PartIndex(static_cast<std::uint32_t>(i))),
                                      senders->at(i));
    if (!bytes || bytes == own.arrived[i]) continue;
    own.arrived[i] = bytes;
    if (!commits_.empty() && contributors[i] != self_) own.last_late = {senders->at(i), scheduler_.now()};
    ++own.running;
    checks_.spawn(check_audited(i, std::move(bytes)));
  }
}

// What the i-th contributor committed to; with the last of them all, the rule once more.
Task<void> Round::check_audited(std::size_t i, Blob bytes) {
  OwnAudit& own = *own_audit_;
  const RoundRecord& last = *setup_.last;
  const std::size_t part = own.audit.part.value();
  const RoundRecord::Published& result = *last.results[part];
  const Digest committed = last.commitments.at(result.contributors[i]).parts[part];
  const bool good = co_await net::offload(
      scheduler_, [rules = setup_.rules, bytes, committed, size = last.ranges[part].size] {
        return crypto::tree_hash(*bytes) == committed &&
               check_encoded(rules->codec, *bytes, size, rules->manifest.g_max).has_value();
      });
  if (good && !own.good[i]) {
    own.good[i] = std::move(bytes);
    if (std::ranges::all_of(own.good, [](const Blob& one) { return one != nullptr; })) {
      own.right =
          co_await net::offload(scheduler_, [job = audit_job(last, part, own.good), published = result.hash] {
            const auto reduced = job.run();
            return reduced && reduced->hash == published;
          });
    }
  }
  --own.running;
  exchange_.arrived().pulse();
}

// Once REVEAL is agreed: what comes now does not count. If auditors waited for it, whoever sends at the last
// moment would hide any result.
void Round::close_audit() {
  if (!own_audit_) return;
  check_arrived_audited();
  own_audit_->closed = true;
}

// CHECK waits for an audit that has all its bytes, as long as nobody holds this member late for that.
Task<void> Round::audit_done() {
  if (!own_audit_) co_return;
  const swarm::Manifest& manifest = setup_.rules->manifest;
  co_await wait_for_parts([this] { return own_audit_->running == 0; },
                          anchor_ + manifest.exchange_deadline() - early_margin(manifest));
}

// As its reducer had to run it. `contributions`: of all contributors, in their order.
ReduceJob Round::audit_job(const RoundRecord& of, std::size_t part, std::vector<Blob> contributions) const {
  return {.rules = setup_.rules,
          .state = of.state,
          .range = of.ranges[part],
          .tau = of.results[part]->tau,
          .contributions = std::move(contributions),
          .hostile_count = of.hostile_count,
          .seed = aggregation_seed(setup_.rules->run, of.round, of.beacon),
          .spare = setup_.spare};
}

std::optional<AuditStatement> Round::own_audit_statement() const {
  if (!own_audit_) return std::nullopt;
  if (own_audit_->running > 0) {
    // Who sent the last bytes so late that an audit has less time than REDUCE gives the reducers hides by
    // that what a rule that takes so long would show. Otherwise this computer has too much to do, and nobody
    // else is to blame.
    const auto& last = own_audit_->last_late;
    const net::Duration due = 2 * setup_.rules->manifest.exchange_deadline();
    if (!last || scheduler_.now() - last->time >= due) return std::nullopt;
    return AuditStatement{{last->sender}};
  }
  if (own_audit_->right) return *own_audit_->right ? std::nullopt : std::optional(AuditStatement{});
  const auto senders = senders_to(own_audit_->audit, true);
  std::set<PeerId> owing;
  for (std::size_t i = 0; i < senders->size(); ++i) {
    if (!own_audit_->good[i]) owing.insert(senders->at(i));
  }
  return AuditStatement{{owing.begin(), owing.end()}};
}

// For EVIDENCE, should the reducer have gone by then.
Blob Round::audited_reducers_own() const {
  if (!own_audit_ || own_audit_->right.value_or(true)) return nullptr;
  const std::size_t part = own_audit_->audit.part.value();
  const auto& contributors = setup_.last->results[part]->contributors;
  const auto place = std::ranges::find(contributors, setup_.last->reducers[part]);
  return place == contributors.end()
             ? nullptr
             : own_audit_->good[static_cast<std::size_t>(place - contributors.begin())];
}

// What an auditor says, as far as it counts: of those whom it names, those that were to send it something.
// An auditor that is struck out, for saying so before, opens no more disputes by that.
std::optional<RoundRecord::AuditSaid> Round::read_audit(const PeerId& auditor,
                                                        const AuditStatement& statement) const {
  const auto drawn = std::ranges::find(audits_, auditor, &Audit::auditor);
  const auto senders = drawn == audits_.end() ? std::nullopt : senders_to(*drawn, true);
  if (!senders) return std::nullopt;
  RoundRecord::AuditSaid said{.audit = *drawn, .statement = {}, .message = nullptr};
  if (statement.is_wrong()) return said;
  const auto index = setup_.roster.index_of(auditor);
  if (!index || setup_.roster.members()[*index].struck_out) return std::nullopt;
  std::set<PeerId> others(senders->begin(), senders->end());
  others.erase(auditor);
  std::ranges::set_intersection(statement.unserved_by, others,
                                std::back_inserter(said.statement.unserved_by));
  if (said.statement.is_wrong()) return std::nullopt;
  return said;
}

// What the last round's auditors said. Who says that a result is wrong is banned if it is not; who says less
// comes after it, and crowds nobody out. Otherwise these coins decide, which nobody knew then.
std::vector<Audit> Round::find_disputed_audits() const {
  std::vector<std::tuple<bool, Digest, Audit>> found;
  if (!setup_.last || !setup_.before_last) return {};
  for (const auto& [auditor, said] : setup_.last->audits) {
    if (setup_.before_last->find_audited(said.audit, setup_.roster) == nullptr) continue;
    const bool unserved = !said.statement.is_wrong();
    const PeerId& reducer = setup_.before_last->reducers[said.audit.part.value()];
    // Whoever gives up its seat when it hears that it is accused, or has accused, is judged all the same.
    const bool answers = unserved ? setup_.roster.contains(auditor) && setup_.roster.contains(reducer)
                                  : !setup_.roster.is_banned(auditor);
    if (!answers) continue;
    found.emplace_back(unserved, dispute_lot(coins_, auditor), said.audit);
  }
  std::ranges::sort(found);
  std::vector<Audit> first;
  for (const auto& [unserved, lot, audit] : found) {
    if (first.size() < dispute_limit) first.push_back(audit);
  }
  std::ranges::sort(first);
  return first;
}

// Contributions to disputed results that nobody has shown yet, by part and contributor; only of results that
// this member knows.
std::vector<PartOf> Round::unshown_of_audits() const {
  std::set<PartOf> wanted;
  for (const Audit& audit : disputed_audits_) {
    const auto* const result =
        setup_.before_last ? setup_.before_last->find_audited(audit, setup_.roster) : nullptr;
    if (result == nullptr) continue;
    for (const PeerId& member : result->contributors) {
      if (!audited_.contains({audit.part, member})) wanted.insert({audit.part, member});
    }
  }
  return {wanted.begin(), wanted.end()};
}

// EVIDENCE: this member's own contributions; then, as the reducer, what others did not show, and as the
// auditor what the reducer did not. (Attack: to hear that one is found, and fall silent.)
AnswerPayload::Parts Round::audited_parts(bool as_reducer) const {
  AnswerPayload::Parts parts;
  const std::vector<PartOf> wanted = unshown_of_audits();
  if (wanted.empty()) return parts;
  const RoundRecord& before = *setup_.before_last;
  const auto beyond =
      beyond_one_answer(wanted, before.reducers, before.ranges, before.state->parameters().size());
  for (const PartOf& entry : wanted) {
    const std::size_t part = entry.part.value();
    if (as_reducer) {
      const auto held = before.held.find(entry);
      if (held != before.held.end() && !beyond.contains(entry)) {
        parts.emplace_back(entry, to_bytes(*held->second));
      }
    } else if (entry.member == self_ && part < before.own.size()) {
      parts.emplace_back(entry, to_bytes(*before.own[part]));
    }
  }
  const Blob own = as_reducer && setup_.last ? setup_.last->audited_reducers_own : nullptr;
  for (const Audit& audit : disputed_audits_) {
    if (!own || audit.auditor != self_ || audit.part.value() >= before.reducers.size()) continue;
    const PartOf entry{audit.part, before.reducers[audit.part.value()]};
    if (std::ranges::binary_search(wanted, entry)) parts.emplace_back(entry, to_bytes(*own));
  }
  return parts;
}

// What nobody shows costs its author and the reducer their seats: an honest one of the two shows it, unless
// it was restarted.
Task<void> Round::read_audited(Answers& answers, bool as_reducer) {
  const std::vector<PartOf> wanted = unshown_of_audits();
  if (wanted.empty()) co_return;
  const RoundRecord& before = *setup_.before_last;
  for (const PartOf& entry : wanted) {
    const std::size_t part = entry.part.value();
    std::vector<PeerId> sources{as_reducer ? before.reducers[part] : entry.member};
    for (const Audit& audit : disputed_audits_) {
      if (as_reducer && audit.part == entry.part) sources.push_back(audit.auditor);
    }
    for (const PeerId& source : sources) {
      const AnswerPayload* const answer = answers.of(source);
      const Bytes* const found = answer == nullptr ? nullptr : answer->find_audited(entry);
      if (found == nullptr || audited_.contains(entry)) continue;
      auto bytes = std::make_shared<const Buffer>(Buffer::copy_of(*found));
      const bool good =
          co_await net::offload(scheduler_, [rules = setup_.rules, bytes, size = before.ranges[part].size,
                                             hash = before.commitments.at(entry.member).parts[part]] {
            return crypto::tree_hash(*bytes) == hash &&
                   check_encoded(rules->codec, *bytes, size, rules->manifest.g_max).has_value();
          });
      if (good) audited_.emplace(entry, std::move(bytes));
    }
  }
  if (!as_reducer) co_return;
  const auto beyond =
      beyond_one_answer(wanted, before.reducers, before.ranges, before.state->parameters().size());
  for (const PartOf& entry : unshown_of_audits()) {
    if (!beyond.contains(entry)) remove(before.reducers[entry.part.value()], Fault::unserved);
    remove(entry.member, Fault::unserved);
  }
}

// Whoever was said to keep something from an auditor kept it, or the auditor lies: a strike of both (but of
// who lost its seat, because it shows nothing now either). The shown contributions decide the rest: another
// result bans the reducer, the same one whoever said that it is wrong. Nothing that was applied is taken
// back.
Task<Result<void>> Round::judge_audits() {
  const bool able = std::ranges::all_of(disputed_audits_, [this](const Audit& audit) {
    if (!setup_.last || !setup_.before_last) return false;
    const auto said = setup_.last->audits.find(audit.auditor);
    return said != setup_.last->audits.end() && said->second.audit == audit &&
           setup_.before_last->find_audited(audit, setup_.roster) != nullptr;
  });
  if (!able)
    co_return fail(ErrorCode::not_found, "this member was not there when what is disputed was reduced");
  const RoundRecord& before = *setup_.before_last;
  for (const Audit& audit : disputed_audits_) {
    const std::size_t part = audit.part.value();
    const RoundRecord::Published& result = *before.results[part];
    const RoundRecord::AuditSaid& said = setup_.last->audits.at(audit.auditor);
    for (const PeerId& member : said.statement.unserved_by)
      strike_between(audit.auditor, swarm::StrikeReason::unserved_audit, member);
    std::vector<Blob> contributions;
    for (const PeerId& member : result.contributors) {
      const auto shown = audited_.find({audit.part, member});
      if (shown != audited_.end()) contributions.push_back(shown->second);
    }
    if (contributions.size() < result.contributors.size()) continue;
    const auto reduced = co_await net::offload(
        scheduler_, [job = audit_job(before, part, std::move(contributions))] { return job.run(); });
    const bool right = reduced && reduced->hash == result.hash;
    if (right && !said.statement.is_wrong()) continue;
    const Rerun rerun{audit.part.value(), before.ranges[part], result.contributors, before.commits,
                      audited_,           before.state};
    auto evidence = co_await rerun_evidence(right ? Fault::false_accusation : Fault::wrong_aggregate,
                                            right ? said.message : result.message, rerun);
    ban(std::move(evidence));
  }
  co_return testudo::Result<void>{};
}

}  // namespace testudo::training
