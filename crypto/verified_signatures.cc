#include "crypto/verified_signatures.h"

#include <cstring>
#include <unordered_set>
#include <utility>

#include "crypto/hash.h"

namespace testudo::crypto {
namespace {

// The older half is forgotten when the newer one is full: some ten megabytes, and many rounds of a hundred
// members.
constexpr std::size_t kHalf = std::size_t{1} << 16;

struct Leading {
  std::size_t operator()(const Digest& name) const {
    std::size_t value;
    std::memcpy(&value, name.data(), sizeof value);
    return value;
  }
};
using Names = std::unordered_set<Digest, Leading>;

struct Memory {
  std::size_t users = 0;
  std::size_t recognised = 0;
  Names newer;
  Names older;
};

// A plain pointer: static objects, which outlive those of a thread, may be the last users.
thread_local Memory* memory = nullptr;

}  // namespace

VerifiedSignatures::VerifiedSignatures() {
  if (memory == nullptr) memory = new Memory;
  ++memory->users;
}

VerifiedSignatures::~VerifiedSignatures() {
  if (--memory->users == 0) delete std::exchange(memory, nullptr);
}

bool VerifiedSignatures::exist() { return memory != nullptr; }

std::size_t VerifiedSignatures::recognised() { return memory->recognised; }

Digest VerifiedSignatures::name_of(const PublicKey& key, ByteView message, const Signature& signature) {
  return Hasher("testudo/verified-signature").bytes(key.raw()).bytes(signature).bytes(message).finish();
}

bool VerifiedSignatures::remembers(const Digest& name) {
  const bool known = memory->newer.contains(name) || memory->older.contains(name);
  if (known) ++memory->recognised;
  return known;
}

void VerifiedSignatures::remember(const Digest& name) {
  if (memory->newer.size() == kHalf) {
    memory->older = std::exchange(memory->newer, {});
  }
  memory->newer.insert(name);
}

}  // namespace testudo::crypto
