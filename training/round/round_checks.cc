// The phases of a round that make its result one that everybody believes: REVEAL, CHECK, and EVIDENCE where a
// part is disputed.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "crypto/base/check.h"
#include "crypto/derive.h"
#include "crypto/hash.h"
#include "net/async/combinators.h"
#include "training/round/round.h"
#include "training/round/round_rules.h"
#include "training/round/strike_rules.h"

namespace testudo::training {

using net::Task;
using swarm::AgreedBroadcast;
using swarm::Fault;
using swarm::Phase;

namespace {

// A reduced part, as everybody holds it.
struct Published {
  std::shared_ptr<const RoundRules> rules;
  std::size_t size = 0;
  Blob bytes;

  EncodedParts parts() const { return {rules->codec, size, rules->manifest.g_max, {*bytes}}; }
};

}  // namespace

// REVEAL: agreed coins, only after every result is agreed, and challenges of results that did not arrive.
// False when a coin is missing or not what was committed to.
Task<Result<bool>> Round::reveal() {
  const std::vector<PeerId> expected = alive_;
  const auto set = co_await agree(Phase::reveal, 2 * setup_.rules->manifest.exchange_deadline(),
                                  RevealPayload{setup_.opening, missing_results()}.encode());
  close_audit();
  bool complete = true;
  std::map<std::size_t, std::set<PeerId>> challenged;  // results, by whom
  crypto::Hasher hasher("testudo/coins/1");
  for (const PeerId& member : expected) {
    const auto message = set.find(member);
    if (message == set.end()) {
      complete = false;
      continue;
    }
    const auto payload = RevealPayload::decode(message->second.payload);
    if (!payload || !may_challenge_results(payload->missing)) {
      complete = false;
      ban(evidence_of(Fault::malformed, message->second));
      continue;
    }
    if (!crypto::verify_commitment(commits_.at(member).coin, member, setup_.round.value(),
                                   setup_.attempt.value(), payload->opening)) {
      complete = false;
      swarm::Evidence evidence = evidence_of(Fault::wrong_reveal, message->second);
      evidence.messages.push_back(*commit_messages_.at(member));
      ban(std::move(evidence));
      continue;
    }
    hasher.bytes(payload->opening.coin);
    for (const PartOf& entry : payload->missing) {
      const std::size_t j = entry.part.value();
      if (j >= reductions_.size() || !reductions_[j].hash || reductions_[j].reducer == member) continue;
      (rests(member) ? missed_by_resting_ : challenged)[j].insert(member);
    }
  }
  lap("reveal");
  if (!complete) co_return false;
  coins_ = hasher.finish();
  // What others miss as well is answered to all.
  std::erase_if(missed_by_resting_, [&](const auto& entry) { return challenged.contains(entry.first); });
  help_resting();
  auto served = co_await serve_results(challenged);
  if (!served) co_return fail(std::move(served).error());
  co_return true;
}

// CHECK: what every contribution deviates from the results by, and what validators found. Parts whose reports
// do not add up are disputed, and contributions that are not what others compute.
Task<Result<void>> Round::check(const Prepared& prepared) {
  const bool sums = setup_.rules->rule->solves_clipped_sum();
  auto helped = testudo::Result<void>{};
  if (sums || setup_.rules->manifest.validators > 0) {
    std::vector<Task<Deviation>> jobs;
    for (std::size_t j = 0; j < reductions_.size() && sums && !prepared.parts.empty(); ++j) {
      const Published result{setup_.rules, ranges_[j].size,
                             reductions_[j].hash ? reductions_[j].bytes : nullptr};
      jobs.push_back(net::offload(
          scheduler_, [result, own = prepared.parts[j], seed = sketch_seed_of(j), tau = tau_of(j)] {
            if (!result.bytes) return Deviation{};
            const EncodedParts contribution(result.rules->codec, result.size, result.rules->manifest.g_max,
                                            {*own});
            return deviations(contribution, result.parts(), seed, tau).front();
          }));
    }
    CheckPayload mine;
    mine.parts = co_await net::when_all(scheduler_, std::move(jobs));
    mine.recomputed = co_await own_statement();
    mine.disputes = find_disputes();
    mine.right = find_right();
    co_await audit_done();
    mine.audit = own_audit_statement();
    mine.audits = find_disputed_audits();
    auto set = co_await agree(Phase::check, setup_.rules->manifest.exchange_deadline(), mine.encode());
    helped = co_await wait_for_help();
    read_checks(set);
    for (std::size_t j = 0; j < reductions_.size() && sums; ++j) {
      if (reductions_[j].has_result() && co_await is_suspicious(j)) disputed_.push_back(j);
    }
    if (!disputed_.empty()) check_messages_ = std::move(set);
  } else {
    helped = co_await wait_for_help();
  }
  // A reducer that says so every time would leave its part out for good.
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (reductions_[j].without_result) disputed_.push_back(j);
  }
  std::ranges::sort(disputed_);
  lap("check");
  co_return helped;
}

// What a contributor reported on part j; null: nothing. So says who rests and misses that result: everybody
// knows that from REVEAL, and it has committed to as much as its contribution may weigh.
const Deviation* Round::report_on(std::size_t j, const PeerId& member) const {
  const auto missed = missed_by_resting_.find(j);
  if (missed != missed_by_resting_.end() && missed->second.contains(member)) return nullptr;
  const auto report = reports_.find(member);
  return report == reports_.end() ? nullptr : &report->second[j];
}

// What a validator that was drawn says of its target and of the part that it audits.
void Round::note_findings(const CheckPayload& payload, const swarm::PhaseMessage& message) {
  const auto drawn = std::ranges::find(validations_, message.author, &Validation::validator);
  if (drawn == validations_.end() || (!payload.recomputed && !payload.audit)) return;
  const auto kept = std::make_shared<const swarm::PhaseMessage>(message);
  if (payload.recomputed) {
    claims_.emplace(message.author, RoundRecord::Claim{drawn->target, *payload.recomputed, kept});
  }
  auto said = payload.audit ? read_audit(message.author, *payload.audit) : std::nullopt;
  if (!said) return;
  said->message = kept;
  audits_said_.emplace(message.author, std::move(*said));
}

void Round::read_checks(const AgreedBroadcast::MessageSet& set) {
  const bool sums = setup_.rules->rule->solves_clipped_sum();
  std::map<PeerId, CheckPayload> checks;
  std::vector<double> lengths;
  for (const auto& [author, message] : set) {
    auto payload = CheckPayload::decode(message.payload);
    const std::size_t due = !sums || commits_.at(author).parts.empty() ? 0 : reductions_.size();
    if (!payload || payload->parts.size() != due) {
      swarm::Evidence evidence = evidence_of(Fault::malformed, message);
      evidence.messages.push_back(*commit_messages_.at(author));
      ban(std::move(evidence));
      continue;
    }
    note_findings(*payload, message);
    if (due > 0) {
      double square = 0;
      for (std::size_t j = 0; j < reductions_.size(); ++j) {
        if (reductions_[j].hash) square += payload->parts[j].norm * payload->parts[j].norm;
      }
      const bool misses = std::ranges::any_of(
          missed_by_resting_, [&author](const auto& entry) { return entry.second.contains(author); });
      if (!misses) lengths.push_back(std::sqrt(square));
      reports_.emplace(author, std::move(payload->parts));
    }
    checks.emplace(author, std::move(*payload));
  }
  adopt_findings(checks);
  if (setup_.last)
    marks_.merge(silent_validators(setup_.roster, setup_.round, validations_, claims_, *setup_.last));
  const std::vector<double> weights(lengths.size(), 1.0);
  const double median = lengths.empty() ? 0 : automatic_tau(lengths, weights);
  deviation_ = static_cast<float>(std::min(median, static_cast<double>(std::numeric_limits<float>::max())));
}

// Whether part j has to be reduced again before anybody believes it.
Task<bool> Round::is_suspicious(std::size_t j) {
  const Reduction& reduction = reductions_[j];
  const double tau = tau_of(j);
  std::vector<const Deviation*> reported;
  std::size_t far = 0;
  const double share =
      static_cast<double>(ranges_[j].size) / static_cast<double>(setup_.state->parameters().size());
  const double limit = greatest_growth * static_cast<double>(setup_.deviation) * std::sqrt(share);
  for (const PeerId& member : reduction.contributors) {
    const Deviation* const deviation = report_on(j, member);
    if (deviation == nullptr) continue;
    if (!is_plausible(*deviation, tau)) co_return true;
    if (limit > 0 && deviation->norm > limit) ++far;
    reported.push_back(deviation);
  }
  if (2 * far > reduction.contributors.size()) co_return true;
  // Malformed results are absent by now.
  const auto sum = co_await net::offload(
      scheduler_, [rules = setup_.rules, bytes = reduction.bytes, size = ranges_[j].size,
                   all = reduction.contributors.size(), known = reported.size(),
                   tau] { return sum_check(*rules, *bytes, size, all, all - known, tau); });
  const std::vector<double> weights(reported.size(), 1.0);
  co_return !sums_to_nothing(reported, weights, sum);
}

// Disputed parts, of this round or an earlier one: all contributions in the open, then the rule once more, by
// everybody. Disputed contributions: in the open, then computed once more, by everybody.
Task<Result<void>> Round::settle(const Prepared& prepared) {
  if (disputed_.empty() && disputes_.empty() && disputed_audits_.empty()) co_return testudo::Result<void>{};
  co_await show_evidence(prepared);
  if (lost_) co_return testudo::Result<void>{};
  if (!disputes_.empty()) {
    auto judged = co_await judge_contributions();
    if (lost_ || !judged) co_return judged;
  }
  if (!disputed_audits_.empty()) {
    auto judged = co_await judge_audits();
    if (!judged) co_return judged;
  }
  if (disputed_.empty()) {
    lap("settle");
    co_return testudo::Result<void>{};
  }
  for (const std::size_t j : disputed_) co_await judge(j);
  // The results are other ones now: the step begins again.
  next_ = nullptr;
  next_ = std::make_shared<NextState>(setup_.rules, setup_.state, setup_.spare);
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (!reductions_[j].hash) continue;
    const bool placed =
        co_await net::offload(scheduler_, [next = next_, range = ranges_[j], bytes = reductions_[j].bytes] {
          return next->place(range, *bytes);
        });
    TESTUDO_CHECK(placed);  // decoded once before, or encoded here
  }
  lap("settle");
  co_return testudo::Result<void>{};
}

// EVIDENCE: every contributor shows its disputed parts; whoever does not loses its seat, and the reducer
// shows what it had. A reducer without them loses its seat, too, and the part is absent.
Task<void> Round::show_evidence(const Prepared& prepared) {
  const net::Duration until = 2 * setup_.rules->manifest.exchange_deadline();
  AnswerPayload mine;
  std::vector<PartOf> wanted;
  for (const std::size_t j : disputed_) {
    const PartIndex part(static_cast<std::uint32_t>(j));
    for (const PeerId& member : reductions_[j].contributors) {
      wanted.push_back({part, member});
      if (member == self_) mine.parts.emplace_back(wanted.back(), to_bytes(*prepared.parts[j]));
    }
  }
  const auto held = contributions_;
  std::set<PartOf> too_much;
  for (const bool again : {false, true}) {
    mine.earlier = earlier_parts(again);
    mine.audited = audited_parts(again);
    if (again) {
      // What is beyond is absent, and that is not the reducer's fault.
      too_much = beyond_one_answer(wanted, reducers(), ranges_, setup_.state->parameters().size());
      mine.parts.clear();
      for (const PartOf& entry : wanted) {
        const auto found = held.find(entry);
        if (reductions_[entry.part.value()].reducer == self_ && found != held.end() &&
            !too_much.contains(entry)) {
          mine.parts.emplace_back(entry, to_bytes(*found->second));
        }
      }
    }
    const auto set = co_await agree(again ? Phase::evidence_again : Phase::evidence, until, mine.encode());
    if (lost_) co_return;
    Answers answers(set);
    co_await read_earlier(answers, again);
    co_await read_audited(answers, again);
    std::vector<PartOf> missing;
    for (const PartOf& entry : wanted) {
      const PeerId& source = again ? reductions_[entry.part.value()].reducer : entry.member;
      co_await read_contribution(entry, answers.of(source));
      if (contributions_.contains(entry)) continue;
      if (!too_much.contains(entry)) remove(source, Fault::unserved);
      missing.push_back(entry);
    }
    // Who has no records cannot tell whether anything is missing of what is disputed of earlier rounds.
    if (missing.empty() && disputes_.empty() && disputed_audits_.empty()) co_return;
    wanted = std::move(missing);
  }
  for (const PartOf& entry : wanted) {
    if (!std::erase(disputed_, entry.part.value())) continue;  // of another contribution
    co_await judge_by_shown(entry.part.value());
    reductions_[entry.part.value()].hash = std::nullopt;
  }
}

// Part j, of which not all contributions were shown, and which is therefore absent: what was shown may prove
// all the same that its result is wrong, whatever the others are. (Attack: a wrong result, and the reducer's
// own contribution, which nobody else holds, shown to nobody.)
Task<void> Round::judge_by_shown(std::size_t j) {
  const Reduction& reduction = reductions_[j];
  if (!reduction.hash || !setup_.rules->rule->solves_clipped_sum()) co_return;
  co_await judge_reports(j);
  if (is_banned(reduction.reducer)) co_return;
  ReduceJob job = reduce_job(j);
  const Published result{setup_.rules, ranges_[j].size, reduction.bytes};
  const bool right = co_await net::offload(scheduler_, [result, contributions = std::move(job.contributions),
                                                        tau = job.tau, all = reduction.contributors.size()] {
    std::vector<ByteView> views;
    for (const Blob& bytes : contributions) views.emplace_back(*bytes);
    return may_be_result(*result.rules, *result.bytes, result.size, views, all, tau);
  });
  if (!right) ban(aggregate_by_shown_evidence(j));
}

// Of contributors whose part j was shown: whoever reported another deviation than that has is banned.
Task<void> Round::judge_reports(std::size_t j) {
  const Reduction& reduction = reductions_[j];
  std::vector<PeerId> members;
  std::vector<Blob> contributions;
  for (const PeerId& member : reduction.contributors) {
    const auto shown = contributions_.find({PartIndex(static_cast<std::uint32_t>(j)), member});
    if (shown == contributions_.end()) continue;
    members.push_back(member);
    contributions.push_back(shown->second);
  }
  if (members.empty()) co_return;
  const Published result{setup_.rules, ranges_[j].size, reduction.bytes};
  const auto right = co_await net::offload(scheduler_, [result, contributions = std::move(contributions),
                                                        seed = sketch_seed_of(j), tau = tau_of(j)] {
    std::vector<ByteView> views;
    for (const Blob& bytes : contributions) views.emplace_back(*bytes);
    const EncodedParts parts(result.rules->codec, result.size, result.rules->manifest.g_max,
                             std::move(views));
    return deviations(parts, result.parts(), seed, tau);
  });
  for (std::size_t i = 0; i < right.size(); ++i) {
    const Deviation* const report = report_on(j, members[i]);
    if (report == nullptr || *report == right[i] || is_banned(members[i])) continue;
    ban(wrong_sketch_evidence(j, members[i]));
  }
}

// Who lied about part j: the reducer about the result, or contributors about their deviations from it.
Task<void> Round::judge(std::size_t j) {
  Reduction& reduction = reductions_[j];
  ReduceJob job = reduce_job(j);
  TESTUDO_CHECK(job.contributions.size() == reduction.contributors.size());
  if (reduction.hash && setup_.rules->rule->solves_clipped_sum()) co_await judge_reports(j);
  auto reduced = co_await net::offload(scheduler_, [job = std::move(job)] { return job.run(); });
  const std::optional<Digest> hash = reduced ? std::optional<Digest>(reduced->hash) : std::nullopt;
  if (hash == reduction.hash) co_return;
  if (!is_banned(reduction.reducer)) {
    const Rerun rerun{static_cast<std::uint32_t>(j),
                      ranges_[j],
                      reduction.contributors,
                      commit_messages_,
                      contributions_,
                      setup_.state};
    auto evidence = co_await rerun_evidence(Fault::wrong_aggregate, reduction.claim, rerun);
    ban(std::move(evidence));
  }
  reduction.hash = hash;
  reduction.bytes = reduced ? reduced->bytes : nullptr;
}

// τ of part j, known to everybody before the part is reduced.
double Round::tau_of(std::size_t j) const {
  std::vector<double> distances;
  if (has_distances(*setup_.rules)) {
    for (const PeerId& member : reductions_[j].contributors)
      distances.push_back(commits_.at(member).distances[j]);
  }
  return tau_of_part(*setup_.rules, ranges_[j].size, distances);
}

Digest Round::sketch_seed_of(std::size_t j) const {
  return sketch_seed(setup_.rules->run, setup_.round, setup_.attempt, coins_, j);
}

}  // namespace testudo::training
