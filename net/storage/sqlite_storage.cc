#include "net/storage/sqlite_storage.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <set>
#include <utility>

#include "crypto/base/file.h"
#include "net/storage/lost.h"

namespace testudo::net {

namespace {
// SQLite counts in int; nothing we store comes near.
constexpr std::size_t max_value = 512 * 1024 * 1024;

// Smaller ones cost less in the database than a file of their own does.
constexpr std::size_t large_value = 256 * 1024;
// The state of a model of some billion parameters.
constexpr std::size_t greatest_file = std::size_t{64} << 30;

constexpr const char* large_folder = ".large";  // beside the database

// Somebody who reads while this process starts or ends holds it up for moments only.
constexpr int reader_wait_ms = 2000;

// Beside the value itself: what SQLite's log grows to before it is folded into the database.
constexpr std::size_t room_for_log = 4 * 1024 * 1024;

// What a message about a full disk says to do.
std::string advice_when_full(const std::filesystem::path& folder, std::size_t bytes) {
  constexpr std::size_t mebibyte = 1024 * 1024;
  const std::size_t needed = (bytes + room_for_log + mebibyte - 1) / mebibyte;
  return "; the disk is full: " + std::to_string(needed) + " MiB have to be free in " +
         (folder.empty() ? std::string(".") : folder.string());
}

std::string uri_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      out += c == '%' ? "%25" : c == '?' ? "%3f" : "%23";
    } else {
      out += c;
    }
  }
  return out;
}

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

// Writes a file past the page cache, where the file system lets it: these files are read when a process
// starts, if at all, and pages for their bytes cost several times what the disk takes. The bytes go through
// an aligned block. What fails sets errno.
class BlockWriter {
 public:
  explicit BlockWriter(int file)
      : file_(file), block_(static_cast<std::uint8_t*>(std::aligned_alloc(alignment, block_size))) {
    if (!block_) throw std::bad_alloc();
    set_direct(true);
  }
  bool append(ByteView bytes) {
    while (!bytes.empty()) {
      const std::size_t count = std::min(bytes.size(), block_size - filled_);
      std::memcpy(block_.get() + filled_, bytes.data(), count);
      filled_ += count;
      bytes = bytes.subspan(count);
      if (filled_ == block_size && !write(0, std::exchange(filled_, 0))) return false;
    }
    return true;
  }
  bool finish() {
    const std::size_t aligned = filled_ / alignment * alignment;
    if (!write(0, aligned)) return false;
    set_direct(false);
    return write(aligned, std::exchange(filled_, 0));
  }

 private:
  static constexpr std::size_t alignment = 4096;  // of memory and place, for every disk there is
  static constexpr std::size_t block_size = std::size_t{1} << 20;
  struct Free {
    void operator()(std::uint8_t* bytes) const { std::free(bytes); }
  };

  // Bytes [begin, end) of the block.
  bool write(std::size_t begin, std::size_t end) {
    while (begin < end) {
      const ssize_t written = ::write(file_, block_.get() + begin, end - begin);
      if (written >= 0) {
        begin += static_cast<std::size_t>(written);
      } else if (errno == EINVAL && direct_) {
        set_direct(false);  // this file system takes the flag and nothing else
      } else if (errno != EINTR) {
        return false;
      }
    }
    return true;
  }
  void set_direct([[maybe_unused]] bool direct) {
#ifdef O_DIRECT
    const int flags = ::fcntl(file_, F_GETFL);
    direct_ = ::fcntl(file_, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0 && direct;
#endif
  }

  int file_;
  std::unique_ptr<std::uint8_t[], Free> block_;
  std::size_t filled_ = 0;
  bool direct_ = false;
};

// The folder of large values. Any thread.
class SqliteStorage::LargeFiles {
 public:
  explicit LargeFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path path_of(const std::string& name) const { return folder_ / name; }

  // The name of a new file that holds the pieces and is on disk.
  Result<std::string> add(const std::vector<ByteView>& pieces) {
    std::string name;
    int file = -1;
    while (file < 0) {
      name = std::to_string(next_++);
      file = ::open(path_of(name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      if (file < 0 && errno != EEXIST) return fail(error(name, pieces));
    }
    BlockWriter writer(file);
    bool written = true;
    for (const ByteView piece : pieces) written = written && writer.append(piece);
    written = written && writer.finish() && ::fsync(file) == 0;
    Error failure = error(name, pieces);
    written = ::close(file) == 0 && written;
    written = written && sync_folder();
    if (!written) {
      remove(name);
      return fail(std::move(failure));
    }
    return name;
  }
  void remove(const std::string& name) {
    std::error_code ignored;  // found and removed when the storage is opened the next time
    std::filesystem::remove(path_of(name), ignored);
  }
  void keep_only(const std::set<std::string>& wanted) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
      const std::string name = entry.path().filename().string();
      if (!wanted.contains(name)) remove(name);
    }
  }

 private:
  Error error(const std::string& name, const std::vector<ByteView>& pieces) const {
    const int code = errno;
    Error failure{ErrorCode::io, "write " + path_of(name).string() + ": " + std::strerror(code)};
    std::size_t size = 0;
    for (const ByteView piece : pieces) size += piece.size();
    if (code == ENOSPC || code == EDQUOT) failure.message += advice_when_full(folder_.parent_path(), size);
    return failure;
  }
  bool sync_folder() const {
    const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return false;
    const bool synced = ::fsync(folder) == 0;
    return ::close(folder) == 0 && synced;
  }

  std::filesystem::path folder_;
  std::atomic<std::uint64_t> next_ = 0;
};

struct SqliteStorage::StagedValue : Staged {
  StagedValue() = default;
  StagedValue(const StagedValue&) = delete;
  StagedValue& operator=(const StagedValue&) = delete;
  ~StagedValue() override {
    if (!file.empty() && !kept) files->remove(file);
  }
  std::shared_ptr<LargeFiles> files;
  std::string file;  // or the value itself, if it is small
  Bytes value;
  bool kept = false;  // an entry refers to the file
};

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
              where + sqlite3_errmsg(database_.get()) + ": the file is damaged; " + advice_when_lost};
    case SQLITE_FULL:
      return {ErrorCode::io, where + sqlite3_errmsg(database_.get()) +
                                 advice_when_full(std::filesystem::path(path_).parent_path(), 0)};
    default:
      return {ErrorCode::io, where + (database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code))};
  }
}

// A storage that lost everything must not pass for a new one.
Error SqliteStorage::lost(const char* how) const {
  return {ErrorCode::corrupt, path_ + " " + how + ", and it was in use: " + advice_when_lost};
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

SqliteStorage::Unlock::~Unlock() {
  if (file >= 0) ::close(file);
}

// SQLite's own exclusive mode would shut out readers, too. A lock file, because SQLite's locks are let go of
// when anybody in the process closes a descriptor of the database itself.
Result<void> SqliteStorage::lock() {
  const std::string path = path_ + ".lock";
  lock_.file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_.file < 0) return fail(ErrorCode::io, "open " + path + ": " + std::strerror(errno));
  if (::flock(lock_.file, LOCK_EX | LOCK_NB) == 0) return {};
  return fail(error(SQLITE_BUSY, "open"));
}

// That folder is made once the tables are on disk: where it lies, there was a database.
bool SqliteStorage::was_in_use(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path + large_folder, ignored);
}

Result<std::unique_ptr<SqliteStorage>> SqliteStorage::open(const std::string& path) {
  std::unique_ptr<SqliteStorage> storage(new SqliteStorage(path));
  TRY_VOID(storage->lock());
  const bool was_there = was_in_use(path);
  std::error_code failure;
  const std::uintmax_t size = std::filesystem::file_size(path, failure);
  if (was_there && failure == std::errc::no_such_file_or_directory) return fail(storage->lost("is missing"));
  // Not left to SQLite, which would take the log beside an empty file for another one's, and remove it.
  if (was_there && !failure && size == 0) return fail(storage->lost("is empty"));
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &database,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  storage->database_.reset(database);
  if (code != SQLITE_OK) return fail(storage->error(code, "open"));
  sqlite3_busy_timeout(database, reader_wait_ms);
  if (was_there) {
    TRY(const bool kept, storage->has_tables());
    if (!kept) return fail(storage->lost("holds nothing any more"));
  }
  TRY_VOID(storage->execute(
      "PRAGMA journal_mode=WAL;"
      "PRAGMA synchronous=FULL;"
      "BEGIN EXCLUSIVE;"
      "CREATE TABLE IF NOT EXISTS entries(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE IF NOT EXISTS files(key BLOB PRIMARY KEY, name BLOB NOT NULL) WITHOUT ROWID;"
      "COMMIT;"));
  TRY_VOID(storage->prepare_reading());
  TRY_VOID(storage->prepare(storage->put_, "INSERT OR REPLACE INTO entries(key,value) VALUES(?1,?2)"));
  TRY_VOID(storage->prepare(storage->erase_, "DELETE FROM entries WHERE key=?1"));
  TRY_VOID(storage->prepare(storage->put_file_, "INSERT OR REPLACE INTO files(key,name) VALUES(?1,?2)"));
  TRY_VOID(storage->prepare(storage->erase_file_, "DELETE FROM files WHERE key=?1"));
  TRY_VOID(storage->open_folder());
  return storage;
}

Result<bool> SqliteStorage::has_tables() {
  Statement tables;
  TRY_VOID(prepare(tables, "SELECT 1 FROM sqlite_master WHERE name='entries'"));
  Running running(tables.get());
  const int code = running.step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return fail(error(code, "open"));
  return code == SQLITE_ROW;
}

Result<void> SqliteStorage::prepare_reading() {
  TRY_VOID(prepare(get_, "SELECT value FROM entries WHERE key=?1"));
  TRY_VOID(prepare(keys_,
                   "SELECT key FROM (SELECT key FROM entries UNION ALL SELECT key FROM files) WHERE "
                   "key>=?1 ORDER BY key"));
  TRY_VOID(prepare(file_of_, "SELECT name FROM files WHERE key=?1"));
  return {};
}

Result<std::unique_ptr<SqliteStorage>> SqliteStorage::open_read_only(const std::string& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) {
    if (failure == std::errc::permission_denied)
      return fail(ErrorCode::io, "read " + path + ": " + failure.message());
    return fail(ErrorCode::not_found, path + " is missing");
  }
  if (::access(path.c_str(), R_OK) != 0)
    return fail(ErrorCode::io, "read " + path + ": " + std::strerror(errno));
  std::unique_ptr<SqliteStorage> storage(new SqliteStorage(path));
  // Without a log nobody has it open, and nothing needs to be made in the folder to read it. A process that
  // starts now writes its log first.
  const bool at_rest = !std::filesystem::exists(path + "-wal", failure);
  const std::string uri = "file:" + uri_path(path) + (at_rest ? "?immutable=1" : "");
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(uri.c_str(), &database,
                                   SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
  storage->database_.reset(database);
  if (code != SQLITE_OK) return fail(storage->error(code, "read"));
  sqlite3_busy_timeout(database, reader_wait_ms);
  // The transaction lasts until this reader goes: everything it reads is of one moment.
  TRY_VOID(storage->execute("BEGIN"));
  Statement tables;
  TRY_VOID(storage->prepare(tables, "SELECT count(*) FROM sqlite_schema WHERE name IN ('entries','files')"));
  Running running(tables.get());
  const int found = running.step();
  if (found != SQLITE_ROW) return fail(storage->error(found, "read"));
  if (sqlite3_column_int(tables.get(), 0) != 2)
    return fail(ErrorCode::corrupt, "read " + path + ": it is no database of a testudo node");
  TRY_VOID(storage->prepare_reading());
  storage->files_ = std::make_shared<LargeFiles>(path + large_folder);
  return storage;
}

Result<void> SqliteStorage::check() {
  Statement check;
  TRY_VOID(prepare(check, "PRAGMA quick_check(1)"));
  Running running(check.get());
  const int code = running.step();
  if (code != SQLITE_ROW) return fail(error(code, "check"));
  const std::string found(as_text(running.column(0)));
  if (found == "ok") return {};
  return fail(ErrorCode::corrupt, "check " + path_ + ": the file is damaged: " + found);
}

// What a process that died had staged is gone.
Result<void> SqliteStorage::open_folder() {
  const std::filesystem::path folder = path_ + large_folder;
  std::error_code failure;
  std::filesystem::create_directory(folder, failure);
  if (failure) return fail(ErrorCode::io, "make the folder " + folder.string() + ": " + failure.message());
  files_ = std::make_shared<LargeFiles>(folder);
  std::set<std::string> wanted;
  Statement names;
  TRY_VOID(prepare(names, "SELECT name FROM files"));
  Running running(names.get());
  int code = running.step();
  for (; code == SQLITE_ROW; code = running.step()) wanted.emplace(as_text(running.column(0)));
  if (code != SQLITE_DONE) return fail(error(code, "read"));
  files_->keep_only(wanted);
  return {};
}

Result<std::optional<std::string>> SqliteStorage::file_of(std::string_view key) {
  Running running(file_of_.get());
  running.bind(1, as_bytes(key));
  const int code = running.step();
  if (code == SQLITE_DONE) return std::optional<std::string>{};
  if (code != SQLITE_ROW) return fail(error(code, "read"));
  return std::optional<std::string>(as_text(running.column(0)));
}

Result<std::optional<Bytes>> SqliteStorage::small_value(std::string_view key) {
  Running running(get_.get());
  running.bind(1, as_bytes(key));
  const int code = running.step();
  if (code == SQLITE_ROW) return std::optional<Bytes>(running.column(0));
  if (code != SQLITE_DONE) return fail(error(code, "read"));
  return std::optional<Bytes>{};
}

Result<std::optional<Bytes>> SqliteStorage::get(std::string_view key) {
  TRY(auto small, small_value(key));
  if (small) return small;
  TRY(const auto file, file_of(key));
  if (!file) return std::optional<Bytes>{};
  auto bytes = read_file(files_->path_of(*file).string(), greatest_file);
  // Somebody removed it: then there is no such value, and whoever needs it asks others.
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::optional<Bytes>{};
  if (!bytes) return fail(std::move(bytes).error());
  return std::optional<Bytes>(std::move(*bytes));
}

// A large value's file, held open: it can be read until it is let go, also when it has been removed.
class SqliteStorage::FileValue final : public Value {
 public:
  static Result<std::shared_ptr<const Value>> open(const std::filesystem::path& path) {
    auto value = std::make_shared<FileValue>(path.string());
    value->file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (value->file_ < 0 && errno == ENOENT) return std::shared_ptr<const Value>();
    struct stat found{};
    if (value->file_ < 0 || ::fstat(value->file_, &found) != 0) return fail(value->error(errno));
    value->size_ = static_cast<std::size_t>(found.st_size);
    return value;
  }
  explicit FileValue(std::string path) : path_(std::move(path)) {}
  FileValue(const FileValue&) = delete;
  FileValue& operator=(const FileValue&) = delete;
  ~FileValue() override {
    if (file_ >= 0) ::close(file_);
  }

  std::size_t size() const override { return size_; }
  Result<Bytes> read(std::size_t offset, std::size_t count) const override {
    Bytes bytes(count);
    std::size_t done = 0;
    while (done < count) {
      const ssize_t got =
          ::pread(file_, bytes.data() + done, count - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(error(errno));
      if (got == 0) return fail(ErrorCode::corrupt, "read " + path_ + ": it has become shorter");
      done += static_cast<std::size_t>(got);
    }
    return bytes;
  }

 private:
  Error error(int code) const { return {ErrorCode::io, "read " + path_ + ": " + std::strerror(code)}; }
  std::string path_;
  int file_ = -1;
  std::size_t size_ = 0;
};

Result<std::shared_ptr<const Storage::Value>> SqliteStorage::open_value(std::string_view key) {
  TRY(auto small, small_value(key));
  if (small) return std::make_shared<ValueInMemory<Bytes>>(std::make_shared<const Bytes>(std::move(*small)));
  TRY(const auto file, file_of(key));
  if (!file) return std::shared_ptr<const Value>();
  return FileValue::open(files_->path_of(*file));
}

Storage::Stager SqliteStorage::stager() {
  return [files = files_](const std::vector<ByteView>& pieces) -> Result<std::shared_ptr<Staged>> {
    auto staged = std::make_shared<StagedValue>();
    std::size_t size = 0;
    for (const ByteView piece : pieces) size += piece.size();
    if (size < large_value) {
      for (const ByteView piece : pieces) append(staged->value, piece);
      return staged;
    }
    staged->files = files;
    TRY(staged->file, files->add(pieces));
    return staged;
  };
}

Result<void> SqliteStorage::write(std::vector<Entry> entries) {
  for (const auto& entry : entries) {
    if (entry.value && entry.value->size() > max_value) {
      return fail(ErrorCode::limit, "value of " + entry.key + " is too large");
    }
  }
  TRY_VOID(execute("BEGIN IMMEDIATE"));
  std::vector<std::string> replaced;
  auto written = write_entries(entries, replaced);
  if (written) {
    // Also if that fails: it may have taken effect. What nothing refers to is removed at the next start.
    for (const auto& entry : entries) {
      if (entry.staged) static_cast<StagedValue&>(*entry.staged).kept = true;
    }
    written = execute("COMMIT");
  }
  if (!written) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    return written;
  }
  for (const std::string& name : replaced) files_->remove(name);
  return {};
}

// `replaced`: files that nothing refers to any more, once this is committed.
Result<void> SqliteStorage::write_entries(const std::vector<Entry>& entries,
                                          std::vector<std::string>& replaced) {
  const auto run = [this](sqlite3_stmt* statement, ByteView key,
                          std::optional<ByteView> value) -> Result<void> {
    Running running(statement);
    running.bind(1, key);
    if (value) running.bind(2, *value);
    const int code = running.step();
    if (code != SQLITE_DONE) return fail(error(code, "write"));
    return {};
  };
  for (const auto& entry : entries) {
    const ByteView key = as_bytes(entry.key);
    const auto* staged = static_cast<const StagedValue*>(entry.staged.get());
    const bool in_file = staged != nullptr && !staged->file.empty();
    TRY(const auto before, file_of(entry.key));
    if (before && !(in_file && staged->file == *before)) {
      replaced.push_back(*before);
      TRY_VOID(run(erase_file_.get(), key, std::nullopt));
    }
    if (in_file) {
      TRY_VOID(run(erase_.get(), key, std::nullopt));
      TRY_VOID(run(put_file_.get(), key, as_bytes(staged->file)));
    } else if (staged != nullptr || entry.value) {
      TRY_VOID(run(put_.get(), key, staged != nullptr ? ByteView(staged->value) : ByteView(*entry.value)));
    } else {
      TRY_VOID(run(erase_.get(), key, std::nullopt));
    }
  }
  return {};
}

Result<std::vector<std::string>> SqliteStorage::keys(std::string_view prefix) {
  std::vector<std::string> found;
  Running running(keys_.get());
  running.bind(1, as_bytes(prefix));
  while (true) {
    const int code = running.step();
    if (code == SQLITE_DONE) return found;
    if (code != SQLITE_ROW) return fail(error(code, "read"));
    const Bytes key = running.column(0);
    if (!as_text(key).starts_with(prefix)) return found;
    found.emplace_back(as_text(key));
  }
}

Result<std::vector<std::pair<std::string, Bytes>>> SqliteStorage::list(std::string_view prefix) {
  TRY(const auto names, keys(prefix));
  std::vector<std::pair<std::string, Bytes>> found;
  for (const std::string& name : names) {
    TRY(auto value, get(name));
    if (value) found.emplace_back(name, std::move(*value));
  }
  return found;
}

}  // namespace testudo::net
