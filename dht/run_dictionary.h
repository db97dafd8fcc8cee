// RunDictionary: who takes part in a run, under `/testudo/run/<run_id>`. A set of entries, one a peer, each
// signed by its peer; the DHT merges what it is given, so that concurrent writers never erase each other.
//
// 1. An entry counts if its peer signed it for this run, its payload is at most 1 KiB and it expires within
//    `max_ttl`: a peer that is gone leaves within that time, and nobody occupies a place for ever.
// 2. Of two entries of one peer the higher sequence number stays; of equal ones the larger bytes, so that
//    the order of merging does not matter.
// 3. At most 256 entries. A full dictionary keeps the peers whose identities were costlier, and among equals
//    those with the smallest BLAKE2b(run, peer), which nobody chooses for free for more than one run:
//    flooding with fresh identities does not push out who paid for theirs.
// 4. Entries stand in the order of their peers: equal sets have equal bytes.
// Merging is commutative, associative and idempotent (at one `now`). Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "dht/validator.h"

namespace testudo::dht {

struct RunEntry {
  static constexpr std::size_t max_payload = 1024;
  crypto::PeerId peer;
  std::uint64_t sequence = 0;
  UnixTime expires;
  Bytes payload;
  crypto::Signature signature{};

  static RunEntry make(const crypto::KeyPair& key, const Digest& run_id, std::uint64_t sequence,
                       UnixTime expires, Bytes payload);
  bool is_signed_for(const Digest& run_id) const;
};

class RunDictionary {
 public:
  static constexpr std::string_view prefix = "/testudo/run/";
  static constexpr std::size_t max_entries = 256;
  static constexpr net::Duration max_ttl = std::chrono::hours(24);
  // What the peer's identity cost it, as far as the holder knows; 0 for unknown.
  using IdentityCost = std::function<std::uint64_t(const crypto::PeerId&)>;

  explicit RunDictionary(const Digest& run_id) : run_id_(run_id) {}
  static std::string key_of(const Digest& run_id);
  static Result<Digest> run_of(std::string_view key);

  // Structure only; add() checks entries.
  static Result<std::vector<RunEntry>> parse(ByteView bytes);
  Bytes encode() const;
  // Takes the entry if it is alive and newer than what is there. The caller has checked the signature.
  void add(const RunEntry& entry, UnixTime now);
  // Rule 3.
  void shrink(const IdentityCost& cost);
  const std::map<crypto::PeerId, RunEntry>& entries() const { return entries_; }

 private:
  Digest run_id_;
  std::map<crypto::PeerId, RunEntry> entries_;
};

class RunDictionaryValidator final : public Validator {
 public:
  explicit RunDictionaryValidator(RunDictionary::IdentityCost cost = {}) : cost_(std::move(cost)) {}
  // All its live entries hold; expired ones are tolerated and dropped by merging.
  Result<void> validate(std::string_view key, ByteView value, UnixTime now) override;
  std::size_t select(std::string_view key, std::span<const Bytes> values) override;
  std::optional<Bytes> merge(std::string_view key, ByteView a, ByteView b, UnixTime now) override;
  bool merges() const override { return true; }

 private:
  bool holds(const Digest& run_id, const RunEntry& entry);

  RunDictionary::IdentityCost cost_;
  // Signatures that were checked: a dictionary comes by again and again with mostly the same entries.
  std::set<Digest> checked_;
};

}  // namespace testudo::dht
