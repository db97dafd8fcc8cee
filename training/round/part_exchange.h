// PartExchange: moves encoded parts between members, on `/testudo/part/1.0.0`: a small header, then the bytes
// as they were encoded. Keeps what arrives for the attempt that runs and for the next one; whoever waits
// checks it against the agreed hash. Owned by the participant; loop thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "net/async/event.h"
#include "swarm/links.h"
#include "swarm/types.h"
#include "training/partition.h"

namespace testudo::training {

enum class PartKind : std::uint8_t {
  contribution = 1,  // member to reducer
  result = 2,        // reducer to member
  audited = 3,       // of the last round, to the auditor of its result
};

struct PartKey {
  swarm::RoundNumber round;
  swarm::Attempt attempt;
  PartKind kind = PartKind::contribution;
  PartIndex part;  // audited: whose, by its place among the contributors
  auto operator<=>(const PartKey&) const = default;
};

class PartExchange {
 public:
  // `whole` is the encoded size of all values: no part is larger. `spare` lends the memory of what arrives.
  PartExchange(net::Host& host, std::size_t whole, std::size_t max_parts,
               std::function<bool(const swarm::PeerId&)> is_member, std::shared_ptr<SpareBuffers> spare);

  void send(const swarm::PeerId& to, const PartKey& key, Blob bytes);
  // What `from` sent last under this key, or null.
  Blob find(const PartKey& key, const swarm::PeerId& from) const;
  // Pulses at every arrival.
  net::Event& arrived() { return arrived_; }
  // Drops what belongs to earlier attempts, and accepts what belongs to this round and the next.
  void enter(swarm::RoundNumber round, swarm::Attempt attempt);
  // Drops what arrived of this kind for the attempt that runs.
  void drop(PartKind kind);
  // What a frame's header says; nothing when it is none.
  static std::optional<PartKey> key_in(ByteView header);
  void forget(const swarm::PeerId& peer) { links_.forget(peer); }

 private:
  void receive(const swarm::PeerId& from, Bytes header, Buffer blob);
  template <typename Gone>
  void erase_if(Gone gone);

  std::size_t max_parts_;
  std::shared_ptr<SpareBuffers> spare_;
  swarm::RoundNumber round_;
  swarm::Attempt attempt_;
  std::map<std::pair<PartKey, swarm::PeerId>, Blob> parts_;
  std::map<swarm::PeerId, std::size_t> held_;  // bytes in parts_, a sender
  // A sender's contributions, results and what it shows auditors, of this attempt and the next: each is all
  // values at most.
  std::size_t held_limit_;
  net::Event arrived_;
  net::Misbehaviour misbehaviour_{"/testudo/part/1.0.0"};
  swarm::Links links_;
};

}  // namespace testudo::training
