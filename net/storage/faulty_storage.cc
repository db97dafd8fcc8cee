#include "net/storage/faulty_storage.h"

namespace testudo::net {

Error FaultyStorage::injected() const {
  return {ErrorCode::io, dead_ ? "injected fault: the process is dead" : "injected fault: the write failed"};
}

void FaultyStorage::plan(std::uint64_t n, Fault fault, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) plan_.insert_or_assign(writes_ + n + i, fault);
}

Result<std::optional<Bytes>> FaultyStorage::get(std::string_view key) {
  if (dead_) return fail(injected());
  return inner_.get(key);
}

Result<std::vector<std::pair<std::string, Bytes>>> FaultyStorage::list(std::string_view prefix) {
  if (dead_) return fail(injected());
  return inner_.list(prefix);
}

Result<void> FaultyStorage::write(std::vector<Entry> entries) {
  if (dead_) return fail(injected());
  const auto planned = plan_.extract(++writes_);
  if (!planned) return inner_.write(std::move(entries));
  const Fault fault = planned.mapped();
  if (fault == Fault::in_doubt || fault == Fault::death_after) {
    TRY_VOID(inner_.write(std::move(entries)));
  }
  if (fault == Fault::death_before || fault == Fault::death_after) {
    dead_ = true;
    if (die_) die_();
  }
  return fail(injected());
}

}  // namespace testudo::net
