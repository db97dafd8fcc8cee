#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "net/storage/faulty_storage.h"
#include "net/storage/memory_storage.h"
#include "net/storage/sqlite_storage.h"

namespace testudo::net {
namespace {

struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "testudo-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

void check_behaviour(Storage& storage) {
  CHECK(storage.get("a/1")->has_value() == false);
  REQUIRE(storage.put("a/1", to_bytes("one")).has_value());
  REQUIRE(storage.put("a/2", Bytes{}).has_value());
  REQUIRE(storage.put("b/1", Bytes{0, 255, 7}).has_value());
  CHECK(**storage.get("a/1") == to_bytes("one"));
  CHECK(**storage.get("a/2") == Bytes{});
  CHECK(**storage.get("b/1") == Bytes{0, 255, 7});
  auto listed = storage.list("a/");
  REQUIRE(listed->size() == 2);
  CHECK((*listed)[0].first == "a/1");
  CHECK((*listed)[1].first == "a/2");
  std::vector<Storage::Entry> batch;
  batch.push_back({"a/1", std::nullopt});
  batch.push_back({"a/3", to_bytes("three")});
  REQUIRE(storage.write(std::move(batch)).has_value());
  CHECK(storage.get("a/1")->has_value() == false);
  CHECK(storage.list("")->size() == 3);
}

TEST_CASE("both storages store, erase and list") {
  TemporaryFolder folder;
  MemoryStorage memory;
  check_behaviour(memory);
  auto sqlite = SqliteStorage::open(folder.path / "state.db");
  REQUIRE(sqlite.has_value());
  check_behaviour(**sqlite);
}

// Both kinds of values: those that lie in the database and those with a file of their own.
void check_staging(Storage& storage) {
  for (const std::size_t size : {std::size_t{10}, std::size_t{300'000}}) {
    const Bytes first(size, 1);
    const Bytes second(size, 2);
    auto staged = storage.stager()({first, second});
    REQUIRE(staged.has_value());
    CHECK(storage.get("large")->has_value() == false);
    std::vector<Storage::Entry> entries;
    entries.push_back({"large", std::nullopt, *staged});
    REQUIRE(storage.write(entries).has_value());
    Bytes both = first;
    append(both, second);
    CHECK(**storage.get("large") == both);
    CHECK(*storage.keys("lar") == std::vector<std::string>{"large"});
    const auto value = *storage.open_value("large");
    REQUIRE(value);
    CHECK(value->size() == both.size());
    CHECK(*value->read(size - 1, 2) == Bytes{1, 2});
    REQUIRE(storage.write(entries).has_value());  // once more, as after a write of which nobody knows
    CHECK(**storage.get("large") == both);
    REQUIRE(storage.put("large", to_bytes("small")).has_value());
    CHECK(**storage.get("large") == to_bytes("small"));
    entries[0].staged = *storage.stager()({second});
    REQUIRE(storage.write(entries).has_value());
    CHECK(storage.list("large")->front().second == second);
    entries[0].staged = nullptr;
    REQUIRE(storage.write(entries).has_value());
    CHECK(storage.get("large")->has_value() == false);
    CHECK(storage.keys("large")->empty());
    CHECK(*storage.open_value("large") == nullptr);
    CHECK(*value->read(0, 2 * size) == both);  // what is open stays
  }
}

TEST_CASE("both storages stage values that become entries when they are written") {
  TemporaryFolder folder;
  MemoryStorage memory;
  check_staging(memory);
  auto sqlite = SqliteStorage::open(folder.path / "state.db");
  REQUIRE(sqlite.has_value());
  check_staging(**sqlite);
  CHECK(std::filesystem::is_empty(folder.path / "state.db.large"));
}

TEST_CASE("a large value outlives a restart; what was staged and not written does not") {
  TemporaryFolder folder;
  const std::string path = folder.path / "state.db";
  const Bytes large(500'000, 7);
  std::shared_ptr<Storage::Staged> never_written;
  {
    auto storage = SqliteStorage::open(path);
    std::vector<Storage::Entry> entries;
    entries.push_back({"kept", std::nullopt, *(*storage)->stager()({large})});
    REQUIRE((*storage)->write(entries).has_value());
    never_written = *(*storage)->stager()({large});
  }
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(path + ".large"),
                         std::filesystem::directory_iterator());
  };
  CHECK(files() == 2);
  auto storage = SqliteStorage::open(path);
  REQUIRE(storage.has_value());
  CHECK(files() == 1);
  CHECK(**(*storage)->get("kept") == large);
  never_written.reset();
  CHECK(**(*storage)->get("kept") == large);
  std::filesystem::remove_all(path + ".large");
  REQUIRE((*storage)->get("kept").has_value());
  CHECK_FALSE((*storage)->get("kept")->has_value());
}

TEST_CASE("what was written is there after a reopen") {
  TemporaryFolder folder;
  const std::string path = folder.path / "state.db";
  {
    auto storage = SqliteStorage::open(path);
    REQUIRE((*storage)->put("key", to_bytes("value")).has_value());
  }
  auto again = SqliteStorage::open(path);
  REQUIRE(again.has_value());
  CHECK(**(*again)->get("key") == to_bytes("value"));
}

TEST_CASE("what was written survives a process that dies at once") {
  TemporaryFolder folder;
  const std::string path = folder.path / "state.db";
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto storage = SqliteStorage::open(path);
    if (!storage || !(*storage)->put("key", to_bytes("value"))) _exit(1);
    _exit(0);  // nothing is closed or flushed
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WEXITSTATUS(status) == 0);
  auto again = SqliteStorage::open(path);
  REQUIRE(again.has_value());
  CHECK(**(*again)->get("key") == to_bytes("value"));
}

TEST_CASE("a second holder of the file is refused with a clear error") {
  TemporaryFolder folder;
  const std::string path = folder.path / "state.db";
  auto first = SqliteStorage::open(path);
  REQUIRE(first.has_value());
  auto second = SqliteStorage::open(path);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::refused);
  CHECK(second.error().message.find("another process") != std::string::npos);
}

TEST_CASE("others read the file while it is held, as it was when they began, and leave no trace") {
  TemporaryFolder folder;
  const std::string path = folder.path / "a ?#%41 b.db";
  CHECK(SqliteStorage::open_read_only(path).error().code == ErrorCode::not_found);
  auto holder = SqliteStorage::open(path);
  REQUIRE(holder.has_value());
  REQUIRE((*holder)->put("key", to_bytes("before")));
  const auto large = (*holder)->stager()({Bytes(1 << 20, 3)});
  REQUIRE(large.has_value());
  std::vector<Storage::Entry> entries;
  entries.push_back({"large", std::nullopt, *large});
  REQUIRE((*holder)->write(std::move(entries)));
  auto reader = SqliteStorage::open_read_only(path);
  REQUIRE(reader.has_value());
  REQUIRE((*holder)->put("key", to_bytes("after")));
  CHECK(**(*reader)->get("key") == to_bytes("before"));
  CHECK(**(*reader)->get("large") == Bytes(1 << 20, 3));
  CHECK((*reader)->check().has_value());
  CHECK_FALSE((*reader)->put("key", to_bytes("mine")).has_value());
  reader->reset();
  holder->reset();

  const auto files = [&] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path)) names.insert(entry.path());
    return names;
  };
  const auto at_rest = files();
  auto later = SqliteStorage::open_read_only(path);
  REQUIRE(later.has_value());
  CHECK(**(*later)->get("key") == to_bytes("after"));
  later->reset();
  CHECK(files() == at_rest);
}

TEST_CASE("a file that is no database is corrupt, a folder that is not there is an io error") {
  TemporaryFolder folder;
  const std::string path = folder.path / "state.db";
  std::ofstream(path) << std::string(5000, 'x');
  CHECK(SqliteStorage::open(path).error().code == ErrorCode::corrupt);
  CHECK(SqliteStorage::open(folder.path / "no" / "state.db").error().code == ErrorCode::io);
}

TEST_CASE(
    "a file that was in use and is missing, empty or bare is no new storage; put back, it is the old one") {
  TemporaryFolder folder;
  const std::string path = folder.path / "state.db";
  {
    auto storage = SqliteStorage::open(path);
    REQUIRE(storage.has_value());
    REQUIRE((*storage)->put("key", to_bytes("value")).has_value());
  }
  const std::string copy = folder.path / "copy.db";
  std::filesystem::copy_file(path, copy);
  const auto refused = [&](const std::string& how) {
    // Not by the second attempt, either.
    for (int time = 0; time < 2; ++time) {
      const auto opened = SqliteStorage::open(path);
      REQUIRE_FALSE(opened.has_value());
      CHECK(opened.error().code == ErrorCode::corrupt);
      CHECK(opened.error().message.starts_with(path + " " + how));
      CHECK(opened.error().message.find("put back a copy") != std::string::npos);
      CHECK(opened.error().message.find("identity.key") != std::string::npos);
    }
  };
  std::filesystem::remove(path);
  refused("is missing");
  std::ofstream(path).close();
  // A log beside it: what a process that was killed left.
  std::ofstream(path + "-wal") << "log";
  refused("is empty");
  CHECK(std::filesystem::exists(path + "-wal"));
  std::filesystem::remove(path + "-wal");
  // A database of its own, but without a table of ours: the log that had them is gone.
  std::filesystem::remove(path);
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  CHECK(sqlite3_exec(database, "CREATE TABLE x(y)", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  refused("holds nothing any more");
  std::filesystem::rename(copy, path);
  auto again = SqliteStorage::open(path);
  REQUIRE_MESSAGE(again.has_value(), (again ? "" : again.error().message));
  CHECK(**(*again)->get("key") == to_bytes("value"));
}

TEST_CASE("an open that failed holds nothing: once the cause is gone, the same process opens the file") {
  for (const char* ending : {".large", "-wal", "-journal"}) {
    for (const bool existing : {false, true}) {
      CAPTURE(ending);
      CAPTURE(existing);
      TemporaryFolder folder;
      const std::string path = folder.path / "state.db";
      if (existing) REQUIRE(SqliteStorage::open(path).has_value());
      // What SQLite wants to be a file is a folder, what we want to be a folder is a file.
      const std::filesystem::path obstacle = path + ending;
      std::filesystem::remove_all(obstacle);
      if (ending == std::string(".large")) {
        std::ofstream(obstacle.string()) << "x";
      } else {
        std::filesystem::create_directory(obstacle);
      }
      CHECK(SqliteStorage::open(path).error().code == ErrorCode::io);
      std::filesystem::remove(obstacle);
      const auto again = SqliteStorage::open(path);
      CHECK_MESSAGE(again.has_value(), (again ? "" : again.error().message));
    }
  }
}

TEST_CASE("injected faults: what each leaves behind, and that a dead process writes no more") {
  using Fault = FaultyStorage::Fault;
  for (const Fault fault : {Fault::refused, Fault::in_doubt, Fault::death_before, Fault::death_after}) {
    CAPTURE(static_cast<int>(fault));
    MemoryStorage kept;
    int deaths = 0;
    FaultyStorage disk(kept, [&deaths] { ++deaths; });
    REQUIRE(disk.put("a", to_bytes("old")).has_value());
    disk.plan(2, fault);
    REQUIRE(disk.put("b", to_bytes("x")).has_value());
    std::vector<Storage::Entry> batch;
    batch.push_back({"a", to_bytes("new")});
    batch.push_back({"b", std::nullopt});
    auto failed = disk.write(std::move(batch));
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == ErrorCode::io);
    const bool written = fault == Fault::in_doubt || fault == Fault::death_after;
    CHECK(**kept.get("a") == to_bytes(written ? "new" : "old"));
    CHECK(kept.get("b")->has_value() == !written);
    const bool dies = fault == Fault::death_before || fault == Fault::death_after;
    CHECK(disk.dead() == dies);
    CHECK(deaths == (dies ? 1 : 0));
    CHECK(disk.put("c", {}).has_value() == !dies);
    CHECK(disk.get("c").has_value() == !dies);
  }
}

TEST_CASE("a disk that is full for three writes takes the fourth") {
  MemoryStorage kept;
  FaultyStorage disk(kept);
  disk.plan(1, FaultyStorage::Fault::refused, 3);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(disk.put("a", {}).has_value());
  CHECK(disk.put("a", {}).has_value());
  CHECK(disk.writes() == 4);
}

}  // namespace
}  // namespace testudo::net
