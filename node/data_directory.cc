#include "node/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "crypto/base/encoding.h"
#include "crypto/base/file.h"
#include "crypto/base/log.h"
#include "net/storage/sqlite_storage.h"

namespace testudo::node {
namespace {

std::string manifest_path(const std::string& directory, const swarm::RunId& run) {
  return directory + "/manifests/" + to_hex(run);
}

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(ErrorCode::io, "cannot make the directory " + path + ": " + error.message());
  return {};
}

}  // namespace

std::string default_data_directory() {
  const char* data_home = std::getenv("XDG_DATA_HOME");
  if (data_home != nullptr && data_home[0] != '\0') return std::string(data_home) + "/testudo";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr && home[0] != '\0' ? home : ".") + "/.local/share/testudo";
}

Result<DataDirectory> DataDirectory::open(const std::string& path) {
  TRY_VOID(make_directory(path));
  const std::string lock_path = path + "/lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    return fail(ErrorCode::io, "cannot write in the data directory " + path + ": " + std::strerror(errno) +
                                   "; choose another with --data");
  }
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return fail(ErrorCode::refused,
                "the data directory " + path +
                    " is in use by another testudo process; stop that one, or give this one its own "
                    "with --data DIR");
  }
  return DataDirectory(path, lock);
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

Result<crypto::KeyPair> DataDirectory::identity(crypto::Rng& rng) const {
  const std::string path = file("identity.key");
  auto loaded = crypto::KeyPair::load(path);
  if (!loaded && loaded.error().code == ErrorCode::corrupt) {
    Error error = std::move(loaded).error();
    error.message += "; the file is damaged: put back a copy, or use another --data directory";
    return fail(std::move(error));
  }
  if (loaded || loaded.error().code != ErrorCode::not_found) return loaded;
  // A new key beside an old ledger, or what is left of one, would make its member a stranger to its own run.
  const std::string ledger = file("testudo.sqlite");
  if (std::filesystem::exists(ledger) || net::SqliteStorage::was_in_use(ledger)) {
    return fail(
        ErrorCode::not_found,
        path + " is missing, though a run was joined with it: put it back, or use another --data directory");
  }
  crypto::KeyPair made = crypto::KeyPair::generate(rng);
  TRY_VOID(made.save(path));
  return made;
}

Result<void> DataDirectory::keep(const swarm::SignedManifest& manifest) const {
  TRY_VOID(make_directory(path_ + "/manifests"));
  return write_file(manifest_path(path_, manifest.manifest.run_id()), manifest.encode());
}

Result<std::optional<swarm::SignedManifest>> kept_manifest(const std::string& directory,
                                                           const swarm::RunId& run, bool can_fetch) {
  const std::string path = manifest_path(directory, run);
  auto bytes = read_file(path, swarm::manifest_max_bytes);
  if (!bytes) {
    if (bytes.error().code == ErrorCode::not_found) return std::nullopt;
    if (!can_fetch) return fail(std::move(bytes).error());
    log::warn("{}; it is fetched again", bytes.error().message);
    return std::nullopt;
  }
  auto manifest = checked_manifest(*bytes, run, path);
  if (!manifest) {
    Error error = std::move(manifest).error();
    if (can_fetch) {
      log::warn("{}; it is fetched again", error.message);
      return std::nullopt;
    }
    error.message += "; --bootstrap ADDRESS fetches it again";
    return fail(std::move(error));
  }
  return std::move(*manifest);
}

Result<swarm::SignedManifest> checked_manifest(ByteView bytes, const swarm::RunId& run,
                                               const std::string& where) {
  auto manifest = swarm::SignedManifest::decode(bytes);
  if (!manifest) return fail(std::move(manifest).error().in("the manifest from " + where + " is not valid"));
  if (manifest->manifest.run_id() != run) {
    return fail(ErrorCode::corrupt, "the manifest from " + where + " is that of run " +
                                        to_hex(manifest->manifest.run_id()) + ", not of " + to_hex(run));
  }
  return manifest;
}

}  // namespace testudo::node
