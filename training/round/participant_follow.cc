// Being behind: ledger and state from others. Reports, and the end.

#include <algorithm>

#include "crypto/base/log.h"
#include "net/async/combinators.h"
#include "training/round/participant_impl.h"

namespace testudo::training {

namespace {
// Whoever claims a longer ledger and does not show it is not asked again for this long.
constexpr net::Duration distrust_time = 10s;
}  // namespace

void Participant::Impl::claim_ahead(const PeerId& from) {
  const auto distrusted = distrusted_.find(from);
  if (distrusted != distrusted_.end() && scheduler_.now() < distrusted->second) return;
  // A member's word comes first; a stranger's is of interest to who has nothing to lose by asking.
  if (chain().roster().contains(from) || !ahead_) ahead_ = from;
}

void Participant::Impl::ask_whoever_is_ahead() {
  if (!ahead_ || asking_ || certificate_) return;
  asking_ = true;
  tasks_.spawn(ask_for_certificate(*std::exchange(ahead_, std::nullopt)));
}

// During an attempt a claim ends nothing; the certificate itself does.
Task<void> Participant::Impl::ask_for_certificate(PeerId donor) {
  auto fetched = co_await swarm::fetch_certificates(host_, donor, run_, chain().height());
  asking_ = false;
  if (fetched && !fetched->empty()) {
    receive_certificate(donor, std::move(fetched->front()));
    if (fetched->size() > 1) claim_ahead(donor);  // the rest at once, when the attempt has ended
  } else {
    distrusted_[donor] = scheduler_.now() + distrust_time;
  }
}

Task<void> Participant::Impl::follow() {
  const PeerId donor = *std::exchange(ahead_, std::nullopt);
  const std::uint64_t height = chain().height();
  const Digest root_before = chain().state_root();
  auto appended = co_await swarm::catch_up(host_, donor, run_, *ledger_);
  if (!appended) log::warn("ledger from {}: {}", donor.to_text(), appended.error().message);
  if (chain().height() == height) {
    distrusted_[donor] = scheduler_.now() + distrust_time;
    co_return;
  }
  certificate_.reset();
  for (const PeerId& banned : chain().roster().banned()) host_.ban(banned);
  swarm::Outcome nothing;
  note_roster(nothing);  // whom to keep connected to
  const Digest& root = chain().state_root();
  if (root != root_before) {
    state_.reset();
    load_state(root);
  }
  look_for_certificate();
}

Task<void> Participant::Impl::fetch_state() {
  const Digest root = chain().state_root();
  if (load_state(root)) co_return;  // this member signed for it, and has it
  std::vector<PeerId> donors;
  for (const auto& member : chain().roster().members()) {
    if (member.id != self_ && host_.is_connected(member.id)) donors.push_back(member.id);
  }
  say_waiting("fetching the training state from " + std::to_string(donors.size()) + " members");
  auto bytes = co_await swarm::download_state(host_, donors, run_, root,
                                              TrainingState::encoded_bytes(rules_->state_sizes()));
  if (!bytes) {
    log::debug("training state: {}", bytes.error().message);
    co_await net::sleep_for(scheduler_, 500ms);
    co_return;
  }
  auto decoded = co_await net::offload(
      scheduler_, [downloaded = std::make_shared<Buffer>(std::move(*bytes)), sizes = rules_->state_sizes()] {
        return TrainingState::decode(std::move(*downloaded), sizes);
      });
  if (!decoded) {
    log::error("training state: {}", decoded.error().message);
    co_await net::sleep_for(scheduler_, 500ms);
    co_return;
  }
  if (chain().state_root() != root) co_return;  // the run went on meanwhile
  state_ = std::make_shared<const TrainingState>(std::move(*decoded));
  states_.remember(root, state_);
  tasks_.spawn(store_beside(root, state_));
}

// Of a state that others hold; beside the round that this member is about to enter.
Task<void> Participant::Impl::store_beside(Digest root, StateStore::State state) {
  auto entries = co_await states_.prepare(root, std::move(state), Digest{}, {});
  if (chain().state_root() != root) co_return;  // the run went on meanwhile
  auto stored = entries ? storage_.write(*entries) : Result<void>(fail(entries.error()));
  if (stored) {
    states_.stored(*entries);
  } else {
    say_unwritten(stored.error());
  }
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
