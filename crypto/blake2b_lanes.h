// BLAKE2b-256 (RFC 7693, personalised) of many chunks of one size at once: one chunk a lane of the vector
// unit, eight with AVX-512, four with AVX2, several times as fast as one after another. The digests are those
// of libsodium's crypto_generichash_blake2b_salt_personal, which hashes what does not fill the lanes. Pure;
// any thread.
#pragma once

#include <span>

#include "crypto/base/bytes.h"

namespace testudo::crypto {

// Told apart by what is hashed, so that a digest of one kind never passes for another.
using Personalisation = ByteArray<16>;

// out[i] = the digest of data[i · chunk, (i + 1) · chunk). REQUIRES: chunk is a positive multiple of 128;
// data.size() == chunk · out.size().
void blake2b_chunks(ByteView data, std::size_t chunk, const Personalisation& personal, std::span<Digest> out);

Digest blake2b(ByteView data, const Personalisation& personal);

}  // namespace testudo::crypto
