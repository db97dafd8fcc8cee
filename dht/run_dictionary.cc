#include "dht/run_dictionary.h"

#include <algorithm>
#include <tuple>

#include "crypto/base/encoding.h"
#include "crypto/hash.h"
#include "crypto/signing.h"
#include "net/messages/message.h"

namespace testudo::dht {

namespace {
constexpr std::string_view entry_domain = "testudo run entry 1";
constexpr std::size_t max_checked = 8192;

std::uint64_t milliseconds(UnixTime time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

struct SignedEntry {
  Digest run_id{};
  crypto::PeerId peer;
  std::uint64_t sequence = 0;
  std::uint64_t expires = 0;
  Bytes payload;
  MSGPACK_DEFINE(run_id, peer, sequence, expires, payload)
};
struct StoredEntry {
  crypto::PeerId peer;
  std::uint64_t sequence = 0;
  std::uint64_t expires = 0;
  Bytes payload;
  crypto::Signature signature{};
  MSGPACK_DEFINE(peer, sequence, expires, payload, signature)
};

Bytes signed_bytes(const Digest& run_id, const RunEntry& entry) {
  return net::pack(
      SignedEntry{run_id, entry.peer, entry.sequence, milliseconds(entry.expires), entry.payload});
}
bool is_newer(const RunEntry& a, const RunEntry& b) {
  return std::tie(a.sequence, a.expires, a.payload, a.signature) >
         std::tie(b.sequence, b.expires, b.payload, b.signature);
}
bool is_alive(const RunEntry& entry, UnixTime now) {
  return entry.expires > now && entry.expires - now <= RunDictionary::max_ttl;
}
}  // namespace

RunEntry RunEntry::make(const crypto::KeyPair& key, const Digest& run_id, std::uint64_t sequence,
                        UnixTime expires, Bytes payload) {
  RunEntry entry{key.peer_id(), sequence, expires, std::move(payload), {}};
  entry.signature = crypto::sign(key, entry_domain, signed_bytes(run_id, entry));
  return entry;
}

bool RunEntry::is_signed_for(const Digest& run_id) const {
  return crypto::verify(peer.key(), entry_domain, signed_bytes(run_id, *this), signature);
}

std::string RunDictionary::key_of(const Digest& run_id) { return std::string(prefix) + to_hex(run_id); }

Result<Digest> RunDictionary::run_of(std::string_view key) {
  if (!key.starts_with(prefix)) return fail(ErrorCode::invalid_argument, "not a key of a run");
  return digest_from_hex(key.substr(prefix.size()));
}

Result<std::vector<RunEntry>> RunDictionary::parse(ByteView bytes) {
  net::MessageLimits limits;
  limits.elements = std::max(max_entries, RunEntry::max_payload);
  limits.depth = 4;
  TRY(auto stored, net::unpack<std::vector<StoredEntry>>(bytes, limits));
  if (stored.size() > max_entries) return fail(ErrorCode::limit, "too many entries in a run's dictionary");
  std::vector<RunEntry> entries;
  entries.reserve(stored.size());
  for (auto& entry : stored) {
    if (entry.payload.size() > RunEntry::max_payload)
      return fail(ErrorCode::limit, "payload of a run entry too large");
    if (entry.expires > far_future) return fail(ErrorCode::protocol, "a run entry expires never");
    if (!entries.empty() && !(entries.back().peer < entry.peer)) {
      return fail(ErrorCode::protocol, "run entries out of order");
    }
    entries.push_back({entry.peer, entry.sequence, UnixTime(std::chrono::milliseconds(entry.expires)),
                       std::move(entry.payload), entry.signature});
  }
  return entries;
}

Bytes RunDictionary::encode() const {
  std::vector<StoredEntry> stored;
  stored.reserve(entries_.size());
  for (const auto& [peer, entry] : entries_) {
    stored.push_back({peer, entry.sequence, milliseconds(entry.expires), entry.payload, entry.signature});
  }
  return net::pack(stored);
}

void RunDictionary::add(const RunEntry& entry, UnixTime now) {
  if (!is_alive(entry, now) || entry.payload.size() > RunEntry::max_payload) return;
  auto [it, inserted] = entries_.try_emplace(entry.peer, entry);
  if (!inserted && is_newer(entry, it->second)) it->second = entry;
}

void RunDictionary::shrink(const IdentityCost& cost) {
  if (entries_.size() <= max_entries) return;
  struct Rank {
    std::uint64_t cost;
    Digest lot;
    crypto::PeerId peer;
  };
  std::vector<Rank> ranks;
  for (const auto& [peer, entry] : entries_) {
    const Digest lot =
        crypto::Hasher("testudo run place 1").bytes(run_id_).bytes(peer.to_multihash()).finish();
    ranks.push_back({cost ? cost(peer) : 0, lot, peer});
  }
  std::ranges::sort(
      ranks, [](const Rank& a, const Rank& b) { return a.cost != b.cost ? a.cost > b.cost : a.lot < b.lot; });
  for (std::size_t i = max_entries; i < ranks.size(); ++i) entries_.erase(ranks[i].peer);
}

bool RunDictionaryValidator::holds(const Digest& run_id, const RunEntry& entry) {
  const Digest what = crypto::Hasher("testudo checked entry")
                          .bytes(signed_bytes(run_id, entry))
                          .bytes(entry.signature)
                          .finish();
  if (checked_.contains(what)) return true;
  if (!entry.is_signed_for(run_id)) return false;
  if (checked_.size() >= max_checked) checked_.clear();
  checked_.insert(what);
  return true;
}

Result<void> RunDictionaryValidator::validate(std::string_view key, ByteView value, UnixTime now) {
  TRY(const Digest run_id, RunDictionary::run_of(key));
  if (RunDictionary::key_of(run_id) != key) return fail(ErrorCode::invalid_argument, "unusual run key");
  TRY(const auto entries, RunDictionary::parse(value));
  for (const auto& entry : entries) {
    if (entry.expires <= now) continue;
    if (!holds(run_id, entry)) {
      return fail(ErrorCode::authentication, "entry of " + entry.peer.to_text() + " is not signed by it");
    }
  }
  return {};
}

std::size_t RunDictionaryValidator::select(std::string_view, std::span<const Bytes>) { return 0; }

std::optional<Bytes> RunDictionaryValidator::merge(std::string_view key, ByteView a, ByteView b,
                                                   UnixTime now) {
  auto run_id = RunDictionary::run_of(key);
  if (!run_id) return std::nullopt;
  RunDictionary merged(*run_id);
  for (ByteView bytes : {a, b}) {
    auto entries = RunDictionary::parse(bytes);
    if (!entries) continue;
    for (const auto& entry : *entries) merged.add(entry, now);
  }
  merged.shrink(cost_);
  return merged.encode();
}

}  // namespace testudo::dht
