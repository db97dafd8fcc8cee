// Being behind: the ledger from others. Reports, and the end.

#include <algorithm>

#include "crypto/base/log.h"
#include "net/async/combinators.h"
#include "training/round/participant_impl.h"
#include "training/round/verify_evidence.h"

namespace testudo::training {

namespace {
// One a second, each of another member: who was there has the evidence.
constexpr std::size_t evidence_tries = 8;
// A long ledger comes in turns of so long; a donor that sends less in one is not asked again for a while.
constexpr net::Duration patience_for_a_ledger = 15s;
constexpr std::uint64_t certificates_due = 64;
// The few of who is hardly behind come sooner, from whoever is any good.
constexpr net::Duration patience_for_a_few = 3s;
}  // namespace

void Participant::Impl::distrust(const PeerId& liar) {
  Distrust& entry = distrusted_[liar];
  entry.time = std::clamp(2 * entry.time, distrust_time, longest_distrust);
  entry.until = scheduler_.now() + entry.time;
}

bool Participant::Impl::is_distrusted(const PeerId& peer) const {
  const auto found = distrusted_.find(peer);
  return found != distrusted_.end() && scheduler_.now() < found->second.until;
}

void Participant::Impl::claim_ahead(const PeerId& from, std::uint64_t height) {
  if (is_distrusted(from)) return;
  // A member's word comes first; a stranger's is of interest to who has nothing to lose by asking.
  const bool better =
      !ahead_ || (chain().roster().contains(from) && !chain().roster().contains(ahead_->from));
  if (better || (chain().roster().contains(from) && height > ahead_->height)) ahead_ = {from, height};
}

// What is still claimed: the ledger may have come as far meanwhile.
std::optional<Participant::Impl::Claim> Participant::Impl::take_claim() {
  auto claim = std::exchange(ahead_, std::nullopt);
  if (claim && (claim->height <= chain().height() || is_distrusted(claim->from))) return std::nullopt;
  return claim;
}

void Participant::Impl::ask_whoever_is_ahead() {
  if (asking_ || certificate_) return;
  const auto claim = take_claim();
  if (!claim) return;
  asking_ = true;
  tasks_.spawn(ask_for_certificate(*claim));
}

// During an attempt a claim ends nothing; the certificate itself does.
Task<void> Participant::Impl::ask_for_certificate(Claim claim) {
  const std::uint64_t height = chain().height();
  auto fetched = co_await swarm::fetch_certificates(host_, claim.from, run_, height);
  asking_ = false;
  if (!fetched || fetched->empty()) {
    distrust(claim.from);
    co_return;
  }
  const std::uint64_t shown = height + fetched->size();
  receive_certificate(claim.from, std::move(fetched->front()));
  // Certificates that continue nothing are claims again: nobody sends megabytes of them in a loop.
  if (chain().height() == height && !certificate_) {
    distrust(claim.from);
    co_return;
  }
  distrusted_.erase(claim.from);
  if (fetched->size() > 1) claim_ahead(claim.from, shown);  // the rest at once, when the attempt has ended
}

Task<void> Participant::Impl::follow(Claim claim) {
  const std::uint64_t height = chain().height();
  const Digest root_before = chain().state_root();
  const bool seated_before = seated();
  const net::TimePoint begun = scheduler_.now();
  // Whoever gives a certificate now and then must not keep this member from asking others: the next claim
  // goes on where this one ended.
  auto appended =
      co_await net::with_timeout(scheduler_, patience_for_a_ledger,
                                 swarm::catch_up(host_, claim.from, run_, *ledger_), "to send the ledger");
  if (!appended) log::warn("ledger from {}: {}", claim.from.to_text(), appended.error().message);
  const bool came_far = chain().height() >= height + certificates_due;
  const bool slow = scheduler_.now() - begun > patience_for_a_few;
  if (!came_far && (slow || !appended || chain().height() < claim.height)) {
    distrust(claim.from);
  } else {
    distrusted_.erase(claim.from);
  }
  followed_in_vain_ = chain().height() == height;
  if (followed_in_vain_) co_return;
  note_next_attempt(scheduler_.now());
  if (chain().roster().votes(self_)) ask_since_when();
  // One that arrived meanwhile may be the next, or among those that were fetched.
  if (certificate_ && certificate_->outcome.previous != chain().head()) certificate_.reset();
  for (const PeerId& banned : chain().roster().banned()) host_.ban(banned);
  if (seated_before && !seated()) level_ = false;
  swarm::Outcome nothing;
  note_roster(nothing);  // whom to keep connected to
  const Digest& root = chain().state_root();
  if (root != root_before) {
    state_.reset();
    load_state(root);
  }
  look_for_certificate();
}

// Of a state that others hold; beside the round that this member is about to enter.
Task<void> Participant::Impl::store_beside(Digest root, StateStore::State state) {
  auto entries = co_await states_.prepare(root, std::move(state), Digest{}, std::vector<ReducedPart>());
  if (chain().state_root() != root) co_return;  // the run went on meanwhile
  auto stored = entries ? storage_.write(*entries) : Result<void>(fail(entries.error()));
  if (stored) {
    states_.stored(*entries);
  } else {
    say_unwritten(stored.error());
  }
}

// For a ban that this member has not seen proven, from one member after another. What comes counts only once
// it was judged here.
Task<void> Participant::Impl::fetch_evidence() {
  const swarm::Ledger::Unproven ban = ledger_->unproven().front();
  const std::uint64_t height = ban.context->height;
  const std::vector<PeerId> asked = donors();
  if (asked.empty()) {
    fetching_evidence_ = false;
    co_return;
  }
  const std::size_t turn = evidence_tries_[{height, ban.removal.evidence}]++;
  const bool last_turn = turn + 1 >= evidence_tries;
  // Nobody is everybody's first choice: members begin elsewhere.
  const PeerId donor = asked[(turn + self_.key().raw()[0]) % asked.size()];
  auto fetched = co_await swarm::fetch_evidence(host_, donor, run_, height, ban.removal.evidence);
  // A liar may leave out what proves the most: whoever has all of it comes first.
  if (fetched && (last_turn || !fetched->shortened)) {
    const auto evidence = std::make_shared<const swarm::Evidence>(std::move(*fetched));
    const auto needed = co_await net::offload(scheduler_, [evidence, ban, rules = rules_] {
      return needed_evidence(*evidence, ban.removal, *ban.context, *rules);
    });
    const auto kept = needed ? ledger_->keep_evidence(ban, *needed) : Result<void>(fail(needed.error()));
    if (!kept) log::warn("evidence from {}: {}", donor.to_text(), kept.error().message);
  }
  if (last_turn) ledger_->give_up(ban);
  fetching_evidence_ = false;
}

Task<void> Participant::Impl::report_loop() {
  while (true) {
    auto pending = co_await reports_.pop();
    if (!pending) break;
    // Evaluations that are slower than rounds are left out, but for the last: reports must not lag behind.
    const bool last = pending->report.round == swarm::RoundNumber(manifest().last_round);
    if (pending->evaluate && (last || reports_.size() == 0)) {
      auto evaluation =
          co_await net::offload(scheduler_, [evaluator = evaluator_, state = pending->evaluate] {
            return evaluator->evaluate(state->parameters());
          });
      if (evaluation) {
        pending->report.evaluation = *evaluation;
      } else {
        log::error("evaluation: {}", evaluation.error().message);
      }
    }
    observer_.on_round(pending->report);
  }
  reported_all_ = true;
  changed_.pulse();
}

// Stays until everybody who was seen in the run has the last certificate and the model, at most `linger`:
// also for members that died near the end, and come back for it.
Task<void> Participant::Impl::finish() {
  reports_.close();
  const net::TimePoint limit = scheduler_.now() + options_.linger;
  send_to_members(hello());
  net::Timer timer = scheduler_.at(limit, [this] { changed_.pulse(); });
  while (true) {
    std::set<PeerId> others(directory_.listed());
    for (const auto& member : chain().roster().members()) others.insert(member.id);
    others.erase(self_);
    const bool level = std::ranges::all_of(others, [this](const PeerId& peer) {
      const auto height = heights_.find(peer);
      const auto without_model = looking_on_.find(peer);
      if (without_model != looking_on_.end() && without_model->second >= chain().height()) return false;
      return chain().roster().is_banned(peer) ||
             (height != heights_.end() && height->second >= chain().height());
    });
    if (reported_all_ && (level || scheduler_.now() >= limit)) co_return;
    co_await changed_.wait();
  }
}

}  // namespace testudo::training
