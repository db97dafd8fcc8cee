#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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

TEST_CASE("a file that is no database is corrupt, a folder that is not there is an io error") {
  TemporaryFolder folder;
  const std::string path = folder.path / "state.db";
  std::ofstream(path) << std::string(5000, 'x');
  CHECK(SqliteStorage::open(path).error().code == ErrorCode::corrupt);
  CHECK(SqliteStorage::open(folder.path / "no" / "state.db").error().code == ErrorCode::io);
}

TEST_CASE("a write that fails leaves nothing of itself behind") {
  MemoryStorage storage;
  REQUIRE(storage.put("a", to_bytes("old")).has_value());
  storage.fail_write(2);
  REQUIRE(storage.put("b", to_bytes("x")).has_value());
  std::vector<Storage::Entry> batch;
  batch.push_back({"a", to_bytes("new")});
  batch.push_back({"b", std::nullopt});
  auto failed = storage.write(std::move(batch));
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == ErrorCode::io);
  CHECK(**storage.get("a") == to_bytes("old"));
  CHECK(**storage.get("b") == to_bytes("x"));
  CHECK(storage.put("c", {}).has_value());
}

}  // namespace
}  // namespace testudo::net
