// The signed messages of an agreed broadcast, and how they are encoded. Every signature is domain-separated
// and covers the run, the round, the attempt and the phase: nothing can be replayed elsewhere. Values; any
// thread.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "crypto/base/result.h"
#include "swarm/types.h"

namespace testudo::swarm {

// What a member signs in a place: the digest of its payload, so that two signatures in one place show
// anybody that it said two things, whatever they were.
crypto::Signature sign_payload(const RunId& run, const PhaseKey& key, const Digest& payload,
                               const crypto::KeyPair& author);
bool verify_payload(const RunId& run, const PhaseKey& key, const Digest& payload, const PeerId& author,
                    const crypto::Signature& signature);

// A member's payload in a phase.
struct PhaseMessage {
  PhaseKey key;
  PeerId author;
  Bytes payload;
  crypto::Signature signature{};

  static PhaseMessage sign(const RunId& run, const PhaseKey& key, Bytes payload,
                           const crypto::KeyPair& author);
  // The signature covers the payload's digest, so that evidence need not carry payloads.
  Digest payload_digest() const;
  // What stands for the message in sets and relays: of everything that is signed, and of the author.
  Digest digest(const RunId& run) const;
  bool verify(const RunId& run) const;
};

// "I hold exactly this set": the digest of the set that a member held when it had all messages, or at its
// deadline.
struct HeldMessage {
  PhaseKey key;
  PeerId holder;
  Digest set{};
  crypto::Signature signature{};

  static HeldMessage sign(const RunId& run, const PhaseKey& key, const Digest& set,
                          const crypto::KeyPair& holder);
  bool verify(const RunId& run) const;
};

// Equal digests from all expected members: everybody holds the same set, and this shows it to anybody.
struct FastProof {
  PhaseKey key;
  Digest set{};
  std::map<PeerId, crypto::Signature> holders;

  Digest digest(const RunId& run) const;
  bool verify(const RunId& run, std::span<const PeerId> expected) const;
};

// An item of the slow path with the signatures of the members that relayed it.
struct Relayed {
  std::variant<PhaseMessage, FastProof> item;
  std::map<PeerId, crypto::Signature> relays;

  const PhaseKey& key() const;
  Digest digest(const RunId& run) const;
  void add_relay(const RunId& run, const crypto::KeyPair& relay);
  static bool verify_relay(const RunId& run, const PhaseKey& key, const Digest& item, const PeerId& relay,
                           const crypto::Signature& signature);
};
using RelayBundle = std::vector<Relayed>;

using BroadcastFrame = std::variant<PhaseMessage, HeldMessage, RelayBundle>;
Bytes encode(const BroadcastFrame& frame);
// Form and bounds only; signatures are checked where the frame is used.
Result<BroadcastFrame> decode_broadcast_frame(ByteView bytes);
// Nothing for an empty bundle.
std::optional<PhaseKey> key_of(const BroadcastFrame& frame);

// Bytes of one message alone, as evidence carries it.
Bytes encode_message(const PhaseMessage& message);
Result<PhaseMessage> decode_message(ByteView bytes);

// Two signed payloads in one place: bytes that let anybody decide the fault alone. A few hundred, whatever
// the payloads were: evidence travels in COMMITs, and must not crowd them out.
struct Equivocation {
  PhaseKey key;
  PeerId offender;
  Digest first{};  // digests of the payloads
  Digest second{};
  crypto::Signature first_signature{};
  crypto::Signature second_signature{};

  // Of one key and author.
  static Equivocation between(const PhaseMessage& a, const PhaseMessage& b);
  bool verify(const RunId& run) const;
  Bytes encode() const;
  static Result<Equivocation> decode(ByteView bytes);
  // Names the place: independent of which two of its payloads somebody holds, so that all honest members
  // write the same.
  Digest digest(const RunId& run) const { return digest(run, key, offender); }
  static Digest digest(const RunId& run, const PhaseKey& key, const PeerId& offender);
};

// Greatest number of items in a bundle: two messages an author of the largest group, and a proof.
inline constexpr std::size_t bundle_limit = 2 * 256 + 1;

}  // namespace testudo::swarm
