// Storage: the seam for what must survive: a small, crash-safe map from text keys to bytes. SqliteStorage
// keeps it in one file of the data directory, MemoryStorage in memory; FaultyStorage fails on demand. Loop
// thread only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo::net {

class Storage {
 public:
  virtual ~Storage() = default;
  // Where it keeps things, for messages: the path of a file.
  virtual std::string name() const { return "the storage"; }
  virtual Result<std::optional<Bytes>> get(std::string_view key) = 0;
  struct Entry {
    std::string key;
    std::optional<Bytes> value;  // nothing: erase
  };
  // All entries or none, on disk when it returns: the caller may act on it (sign, send) at once.
  virtual Result<void> write(std::vector<Entry> entries) = 0;
  Result<void> put(std::string key, Bytes value) {
    std::vector<Entry> entries;
    entries.push_back({std::move(key), std::move(value)});
    return write(std::move(entries));
  }
  // Keys that start with `prefix`, in byte order.
  virtual Result<std::vector<std::pair<std::string, Bytes>>> list(std::string_view prefix) = 0;
};

}  // namespace testudo::net
