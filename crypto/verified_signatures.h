// Signatures that were good once are not computed again: for programs in which many members live. A message
// goes to all of them and each verifies it, which is nearly half of the processor time of a simulation.
#pragma once

#include "crypto/base/bytes.h"
#include "crypto/peer_id.h"

namespace testudo::crypto {

// While one exists, PublicKey::verify() remembers, on the thread that made it, what it found good, and knows
// it again: the key, the message and the signature, by their hash. Nothing else changes, for verification is
// a pure function. Bounded. Several may exist; they share what they remember, and the last one forgets it.
// Destroyed on the thread that made it.
class VerifiedSignatures {
 public:
  VerifiedSignatures();
  ~VerifiedSignatures();
  VerifiedSignatures(const VerifiedSignatures&) = delete;
  VerifiedSignatures& operator=(const VerifiedSignatures&) = delete;

  // Whether one exists on this thread.
  static bool exist();
  // The rest while one does: for how many signatures nothing was computed, and, for PublicKey::verify(),
  // whether `verify` holds, by memory or computed now.
  static std::size_t recognised();
  template <typename Verify>
  static bool check(const PublicKey& key, ByteView message, const Signature& signature,
                    const Verify& verify) {
    const Digest name = name_of(key, message, signature);
    if (remembers(name)) return true;
    if (!verify()) return false;
    remember(name);
    return true;
  }

 private:
  static Digest name_of(const PublicKey& key, ByteView message, const Signature& signature);
  static bool remembers(const Digest& name);
  static void remember(const Digest& name);
};

}  // namespace testudo::crypto
