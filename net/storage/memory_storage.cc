#include "net/storage/memory_storage.h"

namespace testudo::net {

Result<std::optional<Bytes>> MemoryStorage::get(std::string_view key) {
  if (broken_) return fail(ErrorCode::io, "injected read fault");
  auto it = entries_.find(key);
  if (it == entries_.end()) return std::optional<Bytes>{};
  return std::optional<Bytes>(it->second);
}

Result<void> MemoryStorage::write(std::vector<Entry> entries) {
  if (failing_.erase(++writes_) > 0 || broken_) return fail(ErrorCode::io, "injected write fault");
  for (auto& entry : entries) {
    if (entry.value) {
      entries_[std::move(entry.key)] = std::move(*entry.value);
    } else {
      entries_.erase(entry.key);
    }
  }
  return {};
}

Result<std::vector<std::pair<std::string, Bytes>>> MemoryStorage::list(std::string_view prefix) {
  if (broken_) return fail(ErrorCode::io, "injected read fault");
  std::vector<std::pair<std::string, Bytes>> found;
  for (auto it = entries_.lower_bound(prefix); it != entries_.end() && it->first.starts_with(prefix); ++it) {
    found.emplace_back(*it);
  }
  return found;
}

}  // namespace testudo::net
