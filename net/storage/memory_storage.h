// MemoryStorage: a Storage for tests and the simulator, with faults on demand. Loop thread only.
#pragma once

#include <map>
#include <set>
#include <string>

#include "net/storage/storage.h"

namespace testudo::net {

class MemoryStorage final : public Storage {
 public:
  Result<std::optional<Bytes>> get(std::string_view key) override;
  // A write that fails leaves nothing behind, as on disk.
  Result<void> write(std::vector<Entry> entries) override;
  Result<std::vector<std::pair<std::string, Bytes>>> list(std::string_view prefix) override;

  // The `n`th write from now fails (1 is the next).
  void fail_write(std::uint64_t n) { failing_.insert(writes_ + n); }
  // From now on every read and write fails, as on a dying disk.
  void fail_everything(bool broken) { broken_ = broken; }
  std::uint64_t writes() const { return writes_; }

 private:
  std::map<std::string, Bytes, std::less<>> entries_;
  std::uint64_t writes_ = 0;
  std::set<std::uint64_t> failing_;
  bool broken_ = false;
};

}  // namespace testudo::net
