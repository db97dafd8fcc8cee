// SqliteStorage: the Storage of a real node, one SQLite file in WAL mode with synchronous=FULL: what
// write() returned from is on disk. Large values lie in files of their own, in a folder beside it, so that
// they are written once and not while the loop waits; the database says which file is whose. One process
// holds the file at a time (a lock file beside it says so); others may read it meanwhile. Loop thread only,
// but for what stager() gives.
#pragma once

#include <memory>
#include <string>

#include "net/storage/storage.h"

struct sqlite3;
struct sqlite3_stmt;

namespace testudo::net {

class SqliteStorage final : public Storage {
 public:
  // Creates the file when there has never been one. `refused` when another process holds it, `corrupt` when
  // it is not ours, or was there and is missing or empty, `io` for what the disk says.
  static Result<std::unique_ptr<SqliteStorage>> open(const std::string& path);
  // Whether one was opened here before, even if its file is gone.
  static bool was_in_use(const std::string& path);
  // As it is now, and as it stays for this reader whatever the process that holds it writes; changes nothing,
  // and nothing can be written. not_found where there is no file; else as open().
  static Result<std::unique_ptr<SqliteStorage>> open_read_only(const std::string& path);
  ~SqliteStorage() override;

  std::string name() const override { return path_; }
  // Whether the file is sound as a database: corrupt says where not. Reads all of it.
  Result<void> check();
  Result<std::optional<Bytes>> get(std::string_view key) override;
  Result<std::shared_ptr<const Value>> open_value(std::string_view key) override;
  Stager stager() override;
  Result<void> write(std::vector<Entry> entries) override;
  Result<std::vector<std::string>> keys(std::string_view prefix) override;
  Result<std::vector<std::pair<std::string, Bytes>>> list(std::string_view prefix) override;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  class LargeFiles;
  class FileValue;
  struct Unlock {
    int file = -1;
    ~Unlock();
  };
  struct StagedValue;
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  explicit SqliteStorage(std::string path) : path_(std::move(path)) {}
  Result<void> lock();
  Result<bool> has_tables();
  Result<void> prepare_reading();
  Result<void> execute(const char* sql);
  Result<void> prepare(Statement& out, const char* sql);
  Result<void> write_entries(const std::vector<Entry>& entries, std::vector<std::string>& replaced);
  Result<std::optional<Bytes>> small_value(std::string_view key);
  Result<std::optional<std::string>> file_of(std::string_view key);
  Result<void> open_folder();
  Error error(int code, const char* doing) const;
  Error lost(const char* how) const;

  std::string path_;
  Unlock lock_;  // let go of after the database is closed
  std::unique_ptr<sqlite3, Close> database_;
  Statement get_;
  Statement put_;
  Statement erase_;
  Statement keys_;
  Statement file_of_;
  Statement put_file_;
  Statement erase_file_;
  std::shared_ptr<LargeFiles> files_;  // staged values hold it, too
};

}  // namespace testudo::net
