#include "swarm/agreed_broadcast.h"

#include <algorithm>

#include "crypto/base/check.h"
#include "crypto/hash.h"

namespace testudo::swarm {

AgreedBroadcast::AgreedBroadcast(Setup setup, const crypto::KeyPair& self)
    : setup_(std::move(setup)), self_(self), self_id_(self.peer_id()) {
  TESTUDO_CHECK(std::ranges::is_sorted(setup_.expected));
  for (const PeerId& member : setup_.expected) {
    if (setup_.voters.contains(member)) proving_.push_back(member);
  }
}

bool AgreedBroadcast::expects(const PeerId& id) const {
  return std::ranges::binary_search(setup_.expected, id);
}

std::size_t AgreedBroadcast::slot(net::TimePoint now) const {
  if (now <= setup_.deadline) return 0;
  const auto past = now - setup_.deadline;
  const auto length = 2 * setup_.delta;
  return static_cast<std::size_t>((past + length - net::Duration(1)) / length);
}

net::TimePoint AgreedBroadcast::next_deadline() const {
  if (!relaying_) return setup_.deadline;
  return setup_.deadline + 2 * setup_.delta * static_cast<std::int64_t>(setup_.hostile_count + 1);
}

void AgreedBroadcast::send(net::TimePoint now, Bytes payload) {
  TESTUDO_CHECK(expects(self_id_) && !held_.contains(self_id_) && payload.size() <= setup_.max_payload);
  PhaseMessage message = PhaseMessage::sign(setup_.run, setup_.key, std::move(payload), self_);
  entered_ = now;
  keep(now, message);
  output_.emplace_back(std::move(message));
  if (!finished_ && held_.size() == setup_.expected.size()) sign_held(now);
}

bool AgreedBroadcast::receive(net::TimePoint now, const BroadcastFrame& frame) {
  if (const auto* message = std::get_if<PhaseMessage>(&frame)) return receive_message(now, *message);
  if (const auto* held = std::get_if<HeldMessage>(&frame)) return receive_held(now, *held);
  const auto& bundle = std::get<RelayBundle>(frame);
  // All of them before any is used: what is counted must also be relayed.
  const bool fits =
      std::ranges::all_of(bundle, [this](const Relayed& item) { return item.key() == setup_.key; });
  if (!fits) return false;
  RelayBundle onward;
  bool useful = true;
  for (const Relayed& relayed : bundle) useful = receive_relayed(now, relayed, onward) && useful;
  relay(std::move(onward));
  return useful;
}

void AgreedBroadcast::relay(RelayBundle bundle) {
  constexpr std::size_t frame_bytes = 128 * 1024;  // but for a single item that is larger
  RelayBundle frame;
  std::size_t bytes = 0;
  for (Relayed& item : bundle) {
    const auto* message = std::get_if<PhaseMessage>(&item.item);
    const std::size_t size =
        256 + 128 * setup_.expected.size() + (message != nullptr ? message->payload.size() : 0);
    if (!frame.empty() && bytes + size > frame_bytes) {
      output_.emplace_back(std::exchange(frame, {}));
      bytes = 0;
    }
    bytes += size;
    frame.push_back(std::move(item));
  }
  if (!frame.empty()) output_.emplace_back(std::move(frame));
}

bool AgreedBroadcast::receive_message(net::TimePoint now, const PhaseMessage& message) {
  if (message.key != setup_.key || !expects(message.author)) return false;
  if (message.payload.size() > setup_.max_payload) return false;
  // Late ones count only when relayed; but two different ones are evidence whenever they come.
  const bool counts = slot(now) == 0 && !finished_;
  const auto known = held_.find(message.author);
  if (known == held_.end() && !counts) return true;
  if (known != held_.end() && (known->second.second || known->second.first.payload == message.payload))
    return true;
  if (!message.verify(setup_.run)) return false;
  if (!counts) {
    equivocations_.try_emplace(message.author, Equivocation::between(known->second.first, message));
    return true;
  }
  if (keep(now, message)) forward(message.author, message);
  if (held_.size() == setup_.expected.size()) sign_held(now);
  return true;
}

void AgreedBroadcast::forward(const PeerId& author, const BroadcastFrame& frame) {
  constexpr std::size_t forwarders = 4;
  const std::set<PeerId>& unreachable = setup_.unreachable;
  if (!unreachable.contains(author) || unreachable.contains(self_id_) || unreachable.size() < 2) return;
  const auto lot_of = [&](const PeerId& member) {
    return crypto::Hasher("testudo/forwarder/1")
        .integer(setup_.key.round.value())
        .integer(setup_.key.attempt.value())
        .integer(static_cast<std::uint64_t>(setup_.key.phase))
        .bytes(author.key().raw())
        .bytes(member.key().raw())
        .finish();
  };
  const Digest own = lot_of(self_id_);
  const auto before = std::ranges::count_if(setup_.expected, [&](const PeerId& member) {
    return !unreachable.contains(member) && lot_of(member) < own;
  });
  if (static_cast<std::size_t>(before) < forwarders) forwards_.push_back({author, frame});
}

bool AgreedBroadcast::keep(net::TimePoint now, const PhaseMessage& message) {
  const auto [known, fresh] = held_.try_emplace(message.author, Held{message, std::nullopt, now});
  if (fresh) return true;
  if (known->second.second || known->second.first.payload == message.payload) return false;
  known->second.second = message;
  equivocations_.try_emplace(message.author, Equivocation::between(known->second.first, message));
  return true;
}

AgreedBroadcast::MessageSet AgreedBroadcast::counted() const {
  MessageSet set;
  for (const auto& [author, held] : held_) {
    if (!held.second) set.emplace(author, held.first);
  }
  return set;
}

Digest AgreedBroadcast::digest_of(const MessageSet& set) const {
  crypto::Hasher hasher("testudo/phase-set/1");
  for (const auto& [author, message] : set) hasher.bytes(message.digest(setup_.run));
  return hasher.finish();
}

void AgreedBroadcast::sign_held(net::TimePoint now) {
  if (signed_set_ || finished_) return;
  signed_set_ = counted();
  signed_digest_ = digest_of(*signed_set_);
  HeldMessage held = HeldMessage::sign(setup_.run, setup_.key, signed_digest_, self_);
  if (expects(self_id_)) digests_.emplace(self_id_, held);
  output_.emplace_back(std::move(held));
  look_for_proof(now);
}

bool AgreedBroadcast::receive_held(net::TimePoint now, const HeldMessage& held) {
  if (held.key != setup_.key || !expects(held.holder)) return false;
  if (finished_ || digests_.contains(held.holder)) return true;
  if (!held.verify(setup_.run)) return false;
  digests_.emplace(held.holder, held);
  if (slot(now) == 0) {
    confirmed_.insert(held.holder);
    forward(held.holder, held);
  }
  look_for_proof(now);
  return true;
}

void AgreedBroadcast::look_for_proof(net::TimePoint now) {
  // A proof put together after T would have to be relayed by others to count (rule 4).
  if (finished_ || !signed_set_ || slot(now) > 0 || proving_.empty()) return;
  FastProof proof{setup_.key, signed_digest_, {}};
  for (const PeerId& voter : proving_) {
    const auto held = digests_.find(voter);
    if (held == digests_.end() || held->second.set != signed_digest_) return;
    proof.holders.emplace(voter, held->second.signature);
  }
  Relayed relayed{std::move(proof), {}};
  relayed.add_relay(setup_.run, self_);
  output_.emplace_back(RelayBundle{std::move(relayed)});
  finish(now, *signed_set_, true);
}

bool AgreedBroadcast::receive_relayed(net::TimePoint now, const Relayed& relayed, RelayBundle& onward) {
  const std::size_t k = slot(now);
  const auto* message = std::get_if<PhaseMessage>(&relayed.item);
  const auto* proof = std::get_if<FastProof>(&relayed.item);
  if (message != nullptr) {
    if (!expects(message->author) || message->payload.size() > setup_.max_payload) return false;
    const auto known = held_.find(message->author);
    if (known != held_.end() && (known->second.second || known->second.first.payload == message->payload))
      return true;
    if (!message->verify(setup_.run)) return false;
    if (finished_) {
      if (known != held_.end()) {
        equivocations_.try_emplace(message->author, Equivocation::between(known->second.first, *message));
      }
      return true;
    }
  } else {
    if (finished_) return true;
    // Without a digest of its own this member may not hold the set; an honest one is then not among the
    // expected.
    if (!signed_set_ || proof->set != signed_digest_) return false;
    bool all_known = true;
    for (const PeerId& voter : proving_) {
      const auto known = digests_.find(voter);
      const auto shown = proof->holders.find(voter);
      all_known = all_known && known != digests_.end() && shown != proof->holders.end() &&
                  known->second.signature == shown->second;
    }
    if (!all_known && !proof->verify(setup_.run, proving_)) return false;
  }
  if (k > setup_.hostile_count + 1) return true;  // too late to count
  std::map<PeerId, crypto::Signature> relays;
  const Digest digest = relayed.digest(setup_.run);
  for (const auto& [relay, signature] : relayed.relays) {
    if (relays.size() > setup_.hostile_count) break;  // F+1 are enough for any slot
    if (!setup_.voters.contains(relay) || relay == self_id_) continue;
    if (message != nullptr && relay == message->author) continue;
    if (k == 0) break;  // before T none is asked for
    if (!Relayed::verify_relay(setup_.run, setup_.key, digest, relay, signature)) continue;
    relays.emplace(relay, signature);
  }
  if (relays.size() < k) return true;

  if (message != nullptr) {
    keep(now, *message);
    if (k == 0 && held_.size() == setup_.expected.size()) sign_held(now);
  }
  if (k > 0 || proof != nullptr) {
    Relayed again{relayed.item, std::move(relays)};
    again.add_relay(setup_.run, self_);
    onward.push_back(std::move(again));
  }
  if (proof != nullptr) finish(now, *signed_set_, true);
  return true;
}

void AgreedBroadcast::advance(net::TimePoint now) {
  if (finished_) return;
  if (now > next_deadline() + 2 * setup_.delta) overslept_ = true;
  if (!relaying_ && now >= setup_.deadline) {
    sign_held(now);
    if (finished_) return;
    relaying_ = true;
    RelayBundle bundle;
    for (const auto& [author, held] : held_) {
      bundle.push_back({held.first, {}});
      if (held.second) bundle.push_back({*held.second, {}});
    }
    for (Relayed& relayed : bundle) relayed.add_relay(setup_.run, self_);
    relay(std::move(bundle));
  }
  if (relaying_ && now >= next_deadline()) finish(now, counted(), false);
}

std::vector<PeerId> AgreedBroadcast::contradicted() const {
  std::vector<PeerId> authors;
  if (fast_) return authors;
  for (const auto& [author, held] : held_) {
    if (held.second) authors.push_back(author);
  }
  return authors;
}

bool AgreedBroadcast::may_name() const {
  return !overslept_ && entered_ && *entered_ <= slot_before_deadline();
}

std::vector<PeerId> AgreedBroadcast::late() const {
  std::vector<PeerId> names;
  if (!may_name()) return names;
  for (const PeerId& member : setup_.expected) {
    const auto held = held_.find(member);
    if (held == held_.end() || held->second.arrived > slot_before_deadline()) names.push_back(member);
  }
  return names;
}

std::vector<PeerId> AgreedBroadcast::unconfirmed() const {
  std::vector<PeerId> names;
  const bool in_time = finished_at_ < setup_.deadline;
  if (in_time || !may_name() || result_.size() < setup_.expected.size()) return names;
  if (proving_.size() < setup_.expected.size()) return names;
  const Digest digest = digest_of(result_);
  for (const PeerId& voter : proving_) {
    if (voter == self_id_) continue;
    if (!confirmed_.contains(voter) || digests_.at(voter).set != digest) names.push_back(voter);
  }
  return names;
}

void AgreedBroadcast::finish(net::TimePoint now, MessageSet set, bool fast) {
  finished_at_ = now;
  finished_ = true;
  fast_ = fast;
  result_ = std::move(set);
}

std::vector<BroadcastFrame> AgreedBroadcast::take_output() { return std::exchange(output_, {}); }

std::vector<AgreedBroadcast::Forward> AgreedBroadcast::take_forwards() {
  return std::exchange(forwards_, {});
}

}  // namespace testudo::swarm
