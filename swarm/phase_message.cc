#include "swarm/phase_message.h"

#include "crypto/hash.h"
#include "crypto/signing.h"
#include "net/messages/message.h"

namespace testudo::swarm {

namespace {

constexpr std::string_view message_domain = "testudo/phase/1";
constexpr std::string_view held_domain = "testudo/held/1";
constexpr std::string_view relay_domain = "testudo/relay/1";

// Signatures of an item: at most one a member.
constexpr std::size_t member_limit = 4096;

// The link that a frame came by bounds its size; the parts of a frame are no longer than it.
template <typename T>
Result<T> unpack_frame(ByteView bytes) {
  return net::unpack<T>(bytes, {.size = bytes.size()});
}

crypto::Hasher& add(crypto::Hasher& hasher, const RunId& run, const PhaseKey& key) {
  return hasher.bytes(run)
      .integer(key.round.value())
      .integer(key.attempt.value())
      .integer(static_cast<std::uint8_t>(key.phase));
}

Digest signed_digest(std::string_view domain, const RunId& run, const PhaseKey& key, ByteView content) {
  crypto::Hasher hasher(domain);
  return add(hasher, run, key).bytes(content).finish();
}

struct WireMessage {
  std::uint64_t round = 0;
  std::uint32_t attempt = 0;
  std::uint8_t phase = 0;
  PeerId author;
  Bytes payload;
  crypto::Signature signature{};
  MSGPACK_DEFINE_ARRAY(round, attempt, phase, author, payload, signature)
};

struct WireSignature {
  PeerId signer;
  crypto::Signature signature{};
  MSGPACK_DEFINE_ARRAY(signer, signature)
};

struct WireProof {
  std::uint64_t round = 0;
  std::uint32_t attempt = 0;
  std::uint8_t phase = 0;
  Digest set{};
  std::vector<WireSignature> holders;
  MSGPACK_DEFINE_ARRAY(round, attempt, phase, set, holders)
};

enum class ItemKind : std::uint8_t { message = 1, proof = 2 };

struct WireRelayed {
  std::uint8_t kind = 0;
  Bytes item;
  std::vector<WireSignature> relays;
  MSGPACK_DEFINE_ARRAY(kind, item, relays)
};

enum class FrameKind : std::uint8_t { message = 1, held = 2, relays = 3 };

struct WireFrame {
  std::uint8_t kind = 0;
  Bytes body;
  MSGPACK_DEFINE_ARRAY(kind, body)
};

struct WireEquivocation {
  std::uint64_t round = 0;
  std::uint32_t attempt = 0;
  std::uint8_t phase = 0;
  PeerId offender;
  Digest first{};
  Digest second{};
  crypto::Signature first_signature{};
  crypto::Signature second_signature{};
  MSGPACK_DEFINE_ARRAY(round, attempt, phase, offender, first, second, first_signature, second_signature)
};

Result<PhaseKey> make_key(std::uint64_t round, std::uint32_t attempt, std::uint8_t phase) {
  if (phase < 1 || phase > last_phase)
    return fail(ErrorCode::protocol, "unknown phase " + std::to_string(phase));
  return PhaseKey{RoundNumber(round), Attempt(attempt), static_cast<Phase>(phase)};
}

WireMessage to_wire(const PhaseMessage& m) {
  return {
      m.key.round.value(), m.key.attempt.value(), static_cast<std::uint8_t>(m.key.phase), m.author, m.payload,
      m.signature};
}

std::vector<WireSignature> to_wire(const std::map<PeerId, crypto::Signature>& signatures) {
  std::vector<WireSignature> wire;
  for (const auto& [signer, signature] : signatures) wire.push_back({signer, signature});
  return wire;
}

Result<std::map<PeerId, crypto::Signature>> from_wire(const std::vector<WireSignature>& wire) {
  if (wire.size() > member_limit) return fail(ErrorCode::limit, "too many signatures");
  std::map<PeerId, crypto::Signature> signatures;
  for (const WireSignature& entry : wire) signatures.emplace(entry.signer, entry.signature);
  if (signatures.size() != wire.size()) return fail(ErrorCode::protocol, "a signer stands twice");
  return signatures;
}

Bytes encode_proof(const FastProof& proof) {
  return net::pack(WireProof{proof.key.round.value(), proof.key.attempt.value(),
                             static_cast<std::uint8_t>(proof.key.phase), proof.set, to_wire(proof.holders)});
}

Result<FastProof> decode_proof(ByteView bytes) {
  TRY(WireProof wire, unpack_frame<WireProof>(bytes));
  FastProof proof;
  TRY(proof.key, make_key(wire.round, wire.attempt, wire.phase));
  proof.set = wire.set;
  TRY(proof.holders, from_wire(wire.holders));
  return proof;
}

Result<HeldMessage> decode_held(ByteView bytes) {
  TRY(WireMessage wire, unpack_frame<WireMessage>(bytes));
  HeldMessage held;
  TRY(held.key, make_key(wire.round, wire.attempt, wire.phase));
  if (wire.payload.size() != held.set.size())
    return fail(ErrorCode::protocol, "set digest has the wrong size");
  std::ranges::copy(wire.payload, held.set.begin());
  held.holder = wire.author;
  held.signature = wire.signature;
  return held;
}

Result<RelayBundle> decode_bundle(ByteView bytes) {
  TRY(const auto wire, unpack_frame<std::vector<WireRelayed>>(bytes));
  if (wire.size() > bundle_limit) return fail(ErrorCode::limit, "relay bundle is too large");
  RelayBundle bundle;
  for (const WireRelayed& entry : wire) {
    Relayed relayed;
    switch (static_cast<ItemKind>(entry.kind)) {
      case ItemKind::message: {
        TRY(relayed.item, decode_message(entry.item));
        break;
      }
      case ItemKind::proof: {
        TRY(relayed.item, decode_proof(entry.item));
        break;
      }
      default:
        return fail(ErrorCode::protocol, "unknown item in a relay bundle");
    }
    TRY(relayed.relays, from_wire(entry.relays));
    if (!bundle.empty() && relayed.key() != bundle.front().key()) {
      return fail(ErrorCode::protocol, "a relay bundle of several phases");
    }
    bundle.push_back(std::move(relayed));
  }
  return bundle;
}

}  // namespace

crypto::Signature sign_payload(const RunId& run, const PhaseKey& key, const Digest& payload,
                               const crypto::KeyPair& author) {
  return crypto::sign(author, message_domain, signed_digest(message_domain, run, key, payload));
}

bool verify_payload(const RunId& run, const PhaseKey& key, const Digest& payload, const PeerId& author,
                    const crypto::Signature& signature) {
  return crypto::verify(author.key(), message_domain, signed_digest(message_domain, run, key, payload),
                        signature);
}

PhaseMessage PhaseMessage::sign(const RunId& run, const PhaseKey& key, Bytes payload,
                                const crypto::KeyPair& author) {
  PhaseMessage message{key, author.peer_id(), std::move(payload), {}};
  message.signature = sign_payload(run, key, message.payload_digest(), author);
  return message;
}

Digest PhaseMessage::payload_digest() const { return crypto::blake2b(payload); }

Digest PhaseMessage::digest(const RunId& run) const {
  crypto::Hasher hasher("testudo/phase-item/1");
  return add(hasher, run, key).bytes(author.key().raw()).bytes(payload_digest()).finish();
}

bool PhaseMessage::verify(const RunId& run) const {
  return verify_payload(run, key, payload_digest(), author, signature);
}

HeldMessage HeldMessage::sign(const RunId& run, const PhaseKey& key, const Digest& set,
                              const crypto::KeyPair& holder) {
  return {key, holder.peer_id(), set,
          crypto::sign(holder, held_domain, signed_digest(held_domain, run, key, set))};
}

bool HeldMessage::verify(const RunId& run) const {
  return crypto::verify(holder.key(), held_domain, signed_digest(held_domain, run, key, set), signature);
}

Digest FastProof::digest(const RunId& run) const {
  return signed_digest("testudo/phase-proof/1", run, key, set);
}

bool FastProof::verify(const RunId& run, std::span<const PeerId> expected) const {
  if (holders.size() != expected.size()) return false;
  for (const PeerId& holder : expected) {
    const auto shown = holders.find(holder);
    if (shown == holders.end() || !HeldMessage{key, holder, set, shown->second}.verify(run)) return false;
  }
  return true;
}

const PhaseKey& Relayed::key() const {
  return std::visit([](const auto& content) -> const PhaseKey& { return content.key; }, item);
}

Digest Relayed::digest(const RunId& run) const {
  return std::visit([&](const auto& content) { return content.digest(run); }, item);
}

void Relayed::add_relay(const RunId& run, const crypto::KeyPair& relay) {
  relays[relay.peer_id()] =
      crypto::sign(relay, relay_domain, signed_digest(relay_domain, run, key(), digest(run)));
}

bool Relayed::verify_relay(const RunId& run, const PhaseKey& key, const Digest& item, const PeerId& relay,
                           const crypto::Signature& signature) {
  return crypto::verify(relay.key(), relay_domain, signed_digest(relay_domain, run, key, item), signature);
}

Bytes encode(const BroadcastFrame& frame) {
  WireFrame wire;
  if (const auto* message = std::get_if<PhaseMessage>(&frame)) {
    wire = {static_cast<std::uint8_t>(FrameKind::message), encode_message(*message)};
  } else if (const auto* held = std::get_if<HeldMessage>(&frame)) {
    wire = {static_cast<std::uint8_t>(FrameKind::held),
            net::pack(WireMessage{held->key.round.value(), held->key.attempt.value(),
                                  static_cast<std::uint8_t>(held->key.phase), held->holder,
                                  to_bytes(ByteView(held->set)), held->signature})};
  } else {
    std::vector<WireRelayed> entries;
    for (const Relayed& relayed : std::get<RelayBundle>(frame)) {
      WireRelayed entry;
      if (const auto* inner = std::get_if<PhaseMessage>(&relayed.item)) {
        entry.kind = static_cast<std::uint8_t>(ItemKind::message);
        entry.item = encode_message(*inner);
      } else {
        entry.kind = static_cast<std::uint8_t>(ItemKind::proof);
        entry.item = encode_proof(std::get<FastProof>(relayed.item));
      }
      entry.relays = to_wire(relayed.relays);
      entries.push_back(std::move(entry));
    }
    wire = {static_cast<std::uint8_t>(FrameKind::relays), net::pack(entries)};
  }
  return net::pack(wire);
}

Result<BroadcastFrame> decode_broadcast_frame(ByteView bytes) {
  TRY(WireFrame wire, unpack_frame<WireFrame>(bytes));
  switch (static_cast<FrameKind>(wire.kind)) {
    case FrameKind::message:
      return decode_message(wire.body);
    case FrameKind::held:
      return decode_held(wire.body);
    case FrameKind::relays:
      return decode_bundle(wire.body);
  }
  return fail(ErrorCode::protocol, "unknown broadcast frame " + std::to_string(wire.kind));
}

std::optional<PhaseKey> key_of(const BroadcastFrame& frame) {
  if (const auto* message = std::get_if<PhaseMessage>(&frame)) return message->key;
  if (const auto* held = std::get_if<HeldMessage>(&frame)) return held->key;
  const auto& bundle = std::get<RelayBundle>(frame);
  if (bundle.empty()) return std::nullopt;
  return bundle.front().key();
}

Bytes encode_message(const PhaseMessage& message) { return net::pack(to_wire(message)); }

Result<PhaseMessage> decode_message(ByteView bytes) {
  TRY(WireMessage wire, unpack_frame<WireMessage>(bytes));
  PhaseMessage message;
  TRY(message.key, make_key(wire.round, wire.attempt, wire.phase));
  message.author = wire.author;
  message.payload = std::move(wire.payload);
  message.signature = wire.signature;
  return message;
}

Equivocation Equivocation::between(const PhaseMessage& a, const PhaseMessage& b) {
  return {a.key, a.author, a.payload_digest(), b.payload_digest(), a.signature, b.signature};
}

bool Equivocation::verify(const RunId& run) const {
  return first != second && verify_payload(run, key, first, offender, first_signature) &&
         verify_payload(run, key, second, offender, second_signature);
}

Bytes Equivocation::encode() const {
  return net::pack(WireEquivocation{key.round.value(), key.attempt.value(),
                                    static_cast<std::uint8_t>(key.phase), offender, first, second,
                                    first_signature, second_signature});
}

Result<Equivocation> Equivocation::decode(ByteView bytes) {
  TRY(const auto wire, unpack_frame<WireEquivocation>(bytes));
  Equivocation evidence{{},          wire.offender,        wire.first,
                        wire.second, wire.first_signature, wire.second_signature};
  TRY(evidence.key, make_key(wire.round, wire.attempt, wire.phase));
  return evidence;
}

Digest Equivocation::digest(const RunId& run, const PhaseKey& key, const PeerId& offender) {
  crypto::Hasher hasher("testudo/equivocation/1");
  return add(hasher, run, key).bytes(offender.key().raw()).finish();
}

}  // namespace testudo::swarm
