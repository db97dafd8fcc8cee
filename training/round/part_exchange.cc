#include "training/round/part_exchange.h"

#include "net/messages/message.h"

namespace testudo::training {

namespace {

constexpr std::size_t max_header_bytes = 64;

struct WireHeader {
  std::uint64_t round = 0;
  std::uint32_t attempt = 0;
  std::uint8_t kind = 0;
  std::uint32_t part = 0;
  MSGPACK_DEFINE_ARRAY(round, attempt, kind, part)
};

}  // namespace

PartExchange::PartExchange(net::Host& host, std::size_t whole, std::size_t max_parts,
                           std::function<bool(const swarm::PeerId&)> is_member,
                           std::shared_ptr<SpareBuffers> spare)
    : max_parts_(max_parts),
      spare_(std::move(spare)),
      held_limit_(6 * whole + 64 * 1024),
      arrived_(host.scheduler()),
      links_(
          host, "/testudo/part/1.0.0",
          // A round sends a peer at most every part three times: own contribution, result, and audited.
          {.header_bytes = max_header_bytes, .blob_bytes = whole, .queued_frames = 4 * max_parts},
          [is_member = std::move(is_member)](const swarm::PeerId& from) {
            return is_member(from) ? max_header_bytes : 0;
          },
          [this](const swarm::PeerId& from, Bytes header, Buffer blob) {
            receive(from, std::move(header), std::move(blob));
          },
          spare_) {}

void PartExchange::send(const swarm::PeerId& to, const PartKey& key, Blob bytes) {
  const WireHeader header{key.round.value(), key.attempt.value(), static_cast<std::uint8_t>(key.kind),
                          key.part.value()};
  links_.send(to, {std::make_shared<const Bytes>(net::pack(header)), std::move(bytes)});
}

std::optional<PartKey> PartExchange::key_in(ByteView header) {
  const auto wire = net::unpack<WireHeader>(header);
  if (!wire) return std::nullopt;
  return PartKey{swarm::RoundNumber(wire->round), swarm::Attempt(wire->attempt),
                 static_cast<PartKind>(wire->kind), PartIndex(wire->part)};
}

Blob PartExchange::find(const PartKey& key, const swarm::PeerId& from) const {
  const auto found = parts_.find({key, from});
  return found == parts_.end() ? nullptr : found->second;
}

void PartExchange::enter(swarm::RoundNumber round, swarm::Attempt attempt) {
  round_ = round;
  attempt_ = attempt;
  erase_if([&](const PartKey& key) { return std::pair(key.round, key.attempt) < std::pair(round, attempt); });
}

void PartExchange::drop(PartKind kind) {
  erase_if(
      [&](const PartKey& key) { return key.kind == kind && key.round == round_ && key.attempt == attempt_; });
}

template <typename Gone>
void PartExchange::erase_if(Gone gone) {
  std::erase_if(parts_, [&](const auto& entry) {
    const bool old = gone(entry.first.first);
    if (old) held_[entry.first.second] -= entry.second->size();
    return old;
  });
  std::erase_if(held_, [](const auto& entry) { return entry.second == 0; });
}

void PartExchange::receive(const swarm::PeerId& from, Bytes header, Buffer blob) {
  const auto announced = key_in(header);
  if (!announced) {
    misbehaviour_.note(from, {ErrorCode::protocol, "the header of a part does not decode"});
    return;
  }
  const PartKey key = *announced;
  const bool known =
      key.kind == PartKind::contribution || key.kind == PartKind::result || key.kind == PartKind::audited;
  if (!known || key.part.value() >= max_parts_) {
    misbehaviour_.note(from, {ErrorCode::protocol, "no such part: " + std::to_string(key.part.value())});
    return;
  }
  const bool this_round = key.round == round_ && (key.attempt == attempt_ || key.attempt == attempt_.next());
  const bool next_round = key.round == round_.next() && key.attempt == swarm::Attempt(0);
  if (!this_round && !next_round) return;  // late, or from somebody far ahead
  Blob& place = parts_[{key, from}];
  std::size_t& held = held_[from];
  held -= place ? place->size() : 0;
  if (held + blob.size() > held_limit_) {
    misbehaviour_.note(from, {ErrorCode::limit, "more parts than this round can need"});
    parts_.erase({key, from});
    return;
  }
  held += blob.size();
  place = share(std::move(blob), spare_);
  arrived_.pulse();
}

}  // namespace testudo::training
