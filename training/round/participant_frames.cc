// Votes, the frames of the others, and what is repeated every second.

#include <algorithm>
#include <limits>

#include "crypto/base/log.h"
#include "training/round/participant_impl.h"

namespace testudo::training {

namespace {

// An application does not count of somebody who is further behind than rounds of milliseconds explain: it has
// no state, whoever told it that it does.
constexpr std::uint64_t application_lag = 64;
// Of strangers, how long their ledgers are said to be: with more of them all are forgotten, and say it again.
constexpr std::size_t heights_limit = 256;
// Attempts of a round that are given up for members that are out of them, before it goes on without those.
constexpr swarm::Attempt attempts_for_others{2};
// A full disk is tried again every second, and said this often.
constexpr net::Duration disk_trouble_every = 1min;

}  // namespace

// Written before it is sent: a member signs one outcome of an attempt, whatever happens to its process.
Result<void> Participant::Impl::vote(swarm::Outcome outcome, StateStore::Entries entries) {
  if (ledger_->voted() != outcome) {
    // The state that it signs for, too: a certificate over a state that nobody has any more would end the
    // run.
    TRY_VOID(ledger_->remember_vote(outcome, entries));
    states_.stored(entries);
    voted_at_ = scheduler_.now();
  }
  swarm::VoteFrame frame{outcome, {self_, swarm::sign_outcome(host_.identity(), outcome)}};
  ballot_.add(frame);
  send_to_members(frame);
  look_for_certificate();
  return {};
}

// A member without work of its own signs what others did, or the plain VOID. It never acts on time alone: it
// waits until one of the two is known to be possible. While the run is founding, what any founder signed goes
// before a VOID: a founder that signed cannot take it back, and two halves that signed different things would
// lock the run.
void Participant::Impl::vote_as_spectator() {
  const auto& roster = chain().roster();
  const swarm::Outcome nothing =
      swarm::plain_void(run_, chain().next_round(), chain().next_attempt(), chain().head());
  std::size_t most_founders = 0;
  const swarm::Outcome* chosen = nullptr;
  const auto tallies = ballot_.tallies(roster, chain().next_round(), chain().next_attempt(), chain().head());
  for (const auto& tally : tallies) {
    if (tally.outcome == nothing) continue;
    const auto founders = static_cast<std::size_t>(std::ranges::count_if(
        tally.votes, [&roster](const auto& given) { return roster.is_founder(given.signer); }));
    const bool may =
        roster.founding() ? founders > most_founders : swarm::Ballot::may_follow(tally, hostile_count());
    if (!may) continue;
    most_founders = founders;
    chosen = &tally.outcome;
  }
  const std::set<PeerId> out = out_of_attempt();
  if (chosen == nullptr) {
    for (const PeerId& founder : roster.founders()) {
      const bool silent = !out.contains(founder) && roster.contains(founder) && host_.is_connected(founder);
      if (roster.founding() && silent) return;  // it may have signed: hear it first
    }
    if (!swarm::is_quorum(roster, {}, std::vector<PeerId>(out.begin(), out.end()))) return;
    chosen = &nothing;
  }
  auto voted = vote(swarm::Outcome(*chosen));
  if (!voted) say_unwritten(voted.error());
}

// Members with a vote that have signed nothing but, at most, the plain VOID, and will not sign an outcome of
// their own: they said that they look on.
std::set<PeerId> Participant::Impl::out_of_attempt() const {
  std::set<PeerId> out;
  for (const auto& [peer, height] : looking_on_) {
    if (height == chain().height() && chain().roster().votes(peer)) out.insert(peer);
  }
  if (spectator_ && chain().roster().votes(self_)) out.insert(self_);
  const swarm::Outcome nothing =
      swarm::plain_void(run_, chain().next_round(), chain().next_attempt(), chain().head());
  const auto tallies =
      ballot_.tallies(chain().roster(), chain().next_round(), chain().next_attempt(), chain().head());
  for (const auto& tally : tallies) {
    for (const auto& given : tally.votes) {
      if (tally.outcome == nothing) {
        out.insert(given.signer);
      } else {
        out.erase(given.signer);  // it followed others
      }
    }
  }
  return out;
}

// Whether the others cannot apply this attempt without those that are out of it; or should not: when more
// than F others say that they are out of it (they slept, or were restarted), an honest one is among them, and
// it is better to begin again with all of them than to wait for each deadline and take their seats. A lone
// founder that slept finds everybody else out. Liars cost a bounded number of attempts so.
bool Participant::Impl::hopeless() const {
  const std::set<PeerId> out = out_of_attempt();
  const std::size_t others = out.size() - (out.contains(self_) ? 1 : 0);
  if (others > hostile_count() && chain().next_attempt() < attempts_for_others) return true;
  std::vector<PeerId> rest;
  for (const auto& member : chain().roster().members()) {
    if (!out.contains(member.id)) rest.push_back(member.id);
  }
  return !swarm::is_quorum(chain().roster(), rest, rest);
}

swarm::HelloFrame Participant::Impl::hello() const {
  const bool finished = chain().next_round() > swarm::RoundNumber(manifest().last_round);
  // With the last certificate alone it still needs somebody to give it the model.
  const bool without_model = finished && (!state_ || !states_.is_on_disk(chain().state_root()));
  // Who signed an outcome of its own before it was restarted is not out of the attempt: it stands by that.
  const bool out = spectator_ && !(voted_here() && ledger_->voted()->kind == OutcomeKind::apply);
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(scheduler_.now() - entered_);
  constexpr std::int64_t longest = std::numeric_limits<std::uint32_t>::max();
  const auto age_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(age.count(), 0, longest));
  return {.height = chain().height(),
          .application = !finished && !seated() && level_,
          .client_mode = options_.client_mode,
          .looking_on = out || without_model,
          .begun_ms = started_ ? std::optional(age_ms) : std::nullopt};
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
    misbehaviour_.note(from, frame.error());
    return;
  }
  if (auto* greeting = std::get_if<swarm::HelloFrame>(&*frame)) {
    receive_hello(from, *greeting);
  } else if (auto* certificate = std::get_if<Certificate>(&*frame)) {
    receive_certificate(from, std::move(*certificate));
  } else if (!chain().roster().contains(from)) {
    // Votes and broadcasts are the members'. Somebody this ledger does not know yet may be ahead of it, as a
    // newcomer that came one round before this one: its COMMIT is not sent twice.
    if (const auto* broadcast = std::get_if<swarm::BroadcastFrame>(&*frame)) {
      broadcaster_->receive_of_unknown(from, *broadcast, header.size());
    }
    send(from, hello());
  } else if (auto* vote = std::get_if<swarm::VoteFrame>(&*frame)) {
    receive_vote(from, *vote);
  } else {
    const bool valid = broadcaster_->receive(from, std::get<swarm::BroadcastFrame>(*frame), header.size());
    if (!valid) log::debug("broadcast frame from {}: not valid here", from.to_text());
  }
}

void Participant::Impl::receive_vote(const PeerId& from, const swarm::VoteFrame& frame) {
  if (frame.vote.signer != from || frame.outcome.run != run_) {
    misbehaviour_.note(from, {ErrorCode::protocol, "a vote that is not its own, or of another run"});
    return;
  }
  const std::pair position(frame.outcome.round, frame.outcome.attempt);
  const std::pair here(chain().next_round(), chain().next_attempt());
  if (position < here) {
    send(from, hello());
    return;
  }
  if (const auto lie = ballot_.contradiction(frame)) broadcaster_->add_evidence(*lie);
  if (!ballot_.add(frame))
    misbehaviour_.note(from, {ErrorCode::authentication, "a vote with a wrong signature"});
  look_for_certificate();
  changed_.pulse();
}

void Participant::Impl::receive_certificate(const PeerId& from, Certificate certificate) {
  const std::pair position(certificate.outcome.round, certificate.outcome.attempt);
  const std::pair here(chain().next_round(), chain().next_attempt());
  if (certificate.outcome.run != run_) return;
  if (position < here && chain().roster().contains(from)) look_for_second_signatures(from, certificate);
  if (position < here || certificate_) return;
  if (position > here || certificate.outcome.previous != chain().head()) {
    claim_ahead(from, chain().height() + 1);
  } else if (auto valid = certificate.verify(chain().roster()); !valid) {
    misbehaviour_.note(from, valid.error());
    return;
  } else {
    certificate_ = std::move(certificate);
    certificate_time_ = scheduler_.now();
  }
  changed_.pulse();
}

// Of the attempt that ended last, another certificate than this member's own: whoever signed both is banned.
// Which of them the others follow is nothing that this member could change any more.
void Participant::Impl::look_for_second_signatures(const PeerId& from, const Certificate& other) {
  const Digest digest = other.outcome.digest();
  if (digest == chain().head()) return;
  const auto stored = ledger_->read(chain().height() - 1, 1);
  if (!stored || stored->empty()) return;
  const auto own = Certificate::decode(stored->front());
  const swarm::PhaseKey place = place_of_votes(other.outcome);
  if (!own || place_of_votes(own->outcome) != place) return;  // an earlier one, late
  for (const swarm::Vote& vote : other.votes) {
    const auto signed_here = std::ranges::find(own->votes, vote.signer, &swarm::Vote::signer);
    if (signed_here == own->votes.end()) continue;
    const swarm::Equivocation lie{place,         vote.signer, chain().head(), digest, signed_here->signature,
                                  vote.signature};
    if (!lie.verify(run_)) {
      misbehaviour_.note(from, {ErrorCode::authentication, "a certificate with a wrong signature"});
      return;
    }
    broadcaster_->add_evidence(lie);
  }
}

void Participant::Impl::receive_hello(const PeerId& from, const swarm::HelloFrame& frame) {
  heights_[from] = frame.height;
  if (heights_.size() > heights_limit) {
    std::erase_if(heights_, [this](const auto& entry) { return !chain().roster().contains(entry.first); });
  }
  const bool member = chain().roster().contains(from);
  if (!frame.looking_on) {
    looking_on_.erase(from);
  } else if (member) {
    looking_on_[from] = frame.height;
  }
  if (!frame.application || member || frame.height + application_lag < chain().height()) {
    applicants_.forget(from);
  } else {
    applicants_.hear({from, frame.client_mode}, scheduler_.now(), chain().beacon());
  }
  if (member && frame.height == chain().height()) {
    if (frame.begun_ms) {
      // Of those with a vote alone no more than F lie; of the others any number may. What was longest on its
      // way names the latest moment.
      if (chain().roster().votes(from)) {
        const net::TimePoint since = scheduler_.now() - std::chrono::milliseconds(*frame.begun_ms);
        net::TimePoint& known = others_entered_.try_emplace(from, since).first->second;
        known = std::min(known, since);
      }
    } else if (started_) {
      send(from, hello());  // it waits for those that are there, or came after them
    }
  }
  if (frame.height > chain().height()) {
    claim_ahead(from, frame.height);
  } else if (frame.height < chain().height() || (seated() && !member && !frame.application)) {
    send(from, hello());  // a newcomer asks where the run is before it asks for a seat
  } else if (!seated() && member && !level_ && !lost_for_its_line_ && state_ &&
             state_->round().next() == chain().next_round()) {
    level_ = true;
    slow_line_.clear();
    send_to_members(hello());
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
    std::erase_if(distrusted_, [this](const auto& entry) {
      return entry.second.until + longest_distrust < scheduler_.now();
    });
    applicants_.forget_silent(scheduler_.now());
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
    if (!finished && seated() && voted_here()) {
      const swarm::Outcome& outcome = *ledger_->voted();
      const swarm::VoteFrame frame{outcome, {self_, swarm::sign_outcome(host_.identity(), outcome)}};
      for (const auto& member : roster.members()) {
        if (member.id != self_ && host_.is_connected(member.id)) send(member.id, frame);
      }
    }
    if (!ledger_->unproven().empty() && !fetching_evidence_) {
      fetching_evidence_ = true;
      tasks_.spawn(fetch_evidence());
    }
    if (!finished) {
      const std::string reason = waiting_reason();
      if (!reason.empty()) say_waiting(reason);
    }
    changed_.pulse();
  }
}

// Nobody vouches for whom it can show to have lied.
std::vector<swarm::Admission> Participant::Impl::fresh_applications() const {
  return applicants_.draw(application_limit, scheduler_.now(), chain().beacon(), [this](const PeerId& peer) {
    return !broadcaster_->evidence().contains(peer) && !chain().roster().contains(peer) &&
           !chain().roster().is_banned(peer);
  });
}

std::vector<swarm::Equivocation> Participant::Impl::accusations() const {
  std::vector<swarm::Equivocation> known;
  for (const auto& [offender, evidence] : broadcaster_->evidence()) {
    if (chain().roster().may_be_banned(offender) && known.size() < accusation_limit)
      known.push_back(evidence);
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
  if (directory_.connected().empty()) return "looking for members of the run";
  if (!slow_line_.empty() && !level_) return slow_line_;
  return state_ ? "asking the members for a seat" : fetching;
}

void Participant::Impl::say_waiting(const std::string& reason) {
  if (waiting_ == reason) return;
  waiting_ = reason;
  observer_.on_waiting(reason);
}

void Participant::Impl::say_unwritten(const Error& error) {
  if (scheduler_.now() < say_unwritten_from_) return;
  say_unwritten_from_ = scheduler_.now() + disk_trouble_every;
  log::error("cannot write to the data directory: {}; trying again", error.message);
}

}  // namespace testudo::training
