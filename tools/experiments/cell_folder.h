// The files of an experiment's cells: OUT/cells/ATTACK.DEFENCE.SEED.jsonl, and a lock beside each that is
// being computed, so that several processes share the work. One thread.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "tools/experiments/cell.h"

namespace testudo::tools {

class CellFolder {
 public:
  explicit CellFolder(const std::string& out) : folder_(out + "/cells") {}

  const std::string& path() const { return folder_; }
  // Before anything is stored or locked; looking makes no folder.
  Result<void> make() const;

  // Nothing: not run yet. Errors name the file, and say what to do: damaged; run with other settings.
  Result<std::optional<CellRecord>> load(const ExperimentSettings& settings, const Cell& cell) const;
  Result<void> store(const ExperimentSettings& settings, const Cell& cell, const CellRecord& record) const;

  // Held until it is let go of, or the process ends however it may.
  class Lock {
   public:
    explicit Lock(int file) : file_(file) {}
    Lock(Lock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    Lock& operator=(Lock&&) = delete;
    ~Lock();

   private:
    int file_;
  };
  // Nothing: somebody else computes it.
  Result<std::optional<Lock>> lock(const Cell& cell) const;

 private:
  std::string file(const Cell& cell, const char* ending) const;
  std::string folder_;
};

}  // namespace testudo::tools
