#include "crypto/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "crypto/base/encoding.h"
#include "crypto/rng.h"

namespace testudo {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

tl::unexpected<Error> system_failure(std::string_view what, const std::string& path) {
  const int code = errno;
  return fail(code == ENOENT ? ErrorCode::not_found : ErrorCode::io,
              std::string(what) + " " + path + ": " + std::strerror(code));
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> write_all(int fd, ByteView content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_failure("write", path);
    }
    content = content.subspan(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return system_failure("fsync", path);
  return {};
}

}  // namespace

Result<Bytes> read_file(const std::string& path, std::size_t max_size) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_failure("open", path);
  // Sized once: a buffer that grows would leave copies of a secret behind.
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return system_failure("stat", path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::io, path + " is not a regular file");
  if (static_cast<std::uint64_t>(status.st_size) > max_size) {
    return fail(ErrorCode::limit, path + " has " + std::to_string(status.st_size) + " bytes, allowed are " +
                                      std::to_string(max_size));
  }
  Bytes content(static_cast<std::size_t>(status.st_size));
  std::size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t count = ::read(file.get(), content.data() + filled, content.size() - filled);
    if (count < 0) {
      if (errno == EINTR) continue;
      return system_failure("read", path);
    }
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  content.resize(filled);
  return content;
}

Result<void> write_file(const std::string& path, ByteView content, unsigned mode) {
  ByteArray<8> suffix;
  crypto::SystemRng().fill(suffix);
  const std::string temporary = path + ".new-" + to_hex(suffix);
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.get() < 0) return system_failure("create", temporary);
  Result<void> done = write_all(file.get(), content, temporary);
  if (file.close() != 0 && done) done = system_failure("close", temporary);
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) done = system_failure("rename to", path);
  if (!done) {
    ::unlink(temporary.c_str());
    return done;
  }
  // The name itself survives a crash only once its folder is on disk.
  const Descriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0 && ::fsync(folder.get()) != 0) return system_failure("fsync", folder_of(path));
  return {};
}

}  // namespace testudo
