#include "tools/experiments/cell_folder.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "crypto/base/file.h"

namespace testudo::tools {
namespace {

constexpr std::size_t max_cell_file = std::size_t{16} << 20;

}  // namespace

Result<void> CellFolder::make() const {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return fail(ErrorCode::io, "cannot make " + folder_ + ": " + error.message());
  return {};
}

Result<std::optional<CellRecord>> CellFolder::load(const ExperimentSettings& settings,
                                                   const Cell& cell) const {
  const std::string path = file(cell, ".jsonl");
  const auto bytes = read_file(path, max_cell_file);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::nullopt;
  if (!bytes) return fail(bytes.error());
  auto record = decode_cell(settings, cell, as_text(*bytes));
  if (!record) return fail(std::move(record).error().in(path));
  return std::move(*record);
}

Result<void> CellFolder::store(const ExperimentSettings& settings, const Cell& cell,
                               const CellRecord& record) const {
  return write_file(file(cell, ".jsonl"), as_bytes(encode_cell(settings, cell, record)));
}

CellFolder::Lock::~Lock() {
  if (file_ >= 0) ::close(file_);
}

Result<std::optional<CellFolder::Lock>> CellFolder::lock(const Cell& cell) const {
  const std::string name = file(cell, ".lock");
  const int opened = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (opened < 0) return fail(ErrorCode::io, "cannot write " + name + ": " + std::strerror(errno));
  Lock lock(opened);
  if (flock(opened, LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  return lock;
}

std::string CellFolder::file(const Cell& cell, const char* ending) const {
  return folder_ + "/" + fmt::format("{}.{}.{}", cell.attack->name, cell.defence->name, cell.seed) + ending;
}

}  // namespace testudo::tools
