// Votes, the frames of the others, and what is repeated every second.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "training/round/participant_impl.h"

namespace testudo::training {

namespace {

// An application that was not repeated for so long does not count any more.
constexpr net::Duration application_lifetime = 5s;
constexpr std::size_t applicants_limit = 256;

// The stated worst time of a round's attempt: every phase at its deadline and the slow path in each.
net::Duration worst_attempt_time(const swarm::Manifest& manifest, std::size_t hostile_count) {
  constexpr int broadcasts = 7;
  constexpr int exchange_deadlines =
      10;  // two for serve, reduce_again and gather, which begin with moving parts
  return manifest.compute_deadline() + exchange_deadlines * manifest.exchange_deadline() +
         broadcasts * 2 * manifest.delta() * static_cast<std::int64_t>(hostile_count + 1);
}

}  // namespace

// Written before it is sent: a member signs one outcome of an attempt, whatever happens to its process.
Result<void> Participant::Impl::vote(swarm::Outcome outcome) {
  if (ledger_->voted() != outcome) {
    TRY_VOID(ledger_->remember_vote(outcome));
  }
  swarm::VoteFrame frame{outcome, {self_, swarm::sign_outcome(host_.identity(), outcome.digest())}};
  ballot_.add(frame);
  send_to_members(frame);
  look_for_certificate();
  return {};
}

void Participant::Impl::vote_as_spectator(net::TimePoint attempt_started) {
  const auto tallies =
      ballot_.tallies(chain().roster(), chain().next_round(), chain().next_attempt(), chain().head());
  const swarm::Outcome nothing =
      swarm::plain_void(run_, chain().next_round(), chain().next_attempt(), chain().head());
  for (const auto& tally : tallies) {
    if (swarm::Ballot::may_follow(chain().roster(), tally, hostile_count()) || tally.outcome == nothing) {
      auto voted = vote(tally.outcome);
      if (!voted)
        spdlog::error("cannot write to the data directory: {}; not voting yet", voted.error().message);
      return;
    }
  }
  if (hopeless() || scheduler_.now() >= attempt_started + worst_attempt_time(manifest(), hostile_count())) {
    auto voted = vote(nothing);
    if (!voted)
      spdlog::error("cannot write to the data directory: {}; not voting yet", voted.error().message);
  }
}

// Whether those that neither look on nor signed a VOID cannot apply this attempt without the others. A VOID
// is always safe to sign for who has signed nothing yet; this says when waiting is of no use.
bool Participant::Impl::hopeless() const {
  std::set<PeerId> out;
  for (const auto& [peer, height] : looking_on_) {
    if (height == chain().height()) out.insert(peer);
  }
  if (spectator_) out.insert(self_);
  for (const auto& tally :
       ballot_.tallies(chain().roster(), chain().next_round(), chain().next_attempt(), chain().head())) {
    if (tally.outcome.kind != OutcomeKind::voided) continue;
    for (const auto& vote : tally.votes) out.insert(vote.signer);
  }
  std::vector<PeerId> rest;
  for (const auto& member : chain().roster().members()) {
    if (!out.contains(member.id)) rest.push_back(member.id);
  }
  return !swarm::is_quorum(chain().roster(), rest, rest);
}

swarm::HelloFrame Participant::Impl::hello() const {
  const bool finished = chain().next_round() > swarm::RoundNumber(manifest().last_round);
  return {chain().height(), !finished && !seated(), options_.client_mode, spectator_};
}

void Participant::Impl::look_for_certificate() {
  if (certificate_) return;
  certificate_ =
      ballot_.certificate(chain().roster(), chain().next_round(), chain().next_attempt(), chain().head());
  if (!certificate_) return;
  certificate_time_ = scheduler_.now();
  changed_.pulse();
}

void Participant::Impl::receive(const PeerId& from, const Bytes& header) {
  auto frame = swarm::decode_control(header);
  if (!frame) {
    spdlog::warn("round frame from {}: {}", from.to_text(), frame.error().message);
    return;
  }
  if (auto* greeting = std::get_if<swarm::HelloFrame>(&*frame)) {
    receive_hello(from, *greeting);
  } else if (auto* certificate = std::get_if<Certificate>(&*frame)) {
    receive_certificate(from, std::move(*certificate));
  } else if (!chain().roster().contains(from)) {
    // Votes and broadcasts are the members'. Somebody this ledger does not know yet may be ahead of it.
    send(from, hello());
  } else if (auto* vote = std::get_if<swarm::VoteFrame>(&*frame)) {
    receive_vote(from, *vote);
  } else {
    const bool valid = broadcaster_->receive(from, std::get<swarm::BroadcastFrame>(*frame), header.size());
    if (!valid) spdlog::debug("broadcast frame from {}: not valid here", from.to_text());
  }
}

void Participant::Impl::receive_vote(const PeerId& from, const swarm::VoteFrame& frame) {
  if (frame.vote.signer != from || frame.outcome.run != run_) {
    spdlog::warn("vote from {}: not its own, or of another run", from.to_text());
    return;
  }
  const std::pair position(frame.outcome.round, frame.outcome.attempt);
  const std::pair here(chain().next_round(), chain().next_attempt());
  if (position < here) {
    send(from, hello());
    return;
  }
  if (!ballot_.add(frame)) spdlog::warn("vote from {}: wrong signature", from.to_text());
  look_for_certificate();
  changed_.pulse();
}

void Participant::Impl::receive_certificate(const PeerId& from, Certificate certificate) {
  const std::pair position(certificate.outcome.round, certificate.outcome.attempt);
  const std::pair here(chain().next_round(), chain().next_attempt());
  if (certificate.outcome.run != run_ || position < here || certificate_) return;
  if (position > here || certificate.outcome.previous != chain().head()) {
    claim_ahead(from);
  } else if (auto valid = certificate.verify(chain().roster()); !valid) {
    spdlog::warn("certificate from {}: {}", from.to_text(), valid.error().message);
    return;
  } else {
    certificate_ = std::move(certificate);
    certificate_time_ = scheduler_.now();
  }
  changed_.pulse();
}

void Participant::Impl::receive_hello(const PeerId& from, const swarm::HelloFrame& frame) {
  heights_[from] = frame.height;
  if (heights_.size() > applicants_limit) heights_.erase(heights_.begin());
  if (frame.looking_on && chain().roster().contains(from)) looking_on_[from] = frame.height;
  if (frame.application && (applicants_.contains(from) || applicants_.size() < applicants_limit)) {
    applicants_[from] = {scheduler_.now(), frame.client_mode};
  }
  if (frame.height > chain().height()) {
    claim_ahead(from);
  } else if (frame.height < chain().height()) {
    send(from, hello());
  }
  changed_.pulse();
}

void Participant::Impl::send(const PeerId& to, const swarm::ControlFrame& frame) {
  control_->send(to, {std::make_shared<const Bytes>(swarm::encode_control(frame)), nullptr});
}

void Participant::Impl::send_to_members(const swarm::ControlFrame& frame) {
  const auto shared = std::make_shared<const Bytes>(swarm::encode_control(frame));
  for (const auto& member : chain().roster().members()) {
    if (member.id != self_) control_->send(member.id, {shared, nullptr});
  }
}

// Once a second: repeats what may have been lost, says what is waited for, wakes whoever looks at the clock.
Task<void> Participant::Impl::repeat_loop() {
  while (true) {
    co_await net::sleep_for(scheduler_, repeat_every);
    const bool finished = chain().next_round() > swarm::RoundNumber(manifest().last_round);
    const auto& roster = chain().roster();
    std::erase_if(distrusted_, [this](const auto& entry) { return entry.second < scheduler_.now(); });
    std::erase_if(applicants_, [this](const auto& entry) {
      return entry.second.heard + application_lifetime < scheduler_.now();
    });
    // Who is without a seat, or has finished, says where it stands; so does a member that sees no progress.
    if (finished || !seated() || progress_ + 2 * repeat_every < scheduler_.now()) {
      std::set<PeerId> to;
      for (const PeerId& peer : directory_.connected()) to.insert(peer);
      for (const auto& member : roster.members()) {
        if (host_.is_connected(member.id)) to.insert(member.id);
      }
      to.erase(self_);
      for (const PeerId& peer : to) send(peer, hello());
    }
    if (!finished && seated() && ledger_->voted() && ledger_->voted()->round == chain().next_round() &&
        ledger_->voted()->attempt == chain().next_attempt()) {
      const swarm::Outcome& outcome = *ledger_->voted();
      const swarm::VoteFrame frame{outcome, {self_, swarm::sign_outcome(host_.identity(), outcome.digest())}};
      for (const auto& member : roster.members()) {
        if (member.id != self_ && host_.is_connected(member.id)) send(member.id, frame);
      }
    }
    if (!finished) {
      const std::string reason = waiting_reason();
      if (!reason.empty()) say_waiting(reason);
    }
    changed_.pulse();
  }
}

std::vector<swarm::Admission> Participant::Impl::fresh_applications() const {
  std::vector<swarm::Admission> fresh;
  for (const auto& [peer, applicant] : applicants_) {
    const bool heard = applicant.heard + application_lifetime >= scheduler_.now();
    // Nobody vouches for whom it can show to have lied.
    const bool liar = broadcaster_->evidence().contains(peer);
    if (heard && !liar && !chain().roster().contains(peer) && !chain().roster().is_banned(peer) &&
        fresh.size() < application_limit) {
      fresh.push_back({peer, applicant.client_mode});
    }
  }
  return fresh;
}

std::vector<swarm::Equivocation> Participant::Impl::accusations() const {
  std::vector<swarm::Equivocation> known;
  for (const auto& [offender, evidence] : broadcaster_->evidence()) {
    if (chain().roster().contains(offender) && known.size() < accusation_limit) known.push_back(evidence);
  }
  return known;
}

std::size_t Participant::Impl::connected_founders() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      chain().roster().founders(),
      [this](const PeerId& founder) { return founder == self_ || host_.is_connected(founder); }));
}

std::string Participant::Impl::missing_founders() const {
  const auto& roster = chain().roster();
  if (!roster.founding() || 2 * connected_founders() > roster.founders().size()) return {};
  return "waiting for the founders: " + std::to_string(connected_founders()) + " of " +
         std::to_string(roster.founders().size()) +
         " connected; the run goes on when more than half are back";
}

// Why no round can end at the moment; nothing when one can.
std::string Participant::Impl::waiting_reason() const {
  std::string founders = missing_founders();
  if (!founders.empty()) return founders;
  if (seated()) return {};
  return directory_.connected().empty() ? "looking for members of the run" : "asking the members for a seat";
}

void Participant::Impl::say_waiting(const std::string& reason) {
  if (waiting_ == reason) return;
  waiting_ = reason;
  observer_.on_waiting(reason);
}

}  // namespace testudo::training
