// The phases of a round that move parts: SCATTER, REDUCE, SERVE, GATHER.
#include <algorithm>
#include <set>

#include "crypto/merkle.h"
#include "net/async/combinators.h"
#include "training/round/reduce_job.h"
#include "training/round/round.h"
#include "training/round/round_rules.h"
#include "training/round/strike_rules.h"

namespace testudo::training {

using net::Task;
using swarm::AgreedBroadcast;
using swarm::Fault;
using swarm::Phase;

// The i-th of `count` things that all members go through, each from another one on: if all sent to the same
// member first, its line would be full and theirs idle.
std::size_t Round::in_turn(std::size_t i, std::size_t count) const {
  return (i + *setup_.roster.index_of(self_) + 1) % count;
}

// SCATTER: part j to its reducer; only now, after COMMIT is agreed, or a late committer could react to
// others.
Task<void> Round::scatter(const Prepared& prepared, bool again) {
  for (std::size_t i = 0; i < reductions_.size(); ++i) {
    const std::size_t j = in_turn(i, reductions_.size());
    const Reduction& reduction = reductions_[j];
    if ((again && !reduction.assigned_again) || prepared.parts.empty()) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    if (reduction.reducer == self_) {
      contributions_[{part, self_}] = prepared.parts[j];
    } else {
      exchange_.send(reduction.reducer, key(PartKind::contribution, part), prepared.parts[j]);
    }
  }
  const auto complete = [this, again] {
    check_arrived_contributions(again);
    return contributions_complete(again);
  };
  co_await wait_for_parts(complete, anchor_ + setup_.rules->manifest.exchange_deadline());
  co_await checks_done();
  lap("scatter");
}

// What this member misses of parts that it reduces. When that is more than it may challenge it gives those
// parts up.
std::vector<PartOf> Round::missing_contributions() const {
  std::vector<PartOf> missing;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (reductions_[j].reducer != self_) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    for (const PeerId& member : reductions_[j].contributors) {
      if (!contributions_.contains({part, member})) missing.push_back({part, member});
    }
  }
  return missing;
}

std::size_t Round::challenges_allowed() const {
  const swarm::Manifest& manifest = setup_.rules->manifest;
  return challenge_limit(manifest, setup_.roster.greatest_hostile_count(manifest.hostile_share));
}

// REDUCE: aggregate exactly C_j, agree on the hash of the encoded result. In the place of a result a reducer
// may challenge contributions that it misses: C_j of that part is settled by SERVE, and the part reduced
// again.
Task<void> Round::reduce(Phase phase) {
  const bool again = phase == Phase::reduce_again;
  ReducePayload mine;
  if (!again) {
    auto missing = missing_contributions();
    const bool too_much = missing.size() > challenges_allowed();
    if (missing.size() > part_limit) missing.resize(part_limit);
    (too_much ? mine.given_up : mine.missing) = std::move(missing);
  }
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    Reduction& reduction = reductions_[j];
    if (reduction.reducer != self_ || (again && !reduction.is_due_again())) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    ReduceJob job = reduce_job(j);
    if (job.contributions.size() < reduction.contributors.size()) continue;
    auto result = co_await net::offload(scheduler_, [job = std::move(job)] { return job.run(); });
    if (result && setup_.misconduct != nullptr) {
      Buffer changed = Buffer::copy_of(*result->bytes);
      setup_.misconduct->on_result(setup_.round, ranges_[j], changed);
      result->hash = crypto::tree_hash(changed);
      result->bytes = std::make_shared<const Buffer>(std::move(changed));
    }
    std::optional<Digest> hash;
    if (result) {
      hash = result->hash;
      reduction.bytes = std::move(result->bytes);
    }
    mine.results.emplace_back(part, hash);
  }
  // Results leave while their hashes are agreed, but behind the message that has the hashes.
  bool sent = false;
  const net::Timer results = scheduler_.at(scheduler_.now(), [this, again, &sent] {
    sent = true;
    send_results(again);
  });
  const auto set = co_await agree(phase, 2 * setup_.rules->manifest.exchange_deadline(), mine.encode());
  if (!sent) send_results(again);
  read_results(set, again);
  // What is held as reduced here is what was agreed.
  for (const auto& [part, hash] : mine.results) {
    Reduction& reduction = reductions_[part.value()];
    if (reduction.hash != hash) reduction.bytes = nullptr;
  }
  lap("reduce");
}

void Round::send_results(bool again) {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    const Reduction& reduction = reductions_[j];
    if (reduction.reducer != self_ || !reduction.bytes || (again && !reduction.is_due_again())) continue;
    const PartKey result = key(PartKind::result, PartIndex(static_cast<std::uint32_t>(j)));
    for (std::size_t i = 0; i < alive_.size(); ++i) {
      const PeerId& member = alive_[in_turn(i, alive_.size())];
      if (member != self_) exchange_.send(member, result, reduction.bytes);
    }
  }
}

// Only when nothing is left of the round that has a deadline: names cost nothing, and must not take the line
// from those that vote.
void Round::send_results_to_followers() {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    const Reduction& reduction = reductions_[j];
    if (reduction.reducer != self_ || !reduction.hash || !reduction.bytes) continue;
    const PartKey result = key(PartKind::result, PartIndex(static_cast<std::uint32_t>(j)));
    for (std::size_t i = 0; i < followers_.size(); ++i)
      exchange_.send(followers_[in_turn(i, followers_.size())], result, reduction.bytes);
  }
}

void Round::read_results(const AgreedBroadcast::MessageSet& set, bool again) {
  std::vector<bool> published(reductions_.size(), false);
  std::map<PeerId, std::vector<PartOf>> named;  // what authors miss of parts that they give up
  // Until SERVE those of all parts.
  const std::vector<PeerId> contributors = reductions_.front().contributors;
  const auto reduces = [this](const PeerId& author, PartIndex part) {
    return part.value() < reductions_.size() && reductions_[part.value()].reducer == author;
  };
  for (const auto& [author, message] : set) {
    const auto payload = ReducePayload::decode(message.payload);
    if (!payload || !fits(*payload, setup_.rules->manifest,
                          setup_.roster.greatest_hostile_count(setup_.rules->manifest.hostile_share))) {
      ban(evidence_of(Fault::malformed, message));
      continue;
    }
    const auto claim = std::make_shared<const swarm::PhaseMessage>(message);
    for (const auto& [part, hash] : payload->results) {
      if (!reduces(author, part)) continue;
      Reduction& reduction = reductions_[part.value()];
      if (again && !reduction.is_due_again()) continue;
      reduction.hash = hash;
      reduction.claim = claim;
      reduction.without_result = !hash;
      published[part.value()] = true;
    }
    named.emplace(author, payload->given_up);
    if (again) continue;
    for (const PartOf& entry : payload->missing) {
      // Only who contributes could answer. And nobody misses what is its own: to ask for that would cost a
      // phase, and no strike.
      const bool of_another =
          entry.member != author && std::ranges::binary_search(contributors, entry.member);
      if (!reduces(author, entry.part) || !of_another) continue;
      challenged_.insert(entry);
      Reduction& reduction = reductions_[entry.part.value()];
      reduction.challenged = true;
      reduction.hash = std::nullopt;
      reduction.without_result = false;
      published[entry.part.value()] = true;
    }
  }
  std::map<PeerId, std::set<std::size_t>> given_up;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    Reduction& reduction = reductions_[j];
    // Who took a part over may miss what nobody is asked for a second time.
    if (published[j] || (again && (!reduction.challenged || reduction.assigned_again))) continue;
    if (named.contains(reduction.reducer)) given_up[reduction.reducer].insert(j);
    if (!again) reduction.assigned_again = true;
  }
  for (const auto& [reducer, parts] : given_up) {
    // After SERVE nobody misses anything of what it challenged.
    const std::vector<PartOf> missed = again ? std::vector<PartOf>() : named.at(reducer);
    std::ranges::move(strikes_of_given_up(reducer, parts, missed, contributors, challenges_allowed()),
                      std::back_inserter(strikes_));
  }
}

// SERVE: agreed answers to the challenges; they settle C_j of the parts that these are of.
Task<void> Round::serve(const Prepared& prepared) {
  if (challenged_.empty()) co_return;
  AnswerPayload answer;
  for (const PartOf& entry : challenged_) {
    if (entry.member == self_) {
      answer.parts.emplace_back(entry, to_bytes(*prepared.parts[entry.part.value()]));
    }
  }
  const auto set = co_await agree(Phase::serve, setup_.rules->manifest.exchange_deadline(), answer.encode());
  Answers answers(set);
  for (const PartOf& entry : challenged_) {
    co_await read_contribution(entry, answers.of(entry.member));
    Reduction& reduction = reductions_[entry.part.value()];
    if (contributions_.contains(entry)) {
      strike_between(reduction.reducer, swarm::StrikeReason::answered_challenge, entry.member);
    } else {
      std::erase(reduction.contributors, entry.member);
      remove(entry.member, Fault::unserved);
    }
  }
  lap("serve");
}

// Parts that were given up, or whose reducer fell silent, go to the next member, once.
void Round::assign_again() {
  for (Reduction& reduction : reductions_) {
    if (reduction.challenged && !std::ranges::binary_search(alive_, reduction.reducer))
      reduction.assigned_again = true;
    if (!reduction.assigned_again) continue;
    reduction.bytes = nullptr;
    const auto next = next_reducer(order_, alive_, setup_.roster, reduction.reducer);
    if (next) {
      reduction.reducer = *next;
    } else {
      reduction.assigned_again = reduction.challenged = false;  // nobody left: the part is absent
    }
  }
}

// Of part j, with the contributions that this member holds.
ReduceJob Round::reduce_job(std::size_t j) const {
  ReduceJob job{.rules = setup_.rules,
                .state = setup_.state,
                .range = ranges_[j],
                .tau = tau_of(j),
                .hostile_count = setup_.roster.greatest_hostile_count(setup_.rules->manifest.hostile_share),
                .seed = aggregation_seed(setup_.rules->run, setup_.round, setup_.beacon),
                .spare = setup_.spare};
  for (const PeerId& member : reductions_[j].contributors) {
    const auto held = contributions_.find({PartIndex(static_cast<std::uint32_t>(j)), member});
    if (held != contributions_.end()) job.contributions.push_back(held->second);
  }
  return job;
}

// Once all parts are reduced nobody needs them any more, unless a result or a contribution may be disputed;
// their memory takes the reduced parts.
void Round::drop_contributions(Prepared& prepared) {
  if (setup_.rules->rule->solves_clipped_sum() || setup_.rules->manifest.validators > 0) return;
  if (std::ranges::any_of(reductions_, &Reduction::without_result)) return;
  prepared.parts.clear();
  contributions_.clear();
  checked_contributions_.clear();
  exchange_.drop(PartKind::contribution);
}

// GATHER: receive every reduced part and check its hash.
Task<void> Round::gather() {
  const auto complete = [this] {
    check_arrived_results();
    return results_complete();
  };
  co_await wait_for_parts(complete, anchor_ + setup_.rules->manifest.exchange_deadline());
  co_await checks_done();
  lap("gather");
  const bool all = std::ranges::all_of(reductions_, &Reduction::has_result);
  if (all && next_->preview() != nullptr) {
    // Counted from here: whoever is alone ends the round before the task has begun.
    ++checks_running_;
    checks_.spawn(hash_early());
  }
}

// The next state's digests, while coins and deviations are being agreed on: nearly always it stays what it
// is.
Task<void> Round::hash_early() {
  const auto next = next_;
  early_digests_ = co_await net::offload(scheduler_, [next] { return digests_of(*next->preview()); });
  hashed_early_ = next;
  --checks_running_;
  exchange_.arrived().pulse();
}

std::vector<swarm::PeerId> Round::reducers() const {
  std::vector<swarm::PeerId> all;
  for (const Reduction& reduction : reductions_) all.push_back(reduction.reducer);
  return all;
}

bool Round::may_challenge_results(const std::vector<PartOf>& missing) const {
  const swarm::Manifest& manifest = setup_.rules->manifest;
  return may_challenge(missing, reducers(), manifest.challenge_limit,
                       setup_.roster.greatest_hostile_count(manifest.hostile_share));
}

// Every member begins its list elsewhere: what several miss is asked for by one of them, and answers reach
// all.
std::vector<PartOf> Round::missing_results() const {
  std::vector<PartOf> missing;
  for (std::size_t i = 0; i < reductions_.size(); ++i) {
    const std::size_t j = in_turn(i, reductions_.size());
    if (!reductions_[j].hash || reductions_[j].decoded) continue;
    missing.push_back({PartIndex(static_cast<std::uint32_t>(j)), reductions_[j].reducer});
    if (may_challenge_results(missing)) continue;
    missing.pop_back();
    break;
  }
  return missing;
}

// Agreed answers to challenges of results, by part. A part that is not shown is absent, for everybody.
Task<Result<void>> Round::serve_results(const std::map<std::size_t, std::set<PeerId>>& challenged) {
  if (!challenged.empty()) {
    AnswerPayload answer;
    for (const auto& [j, challengers] : challenged) {
      if (reductions_[j].reducer == self_ && reductions_[j].bytes) {
        answer.parts.emplace_back(PartOf{PartIndex(static_cast<std::uint32_t>(j)), self_},
                                  to_bytes(*reductions_[j].bytes));
      }
    }
    const auto set =
        co_await agree(Phase::reveal_answer, setup_.rules->manifest.exchange_deadline(), answer.encode());
    Answers answers(set);
    for (const auto& [j, challengers] : challenged) {
      Reduction& reduction = reductions_[j];
      const PartOf entry{PartIndex(static_cast<std::uint32_t>(j)), reduction.reducer};
      const AnswerPayload* const given = answers.of(reduction.reducer);
      const Bytes* const found = given == nullptr ? nullptr : given->find(entry);
      const bool served = found != nullptr && crypto::tree_hash(*found) == *reduction.hash;
      if (served && !reduction.decoded) {
        co_await check_result(j, std::make_shared<const Buffer>(Buffer::copy_of(*found)), false);
      }
      if (!served) {
        remove(reduction.reducer, Fault::unserved);
        reduction.hash = std::nullopt;
        continue;
      }
      for (const PeerId& challenger : challengers)
        strike_between(challenger, swarm::StrikeReason::answered_challenge, reduction.reducer);
    }
    lap("gather");
  }
  // Too much was missing to make everybody send it again: this member follows the certificate.
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (reductions_[j].hash && !reductions_[j].decoded && !helpers_.contains(j))
      co_return fail(ErrorCode::not_found, "too many reduced parts did not arrive");
  }
  ban_malformed_results();
  co_return testudo::Result<void>{};
}

// A result that does not decode bans its reducer: it signed the hash.
void Round::ban_malformed_results() {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    Reduction& reduction = reductions_[j];
    if (!reduction.hash || !reduction.malformed) continue;
    swarm::Evidence evidence = evidence_of(Fault::malformed, *reduction.claim);
    evidence.part = static_cast<std::uint32_t>(j);
    evidence.show({swarm::Evidence::Kind::result, evidence.part, reduction.reducer}, *reduction.bytes);
    ban(std::move(evidence));
    reduction.hash = std::nullopt;
  }
}

bool Round::rests(const PeerId& member) const {
  const auto index = setup_.roster.index_of(member);
  return index && setup_.roster.members()[*index].rests;
}

// Who rests and misses a result is answered by one member that has it, in its own time, and not by a phase in
// which all wait: it may be one of those that slow rounds down.
void Round::help_resting() {
  for (const auto& [j, members] : missed_by_resting_) {
    std::vector<PeerId> others = alive_;
    std::erase(others, reductions_[j].reducer);
    for (const PeerId& member : members) {
      const auto helper = next_reducer(order_, others, setup_.roster, member);
      if (!helper) continue;
      if (member == self_) helpers_.emplace(j, *helper);
      if (*helper == self_ && reductions_[j].decoded) {
        exchange_.send(member, key(PartKind::result, PartIndex(static_cast<std::uint32_t>(j))),
                       reductions_[j].bytes);
      }
    }
  }
}

// Not before CHECK is agreed: what this member says there does not wait for what only it misses.
Task<Result<void>> Round::wait_for_help() {
  if (helpers_.empty() || lost_) co_return testudo::Result<void>{};
  const auto complete = [this] {
    check_arrived_results();
    return results_complete();
  };
  co_await wait_for_parts(complete, anchor_ + setup_.rules->manifest.exchange_deadline());
  co_await checks_done();
  ban_malformed_results();
  if (!results_complete()) co_return fail(ErrorCode::not_found, "nobody sent a reduced part that is missing");
  co_return testudo::Result<void>{};
}

// The optimizer's step with the reduced vector; absent parts are zero.
Task<StateDigests> Round::step(Result& result) {
  std::vector<PartRange> absent;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (!reductions_[j].hash) absent.push_back(ranges_[j]);
  }
  struct Stepped {
    std::shared_ptr<const TrainingState> state;
    StateDigests digests;
  };
  co_await checks_done();
  std::optional<StateDigests> known;
  if (absent.empty() && hashed_early_ == next_) known = early_digests_;
  auto stepped = co_await net::offload(scheduler_, [next = next_, absent = std::move(absent), known] {
    for (const PartRange& range : absent) next->leave_out(range);
    auto state = next->step();
    return Stepped{state, known ? *known : digests_of(*state)};
  });
  result.state = std::move(stepped.state);
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    result.reduced.push_back({ranges_[j], reductions_[j].hash ? reductions_[j].bytes : nullptr});
  }
  lap("step");
  co_return stepped.digests;
}

Task<std::optional<Round::Result>> Round::follow(swarm::Outcome outcome) {
  if (reductions_.size() != outcome.results.size()) co_return std::nullopt;
  if (!std::ranges::binary_search(followers_, self_)) co_return std::nullopt;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (outcome.results[j] != Digest{}) reductions_[j].hash = outcome.results[j];
  }
  const auto missing = [this] {
    return std::ranges::count_if(reductions_,
                                 [](const Reduction& entry) { return entry.hash && !entry.decoded; });
  };
  // Reducers send at the same time: with most of the results here, 2Δ are enough for the others. So those
  // that send nothing to members without a vote do not make them come late to the next round.
  const net::TimePoint last = scheduler_.now() + setup_.rules->manifest.exchange_deadline();
  net::TimePoint limit = last;
  while (missing() > 0 && scheduler_.now() < limit) {
    const auto more = [this, missing, before = missing()] {
      check_arrived_results();
      return missing() < before;
    };
    co_await wait_for_parts(more, limit);
    const bool most = 2 * static_cast<std::size_t>(missing()) < reductions_.size();
    if (most) limit = std::min(last, scheduler_.now() + 2 * setup_.rules->manifest.delta());
  }
  co_await checks_done();
  if (!results_complete() || std::ranges::any_of(reductions_, &Reduction::malformed)) co_return std::nullopt;
  Result result;
  const StateDigests digests = co_await step(result);
  if (digests.root != outcome.state) co_return std::nullopt;
  result.outcome = std::move(outcome);
  co_return result;
}

Task<void> Round::wait_for_parts(const std::function<bool()>& complete, net::TimePoint limit) {
  net::Timer timer = scheduler_.at(limit, [this] { exchange_.arrived().pulse(); });
  while (true) {
    const bool done = complete();
    if (done || scheduler_.now() >= limit) co_return;
    co_await exchange_.arrived().wait();
  }
}

Task<void> Round::checks_done() {
  while (checks_running_ > 0) co_await exchange_.arrived().wait();
}

void Round::check_arrived_contributions(bool again) {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (reductions_[j].reducer != self_ || (again && !reductions_[j].assigned_again)) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    for (const PeerId& member : reductions_[j].contributors) check_arrived_contribution({part, member});
  }
}

void Round::check_arrived_contribution(const PartOf& entry) {
  if (contributions_.contains(entry)) return;
  auto bytes = exchange_.find(key(PartKind::contribution, entry.part), entry.member);
  if (!bytes || checked_contributions_[entry] == bytes) return;
  checked_contributions_[entry] = bytes;
  checks_.spawn(check_contribution(entry, std::move(bytes)));
}

// However slow candidates are: nobody waits for what is theirs, but it is held for those that look at it, and
// who is never looked at has no vote.
Task<void> Round::collect_of_candidates() {
  while (!record_) {
    check_arrived_of_candidates();
    co_await exchange_.arrived().wait();
  }
}

void Round::check_arrived_of_candidates() {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (reductions_[j].reducer != self_) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    for (const PeerId& member : candidates_) {
      if (!commits_.at(member).parts.empty()) check_arrived_contribution({part, member});
    }
  }
}

bool Round::contributions_complete(bool again) const {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (reductions_[j].reducer != self_ || (again && !reductions_[j].assigned_again)) continue;
    for (const PeerId& member : reductions_[j].contributors) {
      if (!contributions_.contains({PartIndex(static_cast<std::uint32_t>(j)), member})) return false;
    }
  }
  return true;
}

// What an agreed answer shows of a contribution; null: there is none. What was agreed counts, whatever this
// member has.
Task<void> Round::read_contribution(PartOf entry, const AnswerPayload* answer) {
  contributions_.erase(entry);
  const Bytes* const found = answer == nullptr ? nullptr : answer->find(entry);
  if (found != nullptr) {
    co_await check_contribution(entry, std::make_shared<const Buffer>(Buffer::copy_of(*found)));
  }
}

// Bytes that match their hash and do not decode are challenged like missing ones: the answer shows everybody.
Task<void> Round::check_contribution(PartOf entry, Blob bytes) {
  const Digest committed = commits_.at(entry.member).parts[entry.part.value()];
  const std::size_t count = ranges_[entry.part.value()].size;
  const bool waited_for = setup_.roster.votes(entry.member);
  if (waited_for) ++checks_running_;
  const bool good = co_await net::offload(scheduler_, [rules = setup_.rules, bytes, committed, count] {
    return crypto::tree_hash(*bytes) == committed &&
           check_encoded(rules->codec, *bytes, count, rules->manifest.g_max).has_value();
  });
  if (waited_for) --checks_running_;
  if (good) contributions_[entry] = std::move(bytes);
  exchange_.arrived().pulse();
}

void Round::check_arrived_results() {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    const Reduction& reduction = reductions_[j];
    if (!reduction.hash || reduction.decoded) continue;
    const PartKey sent = key(PartKind::result, PartIndex(static_cast<std::uint32_t>(j)));
    const auto helper = helpers_.find(j);
    auto bytes = reduction.bytes;
    if (!bytes && helper != helpers_.end()) bytes = exchange_.find(sent, helper->second);
    if (!bytes) bytes = exchange_.find(sent, reduction.reducer);
    if (!bytes || checked_results_[j] == bytes) continue;
    checked_results_[j] = bytes;
    const bool ours = bytes == reduction.bytes;
    checks_.spawn(check_result(j, std::move(bytes), ours));
  }
}

bool Round::results_complete() const {
  return std::ranges::all_of(reductions_,
                             [](const Reduction& reduction) { return !reduction.hash || reduction.decoded; });
}

// `ours`: reduced here, and hashed then.
Task<void> Round::check_result(std::size_t part, Blob bytes, bool ours) {
  struct Found {
    bool same = false;
    bool malformed = false;
  };
  ++checks_running_;
  const auto found = co_await net::offload(
      scheduler_, [next = next_, range = ranges_[part], bytes, hash = *reductions_[part].hash, ours] {
        if (!ours && crypto::tree_hash(*bytes) != hash) return Found{};
        return Found{true, !next->place(range, *bytes)};
      });
  --checks_running_;
  if (found.same) {
    reductions_[part].bytes = std::move(bytes);
    reductions_[part].decoded = true;
    reductions_[part].malformed = found.malformed;
  }
  exchange_.arrived().pulse();
}

}  // namespace testudo::training
