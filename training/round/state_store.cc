#include "training/round/state_store.h"

#include <algorithm>

#include "crypto/base/encoding.h"
#include "swarm/sync.h"

namespace testudo::training {

namespace {
constexpr std::string_view prefix = "state/";
constexpr std::size_t recent_states = 3;

std::string key_of(const Digest& root) { return std::string(prefix) + to_hex(root); }
}  // namespace

Result<void> StateStore::open(const TrainingState::Sizes& sizes) {
  sizes_ = sizes;
  TRY(const auto entries, storage_.list(prefix));
  for (const auto& [key, value] : entries) on_disk_.insert(key);
  return {};
}

std::vector<net::Storage::Entry> StateStore::to_store(const Digest& root, const TrainingState& state) const {
  std::vector<net::Storage::Entry> entries;
  if (!on_disk_.contains(key_of(root))) entries.push_back({key_of(root), to_bytes(state.encoded())});
  return entries;
}

std::vector<net::Storage::Entry> StateStore::to_forget_all_but(const Digest& root) const {
  std::vector<net::Storage::Entry> entries;
  for (const std::string& key : on_disk_) {
    if (key != key_of(root)) entries.push_back({key, std::nullopt});
  }
  return entries;
}

void StateStore::stored(const std::vector<net::Storage::Entry>& entries) {
  for (const auto& entry : entries) {
    if (!entry.key.starts_with(prefix)) continue;
    if (entry.value) {
      on_disk_.insert(entry.key);
    } else {
      on_disk_.erase(entry.key);
    }
  }
}

void StateStore::remember(const Digest& root, State state) {
  const auto known = std::ranges::find(recent_, root, &std::pair<Digest, State>::first);
  if (known != recent_.end()) return;
  recent_.emplace_back(root, std::move(state));
  if (recent_.size() > recent_states) recent_.pop_front();
}

StateStore::State StateStore::find(const Digest& root) {
  const auto known = std::ranges::find(recent_, root, &std::pair<Digest, State>::first);
  if (known != recent_.end()) return known->second;
  if (!on_disk_.contains(key_of(root))) return nullptr;
  auto stored = storage_.get(key_of(root));
  if (!stored || !*stored || swarm::state_root(**stored) != root) return nullptr;
  auto state = TrainingState::decode(Buffer::copy_of(**stored), sizes_);
  if (!state) return nullptr;
  remember(root, std::make_shared<const TrainingState>(std::move(*state)));
  return recent_.back().second;
}

}  // namespace testudo::training
