// Contributions that others recompute: validators, what they say, and how a dispute about it ends.
#include <algorithm>
#include <limits>
#include <set>

#include "crypto/base/check.h"
#include "crypto/base/log.h"
#include "crypto/derive.h"
#include "crypto/merkle.h"
#include "net/async/combinators.h"
#include "training/round/round.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using net::Task;
using swarm::AgreedBroadcast;
using swarm::Fault;
using swarm::Phase;

namespace {

// A quorum may have needed hostile votes to open a dispute, and lack them to certify what comes of it.
// Only VOIDs that removed nobody with a vote count: one that did shows that a quorum certifies. (Attack: to
// withhold a coin in so many attempts, for a seat each, until what was found is forgotten.)
constexpr std::uint32_t voids_with_disputes = 3;

Sketch sketch_part(const RoundRules& rules, const Blob& bytes, std::size_t size, const Digest& seed) {
  return sketch_of(EncodedParts(rules.codec, size, rules.manifest.g_max, {*bytes}), seed);
}

}  // namespace

void Round::draw_validators() {
  validations_ = validations_of(setup_.rules->manifest, setup_.roster, setup_.rules->run, setup_.round,
                                setup_.fruitless_voids, setup_.beacon);
  if (!setup_.last) return;
  audits_ =
      audits_of(validations_, setup_.last->ranges.size(), setup_.rules->run, setup_.round, setup_.beacon);
  std::erase_if(audits_, [this](const Audit& audit) { return !senders_to(audit, false); });
}

// The target's contribution to the last round, if this member is a validator and can. Otherwise it
// contributes, as everybody.
Task<bool> Round::recompute() {
  const auto drawn = std::ranges::find(validations_, self_, &Validation::validator);
  if (drawn == validations_.end() || !setup_.last) co_return false;
  const RoundRecord& last = *setup_.last;
  if (!last.commitments.contains(drawn->target)) co_return false;
  auto encoded = co_await encode_contribution(
      {drawn->target, last.round, last.beacon, last.state, last.ranges, false}, next_->unused(), next_);
  if (!encoded) {
    log::error("round {}: validation: {}", setup_.round.value(), encoded.error().message);
    co_return false;
  }
  recomputed_ = std::move(*encoded);
  co_return true;
}

// COMMIT: the parts that this member reduced in the round before the last, of contributions that validators
// spoke about in the last.
Task<std::vector<Holding>> Round::sketch_held() const {
  std::vector<Holding> holdings;
  std::vector<Task<Sketch>> jobs;
  if (setup_.last && setup_.before_last) {
    const RoundRecord& before = *setup_.before_last;
    for (const auto& [validator, claim] : setup_.last->claims) {
      for (std::size_t j = 0; j < before.ranges.size() && holdings.size() < part_limit; ++j) {
        const PartIndex part(static_cast<std::uint32_t>(j));
        const auto held = before.held.find({part, claim.target});
        if (held == before.held.end()) continue;
        holdings.push_back({claim.target, part, {}});
        jobs.push_back(net::offload(
            scheduler_,
            [rules = setup_.rules, bytes = held->second, size = before.ranges[j].size,
             seed = statement_seed(setup_.rules->run, setup_.last->round, setup_.last->coins, claim.target,
                                   j)] { return sketch_part(*rules, bytes, size, seed); }));
      }
    }
  }
  const auto sketches = co_await net::when_all(scheduler_, std::move(jobs));
  for (std::size_t k = 0; k < sketches.size(); ++k) holdings[k].sketch = sketches[k];
  co_return holdings;
}

bool Round::is_same(const Encoded& computed, const RoundRecord::Commitment& committed) {
  return computed.samples == committed.samples &&
         std::ranges::equal(computed.parts, committed.parts, {}, &EncodedPart::hash);
}

// CHECK: whether the recomputed contribution is the committed one, and its sketches under this round's coins.
Task<std::optional<Statement>> Round::own_statement() {
  if (!recomputed_) co_return std::nullopt;
  const RoundRecord& last = *setup_.last;
  const PeerId target = std::ranges::find(validations_, self_, &Validation::validator)->target;
  const RoundRecord::Commitment& committed = last.commitments.at(target);
  Statement statement;
  statement.same = is_same(*recomputed_, committed);
  std::vector<Task<Sketch>> jobs;
  for (std::size_t j = 0; j < last.ranges.size(); ++j) {
    jobs.push_back(net::offload(
        scheduler_, [rules = setup_.rules, bytes = recomputed_->parts[j].bytes, size = last.ranges[j].size,
                     seed = statement_seed(setup_.rules->run, setup_.round, coins_, target, j)] {
          return sketch_part(*rules, bytes, size, seed);
        }));
  }
  statement.sketches = co_await net::when_all(scheduler_, std::move(jobs));
  co_return statement;
}

// The sketches that reducers gave of the target's parts in this COMMIT.
std::vector<std::optional<Sketch>> Round::shown_of(const RoundRecord::Claim& claim) const {
  const RoundRecord& before = *setup_.before_last;
  std::vector<std::optional<Sketch>> shown(before.ranges.size());
  for (std::size_t j = 0; j < shown.size(); ++j) {
    const auto commit = commits_.find(before.reducers[j]);
    if (commit == commits_.end()) continue;
    const Sketch* sketch =
        commit->second.find_holding(claim.target, PartIndex(static_cast<std::uint32_t>(j)));
    if (sketch != nullptr) shown[j] = *sketch;
  }
  return shown;
}

// Whose contributions were found as they should be, by validators that have earned their vote.
std::vector<swarm::PeerId> Round::find_right() const {
  std::vector<PeerId> right;
  if (!setup_.last || !setup_.before_last) return right;
  for (const auto& [validator, claim] : setup_.last->claims) {
    const auto index = setup_.roster.index_of(validator);
    if (!index || !setup_.roster.members()[*index].earned || !setup_.roster.contains(claim.target)) continue;
    if (!setup_.before_last->commitments.contains(claim.target)) continue;
    if (is_right(claim.statement, shown_of(claim), setup_.rules->manifest.recompute_tolerance))
      right.push_back(claim.target);
  }
  std::ranges::sort(right);
  right.erase(std::ranges::unique(right).begin(), right.end());
  return right;
}

// What the last round's validators said, against what the reducers hold: both are agreed, so that everybody
// with these records finds the same.
std::vector<Validation> Round::find_disputes() const {
  std::vector<Validation> found;
  if (!setup_.last || !setup_.before_last) return found;
  const RoundRecord& before = *setup_.before_last;
  for (const auto& [validator, claim] : setup_.last->claims) {
    // Seated or not: whoever gives up its seat when it hears that it is accused is judged all the same.
    if (setup_.roster.is_banned(validator) || setup_.roster.is_banned(claim.target)) continue;
    if (!before.commitments.contains(claim.target)) continue;
    if (is_disputed(claim.statement, shown_of(claim), setup_.rules->manifest.recompute_tolerance)) {
      found.push_back({validator, claim.target});
    }
  }
  // All that one reducer holds of them has to fit one answer, which is as large as a contribution.
  std::map<PeerId, std::size_t> values;
  for (std::size_t j = 0; j < before.ranges.size(); ++j) values[before.reducers[j]] += before.ranges[j].size;
  std::size_t room = std::min(dispute_limit, part_limit / before.ranges.size());
  for (const auto& [reducer, count] : values) {
    room = std::min(room, before.state->parameters().size() / count);
  }
  if (found.size() > room) {
    std::ranges::sort(found, {}, [this](const Validation& d) { return dispute_lot(coins_, d.validator); });
    found.resize(room);
  }
  std::ranges::sort(found);
  return found;
}

// What so many list that they can also certify what comes of it: members without the records cannot find it
// themselves, and a hostile few cannot make it up.
template <typename Dispute>
std::vector<Dispute> Round::adopted(const std::map<PeerId, std::vector<Dispute>>& listed,
                                    std::size_t limit) const {
  std::map<Dispute, std::vector<PeerId>> supporters;
  for (const auto& [member, disputes] : listed) {
    for (const Dispute& dispute : disputes) supporters[dispute].push_back(member);
  }
  std::vector<Dispute> found;
  for (const auto& [dispute, members] : supporters) {
    if (found.size() < limit && swarm::is_quorum(setup_.roster, alive_, members)) {
      found.push_back(dispute);
    }
  }
  return found;
}

void Round::adopt_findings(const std::map<PeerId, CheckPayload>& checks) {
  std::map<PeerId, std::vector<Validation>> contributions;
  std::map<PeerId, std::vector<Audit>> results;
  std::map<PeerId, std::vector<PeerId>> right;
  for (const auto& [member, check] : checks) {
    contributions.emplace(member, check.disputes);
    results.emplace(member, check.audits);
    right.emplace(member, check.right);
  }
  right_ = adopted(right, validation_limit);
  if (setup_.fruitless_voids >= voids_with_disputes) return;
  disputes_ = adopted(contributions, dispute_limit);
  disputed_audits_ = adopted(results, dispute_limit);
}

bool Round::has_records_of_disputes() const {
  return std::ranges::all_of(disputes_, [this](const Validation& dispute) {
    if (!setup_.last || !setup_.before_last) return false;
    const auto claim = setup_.last->claims.find(dispute.validator);
    return claim != setup_.last->claims.end() && claim->second.target == dispute.target &&
           setup_.before_last->commitments.contains(dispute.target);
  });
}

// EVIDENCE: what this member can show of disputed contributions: its own; as a reducer, what it got.
AnswerPayload::Parts Round::earlier_parts(bool as_reducer) const {
  AnswerPayload::Parts parts;
  if (!setup_.before_last) return parts;
  const RoundRecord& before = *setup_.before_last;
  for (const Validation& dispute : disputes_) {
    for (std::size_t j = 0; j < before.ranges.size(); ++j) {
      const PartOf entry{PartIndex(static_cast<std::uint32_t>(j)), dispute.target};
      if (as_reducer) {
        const auto held = before.held.find(entry);
        if (held != before.held.end() && !earlier_.contains(entry)) {
          parts.emplace_back(entry, to_bytes(*held->second));
        }
      } else if (dispute.target == self_ && j < before.own.size()) {
        parts.emplace_back(entry, to_bytes(*before.own[j]));
      }
    }
  }
  return parts;
}

Task<void> Round::read_earlier(Answers& answers, bool as_reducer) {
  if (disputes_.empty() || !has_records_of_disputes()) co_return;
  const RoundRecord& before = *setup_.before_last;
  for (const Validation& dispute : disputes_) {
    const RoundRecord::Commitment& committed = before.commitments.at(dispute.target);
    for (std::size_t j = 0; j < before.ranges.size(); ++j) {
      const PartOf entry{PartIndex(static_cast<std::uint32_t>(j)), dispute.target};
      if (earlier_.contains(entry)) continue;
      const AnswerPayload* const answer = answers.of(as_reducer ? before.reducers[j] : dispute.target);
      const Bytes* const found = answer == nullptr ? nullptr : answer->find_earlier(entry);
      if (found == nullptr) continue;
      auto bytes = std::make_shared<const Buffer>(Buffer::copy_of(*found));
      const bool good = co_await net::offload(
          scheduler_, [rules = setup_.rules, bytes, hash = committed.parts[j], size = before.ranges[j].size] {
            return crypto::tree_hash(*bytes) == hash &&
                   check_encoded(rules->codec, *bytes, size, rules->manifest.g_max).has_value();
          });
      if (good) earlier_.emplace(entry, std::move(bytes));
    }
    // An author that was restarted has nothing to show any more: where reducers cannot show it either, it
    // loses its seat; so does a reducer that gave a sketch of a part and does not show that. What is shown is
    // judged all the same.
    if (!as_reducer) continue;
    if (!is_shown(dispute.target)) remove(dispute.target, Fault::unserved);
    for (std::size_t j = 0; j < before.ranges.size(); ++j) {
      const PartOf entry{PartIndex(static_cast<std::uint32_t>(j)), dispute.target};
      const auto commit = commits_.find(before.reducers[j]);
      const bool held = commit != commits_.end() && commit->second.find_holding(entry.member, entry.part);
      if (held && !earlier_.contains(entry)) remove(commit->first, Fault::unserved);
    }
  }
}

// Sketches that the shown bytes do not give ban who claimed them. True: the bytes settle the dispute, and
// nothing has to be measured. They refute the statement, or they bear it out: a reducer that showed a wrong
// sketch makes a dispute of what no validator said.
Task<bool> Round::judge_claims(const Validation& dispute) {
  const RoundRecord& before = *setup_.before_last;
  const RoundRecord::Claim& claim = setup_.last->claims.at(dispute.validator);
  std::vector<std::optional<Sketch>> given(before.ranges.size());
  const auto evidence = [&](const swarm::PhaseMessage& message, const PartOf* wrong) {
    swarm::Evidence found = evidence_of(Fault::wrong_sketch, message);
    found.messages.push_back(*before.commitments.at(dispute.target).message);
    if (wrong != nullptr) {
      found.part = wrong->part.value();
      found.show({swarm::Evidence::Kind::contribution, found.part, wrong->member}, *earlier_.at(*wrong));
    }
    return found;
  };
  for (std::size_t j = 0; j < before.ranges.size(); ++j) {
    const PartIndex part(static_cast<std::uint32_t>(j));
    const auto shown = earlier_.find({part, dispute.target});
    if (shown == earlier_.end()) continue;
    const Sketch right = co_await net::offload(
        scheduler_,
        [rules = setup_.rules, bytes = shown->second, size = before.ranges[j].size,
         seed = statement_seed(setup_.rules->run, setup_.last->round, setup_.last->coins, dispute.target,
                               j)] { return sketch_part(*rules, bytes, size, seed); });
    const auto commit = commits_.find(before.reducers[j]);
    const Sketch* held =
        commit == commits_.end() ? nullptr : commit->second.find_holding(dispute.target, part);
    if (held != nullptr && *held != right) {
      ban(evidence(*commit_messages_.at(commit->first), &shown->first));
    }
    given[j] = right;
  }
  const bool borne_out = !is_disputed(claim.statement, given, setup_.rules->manifest.recompute_tolerance);
  if (claim.statement.same && !borne_out) {
    const auto& said = claim.statement.sketches;
    std::optional<PartOf> wrong;
    for (std::size_t j = 0; j < given.size() && said.size() == given.size() && !wrong; ++j) {
      if (given[j] && said[j] != *given[j])
        wrong = {PartIndex(static_cast<std::uint32_t>(j)), dispute.target};
    }
    ban(evidence(*claim.message, wrong ? &*wrong : nullptr));
  }
  if (claim.statement.same) co_return true;
  for (std::size_t j = 0; j < given.size(); ++j) {
    if (!given[j]) given[j] = own_word(dispute.target, j);
  }
  co_return !is_disputed(claim.statement, given, setup_.rules->manifest.recompute_tolerance);
}

bool Round::is_shown(const PeerId& target) const {
  const std::size_t parts = setup_.before_last->ranges.size();
  for (std::size_t j = 0; j < parts; ++j) {
    if (!earlier_.contains({PartIndex(static_cast<std::uint32_t>(j)), target})) return false;
  }
  return true;
}

// The sketch that a target gave of its own part j, which it reduced itself: nobody else can show that part,
// and what it said of it in COMMIT counts when it does not.
std::optional<Sketch> Round::own_word(const PeerId& target, std::size_t j) const {
  if (setup_.before_last->reducers[j] != target) return std::nullopt;
  const auto commit = commits_.find(target);
  if (commit == commits_.end()) return std::nullopt;
  const Sketch* const said = commit->second.find_holding(target, PartIndex(static_cast<std::uint32_t>(j)));
  return said == nullptr ? std::nullopt : std::optional<Sketch>(*said);
}

// How far the target's contribution is from what this member computes in its place; of parts that nobody
// showed, what its own sketch says, or nothing, so that it is at least that far as a whole.
Task<std::optional<double>> Round::measure(PeerId target) {
  const RoundRecord& before = *setup_.before_last;
  const RoundRecord::Commitment& committed = before.commitments.at(target);
  const double tolerance = setup_.rules->manifest.recompute_tolerance;
  const auto memory = std::make_shared<std::vector<float>>(before.state->parameters().size());
  auto encoded = co_await encode_contribution(
      {target, before.round, before.beacon, before.state, before.ranges, false}, *memory, memory);
  if (!encoded) {
    log::error("round {}: a dispute that this member cannot measure: {}", setup_.round.value(),
               encoded.error().message);
    co_return std::nullopt;
  }
  if (is_same(*encoded, committed)) co_return 0;
  // Another number of samples is another contribution, whatever its values. Where honest computers compute
  // the same bits, so are other bytes of the same values: a validator that says so is right.
  if (encoded->samples != committed.samples || tolerance == 0) co_return std::numeric_limits<double>::max();
  RelativeDistance distance;
  for (std::size_t j = 0; j < before.ranges.size(); ++j) {
    const auto found = earlier_.find({PartIndex(static_cast<std::uint32_t>(j)), target});
    struct Lengths {
      double difference = 0;
      double own = 0;
    };
    const auto lengths = co_await net::offload(
        scheduler_,
        [rules = setup_.rules, own = encoded->parts[j].bytes,
         shown = found == earlier_.end() ? Blob() : found->second, size = before.ranges[j].size,
         said = own_word(target, j),
         seed = statement_seed(setup_.rules->run, setup_.last->round, setup_.last->coins, target, j)] {
          const EncodedParts part(rules->codec, size, rules->manifest.g_max, {*own});
          Lengths measured{0, distance_from(part, {})};
          // A sketch is κ times as long only by bad luck, which must not be its owner's.
          if (!shown && said)
            measured.difference = sketch_distance(*said, sketch_of(part, seed)) / sketch_slack;
          if (!shown) return measured;
          std::vector<float> values(size);
          const auto decoded = decode(rules->codec, *shown, values, rules->manifest.g_max);
          TESTUDO_CHECK(decoded.has_value());  // check_encoded() accepted it
          measured.difference = distance_from(part, values);
          return measured;
        });
    distance.add(lengths.difference * lengths.difference, lengths.own * lengths.own);
  }
  co_return distance.value();
}

// MEASURE: everybody with the records computes what the target should have, and most of them decide.
Task<Result<void>> Round::judge_contributions() {
  const bool able = has_records_of_disputes();
  MeasurePayload mine;
  std::set<PeerId> measured;
  for (const Validation& dispute : disputes_) {
    if (!able || co_await judge_claims(dispute)) continue;
    const auto distance = co_await measure(dispute.target);
    if (distance && measured.insert(dispute.target).second) {
      mine.distances.emplace_back(dispute.target, *distance);
    }
  }
  // One contribution after the other: as much time as for each in COMMIT.
  const auto until = setup_.rules->manifest.compute_deadline() * static_cast<std::int64_t>(disputes_.size());
  const auto set = co_await agree(Phase::measure, until, mine.encode());
  std::map<PeerId, MeasurePayload> payloads;
  for (const auto& [author, message] : set) {
    auto payload = MeasurePayload::decode(message.payload);
    if (!payload) {
      ban(evidence_of(Fault::malformed, message));
      continue;
    }
    payloads.emplace(author, std::move(*payload));
  }
  if (!able)
    co_return fail(ErrorCode::not_found, "this member was not there when what is disputed was committed");
  for (const Validation& dispute : disputes_) {
    const RoundRecord::Claim& claim = setup_.last->claims.at(dispute.validator);
    if (claim.statement.same) continue;
    std::vector<std::pair<PeerId, double>> measures;
    for (const auto& [member, payload] : payloads) {
      const auto distance = payload.find(dispute.target);
      if (distance) measures.emplace_back(member, *distance);
    }
    const auto is_quorum = [this](const std::vector<PeerId>& members) {
      return swarm::is_quorum(setup_.roster, alive_, members);
    };
    const double tolerance = setup_.rules->manifest.recompute_tolerance;
    const bool whole = tolerance == 0 || is_shown(dispute.target);
    switch (judge_measures(measures, tolerance, whole, is_quorum)) {
      case Verdict::wrong_contribution:
        ban(recomputed_evidence(Fault::wrong_contribution, dispute, set));
        break;
      case Verdict::false_accusation:
        ban(recomputed_evidence(Fault::false_accusation, dispute, set));
        break;
      case Verdict::undecided:
        log::warn("round {}: the dispute about {}'s contribution stays undecided", setup_.round.value(),
                  dispute.target.to_text());
        strike_between(dispute.validator, swarm::StrikeReason::undecided_dispute, dispute.target);
        break;
    }
  }
  co_return testudo::Result<void>{};
}

// For the validators of the next round, and for disputes of the one after.
std::shared_ptr<const RoundRecord> Round::make_record(const Prepared& prepared) const {
  auto record = std::make_shared<RoundRecord>();
  record->round = setup_.round;
  record->beacon = setup_.beacon;
  record->state = setup_.state;
  record->ranges = ranges_;
  record->hostile_count = setup_.roster.greatest_hostile_count(setup_.rules->manifest.hostile_share);
  record->commits = commit_messages_;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    const Reduction& reduction = reductions_[j];
    record->reducers.push_back(reduction.reducer);
    record->reduced.push_back(reduction.hash.has_value());
    auto& result = record->results.emplace_back();
    if (!reduction.has_result() || std::ranges::binary_search(disputed_, j)) continue;
    result = RoundRecord::Published{reduction.contributors, tau_of(j), *reduction.hash, reduction.claim};
  }
  for (const auto& [member, commit] : commits_) {
    if (commit.parts.empty()) continue;
    record->commitments.emplace(
        member, RoundRecord::Commitment{commit.parts, commit.samples, commit_messages_.at(member)});
  }
  record->own = prepared.parts;
  for (const auto& [entry, bytes] : contributions_) {
    if (reductions_[entry.part.value()].reducer == self_) record->held.emplace(entry, bytes);
  }
  record->coins = coins_;
  record->claims = claims_;
  record->audits = audits_said_;
  record->audited_reducers_own = audited_reducers_own();
  return record;
}

}  // namespace testudo::training
