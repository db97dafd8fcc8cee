#include "net/storage/sqlite_storage.h"

#include <sqlite3.h>

namespace testudo::net {

namespace {
// SQLite counts in int; nothing we store comes near.
constexpr std::size_t max_value = 512 * 1024 * 1024;

// A statement in use; reset afterwards so that it holds no lock and no pointer to our bytes.
class Running {
 public:
  explicit Running(sqlite3_stmt* statement) : statement_(statement) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  int bind(int index, ByteView bytes) {
    // A null pointer would bind NULL.
    static constexpr std::uint8_t nothing = 0;
    return sqlite3_bind_blob64(statement_, index, bytes.empty() ? &nothing : bytes.data(), bytes.size(),
                               SQLITE_STATIC);
  }
  int step() { return sqlite3_step(statement_); }
  Bytes column(int index) {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, index));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, index));
    return size == 0 ? Bytes{} : Bytes(data, data + size);
  }

 private:
  sqlite3_stmt* statement_;
};
}  // namespace

void SqliteStorage::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }
void SqliteStorage::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

SqliteStorage::~SqliteStorage() = default;

Error SqliteStorage::error(int code, const char* doing) const {
  const std::string where = std::string(doing) + " " + path_ + ": ";
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::refused, where + "another process uses this data directory"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorCode::corrupt,
              where + sqlite3_errmsg(database_.get()) +
                  ": the file is damaged; put back a copy, or use another --data directory"};
    default:
      return {ErrorCode::io, where + (database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code))};
  }
}

Result<void> SqliteStorage::execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code, "open"));
  return {};
}

Result<void> SqliteStorage::prepare(Statement& out, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  out.reset(statement);
  if (code != SQLITE_OK) return fail(error(code, "open"));
  return {};
}

Result<std::unique_ptr<SqliteStorage>> SqliteStorage::open(const std::string& path) {
  std::unique_ptr<SqliteStorage> storage(new SqliteStorage(path));
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &database,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  storage->database_.reset(database);
  if (code != SQLITE_OK) return fail(storage->error(code, "open"));
  // The exclusive mode must be set before the WAL is first touched: the lock is then held until we close,
  // and the empty transaction takes it now rather than at the first write.
  TRY_VOID(storage->execute(
      "PRAGMA locking_mode=EXCLUSIVE;"
      "PRAGMA journal_mode=WAL;"
      "PRAGMA synchronous=FULL;"
      "BEGIN EXCLUSIVE;"
      "CREATE TABLE IF NOT EXISTS entries(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
      "COMMIT;"));
  TRY_VOID(storage->prepare(storage->get_, "SELECT value FROM entries WHERE key=?1"));
  TRY_VOID(storage->prepare(storage->put_, "INSERT OR REPLACE INTO entries(key,value) VALUES(?1,?2)"));
  TRY_VOID(storage->prepare(storage->erase_, "DELETE FROM entries WHERE key=?1"));
  TRY_VOID(storage->prepare(storage->list_, "SELECT key,value FROM entries WHERE key>=?1 ORDER BY key"));
  return storage;
}

Result<std::optional<Bytes>> SqliteStorage::get(std::string_view key) {
  Running running(get_.get());
  running.bind(1, as_bytes(key));
  const int code = running.step();
  if (code == SQLITE_DONE) return std::optional<Bytes>{};
  if (code != SQLITE_ROW) return fail(error(code, "read"));
  return std::optional<Bytes>(running.column(0));
}

Result<void> SqliteStorage::write(std::vector<Entry> entries) {
  for (const auto& entry : entries) {
    if (entry.value && entry.value->size() > max_value) {
      return fail(ErrorCode::limit, "value of " + entry.key + " is too large");
    }
  }
  TRY_VOID(execute("BEGIN IMMEDIATE"));
  auto written = write_entries(entries);
  if (written) written = execute("COMMIT");
  if (!written) sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return written;
}

Result<void> SqliteStorage::write_entries(const std::vector<Entry>& entries) {
  for (const auto& entry : entries) {
    Running running(entry.value ? put_.get() : erase_.get());
    running.bind(1, as_bytes(entry.key));
    if (entry.value) running.bind(2, *entry.value);
    const int code = running.step();
    if (code != SQLITE_DONE) return fail(error(code, "write"));
  }
  return {};
}

Result<std::vector<std::pair<std::string, Bytes>>> SqliteStorage::list(std::string_view prefix) {
  std::vector<std::pair<std::string, Bytes>> found;
  Running running(list_.get());
  running.bind(1, as_bytes(prefix));
  while (true) {
    const int code = running.step();
    if (code == SQLITE_DONE) return found;
    if (code != SQLITE_ROW) return fail(error(code, "read"));
    const Bytes key = running.column(0);
    if (!as_text(key).starts_with(prefix)) return found;
    found.emplace_back(as_text(key), running.column(1));
  }
}

}  // namespace testudo::net
