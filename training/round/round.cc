#include "training/round/round.h"

#include <algorithm>
#include <cmath>

#include "crypto/base/log.h"
#include "crypto/derive.h"
#include "crypto/merkle.h"
#include "net/async/combinators.h"
#include "swarm/ballot.h"
#include "training/checks/sketch.h"
#include "training/round/round_rules.h"
#include "training/round/strike_rules.h"

namespace testudo::training {

using net::Task;
using swarm::AgreedBroadcast;
using swarm::Fault;
using swarm::OutcomeKind;
using swarm::Phase;

namespace {

std::vector<swarm::PeerId> authors(const AgreedBroadcast::MessageSet& set) {
  std::vector<swarm::PeerId> ids;
  for (const auto& [author, message] : set) ids.push_back(author);
  return ids;
}

Digest batch_seed(const swarm::RunId& run, swarm::RoundNumber round, const Digest& beacon,
                  const swarm::PeerId& member) {
  return crypto::derive_seed("testudo/batch/1", run, round.value(), 0, beacon, member);
}

Error lost_touch() {
  return {ErrorCode::timeout, "the others agreed without this member: its messages came too late"};
}

}  // namespace

Result<Round::EncodedPart> Round::encode_part(const RoundRules& rules, const TrainingState& state,
                                              std::span<const float> gradient, const PartRange& range,
                                              bool with_distance,
                                              const std::shared_ptr<SpareBuffers>& spare) {
  const auto values = gradient.subspan(range.begin, range.size);
  Buffer bytes = take_buffer(spare, encoded_size(rules.codec, values.size()));
  auto encoded = encode_into(rules.codec, values, bytes, rules.manifest.g_max);
  if (!encoded && encoded.error().code == ErrorCode::limit) {
    return fail(ErrorCode::limit, "the gradient holds values beyond g_max: the model has diverged");
  }
  if (!encoded) return fail(std::move(encoded).error());
  EncodedPart part;
  part.hash = crypto::tree_hash(bytes);
  if (with_distance) {
    std::span<const float> start = state.aggregate();
    if (!start.empty()) start = start.subspan(range.begin, range.size);
    part.distance =
        distance_from(EncodedParts(rules.codec, range.size, rules.manifest.g_max, {bytes}), start);
  }
  part.bytes = share(std::move(bytes), spare);
  return part;
}

Round::Round(net::Scheduler& scheduler, PeerId self, Setup setup, std::shared_ptr<Model> model,
             swarm::Broadcaster& broadcaster, PartExchange& exchange)
    : scheduler_(scheduler),
      setup_(std::move(setup)),
      model_(std::move(model)),
      broadcaster_(broadcaster),
      exchange_(exchange),
      self_(std::move(self)),
      anchor_(scheduler.now()),
      lap_start_(scheduler.now()),
      checks_(scheduler) {
  for (const auto& member : setup_.roster.members()) alive_.push_back(member.id);
}

Task<Result<Round::Result>> Round::run() {
  const swarm::Manifest& manifest = setup_.rules->manifest;
  const Digest lot = partition_lot(setup_.rules->run, setup_.round, setup_.attempt, setup_.beacon);
  auto ranges = partition_of(setup_.roster, setup_.state->parameters().size(), lot);
  if (!ranges) co_return fail(std::move(ranges).error());
  ranges_ = std::move(*ranges);
  for (std::uint32_t index : permuted_order(lot, setup_.roster.size())) {
    order_.push_back(setup_.roster.members()[index].id);
  }

  next_ = std::make_shared<NextState>(setup_.rules, setup_.state, setup_.spare);
  draw_validators();
  send_audited(false);
  auto prepared = co_await compute();
  if (!prepared) co_return fail(std::move(prepared).error());
  co_await agree_on_contributions(*prepared);
  if (lost_) co_return fail(lost_touch());
  send_audited(true);
  Result result;
  result.contributors = static_cast<std::size_t>(
      std::ranges::count_if(alive_, [this](const PeerId& id) { return !commits_.at(id).parts.empty(); }));
  if (!setup_.roster.votes(self_)) {
    co_await scatter(*prepared, false);
    co_return result;
  }
  if (!candidates_.empty()) checks_.spawn(collect_of_candidates());
  const std::size_t hostile = setup_.roster.greatest_hostile_count(manifest.hostile_share);
  const auto votes = static_cast<std::size_t>(setup_.roster.total_weight());
  const bool applicable = may_apply(votes, hostile, votes - result.contributors);
  if (!applicable) remove_idle(hostile);
  if (!founders_suffice() || !applicable) {
    result.outcome = make_outcome(OutcomeKind::voided);
    for (auto& [peer, evidence] : evidence_) result.evidence.push_back(std::move(evidence));
    co_return result;
  }

  co_await scatter(*prepared, false);
  co_await reduce(Phase::reduce);
  co_await serve(*prepared);
  if (lost_) co_return fail(lost_touch());
  assign_again();
  if (std::ranges::any_of(reductions_, &Reduction::is_due_again)) {
    co_await scatter(*prepared, true);
    co_await reduce(Phase::reduce_again);
  }
  drop_contributions(*prepared);
  if (lost_) co_return fail(lost_touch());
  co_await gather();
  const auto revealed = co_await reveal();
  if (lost_) co_return fail(lost_touch());
  if (!revealed) co_return fail(revealed.error());
  if (*revealed) {
    auto checked = co_await check(*prepared);
    if (lost_) co_return fail(lost_touch());
    if (manifest.validators > 0) record_ = make_record(*prepared);
    if (!checked) co_return fail(std::move(checked).error());
    auto settled = co_await settle(*prepared);
    if (lost_) co_return fail(lost_touch());
    if (!settled) co_return fail(std::move(settled).error());
  }
  // Whoever knew the other coins and withheld its own must not have had a choice: all coins are drawn again.
  if (!*revealed || !founders_suffice()) {
    result.outcome = make_outcome(OutcomeKind::voided);
    for (auto& [peer, evidence] : evidence_) result.evidence.push_back(std::move(evidence));
    co_return result;
  }
  send_results_to_followers();
  const StateDigests digests = co_await step(result);
  result.outcome = make_outcome(OutcomeKind::apply);
  result.outcome.state = digests.root;
  result.outcome.parameters = digests.parameters;
  for (auto& [peer, evidence] : evidence_) result.evidence.push_back(std::move(evidence));
  co_return result;
}

// For misconduct alone.
ContributionView Round::view_of(const Batch& batch) const {
  ContributionView view{
      .round = batch.round,
      .self = self_,
      .contributors = {},
      .ranges = batch.ranges,
      .reduces = {},
      .parameters = batch.state->parameters(),
      .samples = setup_.rules->manifest.samples,
      .batch_of = [rules = setup_.rules, round = batch.round, beacon = batch.beacon](
                      const PeerId& member) { return batch_seed(rules->run, round, beacon, member); },
      .model = *model_};
  for (const auto& member : setup_.roster.members()) {
    const bool validates =
        std::ranges::find(validations_, member.id, &Validation::validator) != validations_.end();
    if (!validates || member.id == self_) view.contributors.push_back(member.id);
  }
  for (std::size_t j = 0; j < batch.ranges.size(); ++j) {
    if (setup_.roster.members()[batch.ranges[j].reducer].id == self_) view.reduces.push_back(j);
  }
  return view;
}

// A contribution, into `gradient`, which `memory` keeps alive; then its parts, each a job of its own for the
// pool.
Task<Result<Round::Encoded>> Round::encode_contribution(Batch batch, std::span<float> gradient,
                                                        std::shared_ptr<const void> memory) {
  const Digest seed = batch_seed(setup_.rules->run, batch.round, batch.beacon, batch.member);
  Misconduct* const misconduct = batch.own ? setup_.misconduct : nullptr;
  std::optional<ContributionView> view;
  if (misconduct != nullptr) view.emplace(view_of(batch));
  const auto contribution = co_await net::offload(
      scheduler_,
      [model = model_, rules = setup_.rules, state = batch.state, gradient, memory, seed, misconduct,
       view = std::move(view)]() -> testudo::Result<Contribution> {
        auto made = model->contribution(state->parameters(), seed, rules->manifest.samples, gradient);
        if (made && view) misconduct->on_gradient(*view, gradient);
        return made;
      });
  if (!contribution) co_return fail(contribution.error());
  std::vector<Task<testudo::Result<EncodedPart>>> jobs;
  for (const PartRange& range : batch.ranges) {
    jobs.push_back(net::offload(
        scheduler_, [gradient, memory, rules = setup_.rules, state = batch.state, spare = setup_.spare, range,
                     far = batch.own && has_distances(*setup_.rules)] {
          return encode_part(*rules, *state, gradient, range, far, spare);
        }));
  }
  auto encoded = co_await net::when_all(scheduler_, std::move(jobs));
  Encoded out{contribution->samples, contribution->loss, {}};
  for (auto& part : encoded) {
    if (!part) co_return fail(std::move(part).error());
    out.parts.push_back(std::move(*part));
  }
  co_return out;
}

Task<Result<Round::Prepared>> Round::contribute() {
  auto encoded = co_await encode_contribution(
      {self_, setup_.round, setup_.beacon, setup_.state, ranges_, true}, next_->unused(), next_);
  if (!encoded) co_return fail(std::move(encoded).error());
  Prepared prepared;
  for (EncodedPart& part : encoded->parts) {
    prepared.commit.parts.push_back(part.hash);
    if (has_distances(*setup_.rules)) prepared.commit.distances.push_back(part.distance);
    prepared.parts.push_back(std::move(part.bytes));
  }
  prepared.commit.samples = encoded->samples;
  prepared.commit.loss = std::isfinite(encoded->loss) ? encoded->loss : 0;
  co_return prepared;
}

// COMPUTE: the contribution on the batches that the beacon named, encoded per part; or, of a validator, its
// target's to the last round.
Task<Result<Round::Prepared>> Round::compute() {
  const bool validates = co_await recompute();
  auto prepared = validates ? testudo::Result<Prepared>(Prepared{}) : co_await contribute();
  if (!prepared) {
    // Without a contribution this member still reduces, serves and signs.
    log::error("round {}: no contribution: {}", setup_.round.value(), prepared.error().message);
    prepared = Prepared{};
  }
  prepared->commit.coin = crypto::commit(self_, setup_.round.value(), setup_.attempt.value(), setup_.opening);
  prepared->commit.applications = setup_.applications;
  prepared->commit.accusations = setup_.accusations;
  prepared->commit.marks = setup_.marks;
  prepared->commit.holdings = co_await sketch_held();
  lap("compute");
  co_return prepared;
}

// COMMIT: agreed hashes of all encoded parts. Whoever is not in the agreed set sits out and loses its seat.
Task<void> Round::agree_on_contributions(Prepared& prepared) {
  // Who comes late has no more time than the others: with a T of its own it would agree on other sets.
  if (setup_.others_entered) {
    const net::TimePoint entered = co_await setup_.others_entered();
    anchor_ = std::min(anchor_, entered);
  }
  auto set =
      co_await agree(Phase::commit, setup_.rules->manifest.compute_deadline(), prepared.commit.encode());
  for (const auto& member : setup_.roster.members()) {
    const auto found = set.find(member.id);
    if (found == set.end()) {
      remove(member.id, Fault::absent);
      continue;
    }
    auto commit = CommitPayload::decode(found->second.payload);
    if (!commit || !fits(*commit, *setup_.rules, ranges_.size())) {
      ban(evidence_of(Fault::malformed, found->second));
      continue;
    }
    commits_.emplace(member.id, std::move(*commit));
    commit_messages_.emplace(member.id,
                             std::make_shared<const swarm::PhaseMessage>(std::move(found->second)));
  }
  strikes_ = strikes_of_marks(setup_.roster, commits_);
  if (setup_.last && setup_.before_last) {
    marks_.merge(silent_reducers(setup_.roster, commits_, *setup_.last, *setup_.before_last));
  }
  present_ = alive_;
  std::erase_if(present_, [this](const PeerId& id) { return !commits_.contains(id); });
  for (const auto& [member, commit] : commits_) {
    for (const auto& accusation : commit.accusations) {
      if (setup_.roster.may_be_banned(accusation.offender) && accusation.verify(setup_.rules->run)) {
        ban(evidence_of(accusation));
      }
    }
  }
  std::erase_if(alive_, [this](const PeerId& id) { return removed_.contains(id); });
  lost_ = lost_ || !std::ranges::binary_search(alive_, self_);
  // From here on it is between members with a vote. Of the others those stay that worked: names cost nothing,
  // and seats are few.
  for (const PeerId& member : alive_) {
    if (setup_.roster.votes(member)) continue;
    if (commits_.at(member).parts.empty()) {
      remove(member, Fault::absent);
    } else {
      candidates_.push_back(member);
    }
  }
  std::erase_if(alive_, [this](const PeerId& id) { return !setup_.roster.votes(id); });
  followers_ = drawn_followers(candidates_, alive_.size(), setup_.beacon);
  for (std::size_t j = 0; j < ranges_.size(); ++j) {
    Reduction reduction;
    reduction.reducer = setup_.roster.members()[ranges_[j].reducer].id;
    if (!std::ranges::binary_search(alive_, reduction.reducer)) {
      const auto next = next_reducer(order_, alive_, setup_.roster, reduction.reducer);
      if (next) reduction.reducer = *next;
    }
    for (const PeerId& member : alive_) {
      if (!commits_.at(member).parts.empty()) reduction.contributors.push_back(member);
    }
    reductions_.push_back(std::move(reduction));
  }
  lap("commit");
}

swarm::Outcome Round::make_outcome(OutcomeKind kind) const {
  swarm::Outcome outcome =
      swarm::plain_void(setup_.rules->run, setup_.round, setup_.attempt, setup_.previous);
  outcome.kind = kind;
  // Without the founders nothing can be certified but a plain VOID, the same for those who saw nothing at
  // all.
  if (kind == OutcomeKind::voided && !founders_suffice()) return outcome;
  outcome.present = present_;
  for (const auto& [peer, removal] : removed_) outcome.removed.push_back(removal);
  outcome.strikes = drawn_strikes(strikes_, removed_, setup_.beacon);
  if (kind == OutcomeKind::voided) return outcome;

  for (const Reduction& reduction : reductions_) outcome.results.push_back(reduction.hash.value_or(Digest{}));
  outcome.admitted = admissions(setup_.roster, commits_, setup_.rules->manifest.growth_cap,
                                setup_.rules->manifest.group_max, setup_.beacon);
  std::erase_if(outcome.admitted, [this](const swarm::Admission& admission) {
    return removed_.contains(admission.peer);  // banned, without a seat
  });
  outcome.coins = coins_;
  outcome.deviation = deviation_;
  for (const PeerId& member : present_) {
    if (commits_.at(member).parts.empty() && !claims_.contains(member)) outcome.idle.push_back(member);
  }
  for (const PeerId& member : right_) {
    if (setup_.roster.contains(member) && !removed_.contains(member)) outcome.audited.push_back(member);
  }
  double loss = 0;
  for (const auto& [member, commit] : commits_) {
    if (commit.parts.empty() || !setup_.roster.votes(member)) continue;
    outcome.samples += commit.samples;
    loss += static_cast<double>(commit.loss) * commit.samples;
  }
  if (outcome.samples > 0) outcome.loss = static_cast<float>(loss / static_cast<double>(outcome.samples));
  return outcome;
}

// One agreed broadcast among the previous agreed set; whoever is silent in it is out of the next.
Task<AgreedBroadcast::MessageSet> Round::agree(Phase phase, net::Duration until_deadline, Bytes payload) {
  if (lost_) co_return AgreedBroadcast::MessageSet{};
  const swarm::Manifest& manifest = setup_.rules->manifest;
  AgreedBroadcast::Setup setup;
  setup.run = setup_.rules->run;
  setup.key = {setup_.round, setup_.attempt, phase};
  setup.expected = alive_;
  for (const PeerId& id : alive_) {
    if (setup_.roster.votes(id)) setup.voters.insert(id);
    const auto index = setup_.roster.index_of(id);
    if (index && setup_.roster.members()[*index].client_mode) setup.unreachable.insert(id);
  }
  setup.hostile_count = setup_.roster.greatest_hostile_count(manifest.hostile_share);
  setup.deadline = anchor_ + until_deadline;
  setup.delta = manifest.delta();
  setup.max_payload = max_payload(manifest, phase);
  if (setup_.misconduct != nullptr) setup_.misconduct->on_payload(setup.key, payload);
  const bool late = scheduler_.now() > setup.deadline;
  auto set = co_await broadcaster_.agree(std::move(setup), std::move(payload));
  note_lateness();
  for (const PeerId& member : alive_) {
    if (!set.contains(member) && phase != Phase::commit) remove(member, Fault::silent);
  }
  for (const PeerId& liar : broadcaster_.contradicted()) {
    ban(evidence_of(broadcaster_.equivocations().at(liar)));
  }
  alive_ = authors(set);
  anchor_ = scheduler_.now();
  // What this member sent after the deadline counts here only; and whom it slept through, it cannot blame.
  lost_ = !set.contains(self_) || broadcaster_.overslept() || (late && !broadcaster_.fast());
  co_return set;
}

void Round::remove(const PeerId& peer, Fault fault) {
  if (!setup_.roster.contains(peer)) return;                         // it gave its seat up before
  if (fault != Fault::absent && !setup_.roster.votes(peer)) return;  // nobody asks it after COMMIT
  removed_.try_emplace(peer, swarm::Removal{peer, fault, {}});  // a ban stays, and so does the first reason
}

void Round::strike_between(const PeerId& peer, swarm::StrikeReason reason, const PeerId& other) {
  if (!setup_.roster.votes(peer) || !setup_.roster.votes(other)) return;
  strikes_.push_back({peer, reason, other});
}

void Round::note_lateness() {
  if (!tells_lateness(setup_.rules->manifest)) return;
  for (const PeerId& member : broadcaster_.late()) {
    if (setup_.roster.votes(member)) marks_.insert({swarm::StrikeReason::late, member});
  }
  for (const PeerId& member : broadcaster_.unconfirmed())
    marks_.insert({swarm::StrikeReason::unconfirmed, member});
}

// Who committed to no contribution, though it was not drawn to validate, and so left too few for the round to
// be applied: a few hostile members would void every attempt for nothing. When it is more than can be
// hostile, the model fails on honest ones, too, and a smaller roster would not help.
void Round::remove_idle(std::size_t hostile) {
  std::vector<PeerId> idle;
  for (const PeerId& member : alive_) {
    const bool validates =
        std::ranges::find(validations_, member, &Validation::validator) != validations_.end();
    if (commits_.at(member).parts.empty() && !validates) idle.push_back(member);
  }
  if (idle.size() > hostile) return;
  for (const PeerId& member : idle) remove(member, Fault::absent);
}

bool Round::founders_suffice() const {
  std::vector<PeerId> seated;
  for (const PeerId& member : alive_) {
    if (!removed_.contains(member)) seated.push_back(member);
  }
  return training::founders_suffice(setup_.roster, seated);
}

void Round::lap(const char* phase) {
  const net::TimePoint now = scheduler_.now();
  const double seconds = net::seconds(now - lap_start_);
  lap_start_ = now;
  const auto known = std::ranges::find(phases_, phase, &PhaseTime::phase);
  if (known != phases_.end()) {
    known->seconds += seconds;
  } else {
    phases_.push_back({phase, seconds});
  }
  if (setup_.on_phase_ended) setup_.on_phase_ended(phase);
}

}  // namespace testudo::training
