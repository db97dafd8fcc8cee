// ChaCha20-Poly1305 (RFC 8439), the bulk cipher of every encrypted connection, behind an interface small
// enough that the library underneath (OpenSSL's libcrypto: the fastest here) is one file's business.
// One owner and one thread at a time; movable.
#pragma once

#include <cstdint>
#include <memory>

#include "crypto/base/bytes.h"

namespace testudo::crypto {

class Aead {
 public:
  static constexpr std::size_t kTagSize = 16;
  using Nonce = ByteArray<12>;

  // Noise's nonce: four zero bytes, then the counter little endian.
  static Nonce nonce(std::uint64_t counter);

  explicit Aead(const Digest& key);
  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) noexcept;
  ~Aead();  // wipes the key

  // `out` is plain.size() + kTagSize bytes. It begins where `plain` begins (in place) or does not overlap it.
  // REQUIRES: a nonce never used before with this key.
  void seal(const Nonce& nonce, ByteView ad, ByteView plain, MutableByteView out) {
    seal(nonce, ad, plain, {}, out);
  }
  // Seals `head` ‖ `body` from where they lie; `out`, as long as both and the tag, overlaps `body` nowhere.
  void seal(const Nonce& nonce, ByteView ad, ByteView head, ByteView body, MutableByteView out);
  void seal(std::uint64_t counter, ByteView ad, ByteView plain, MutableByteView out) {
    seal(nonce(counter), ad, plain, out);
  }

  // False: the bytes are not what the key's owner sealed (or shorter than a tag); `out` is then zeros.
  // `out` is sealed.size() - kTagSize bytes (any if that is negative); overlap as in seal.
  [[nodiscard]] bool open(const Nonce& nonce, ByteView ad, ByteView sealed, MutableByteView out);
  [[nodiscard]] bool open(std::uint64_t counter, ByteView ad, ByteView sealed, MutableByteView out) {
    return open(nonce(counter), ad, sealed, out);
  }

  // Opening in steps, so that the first bytes can say where the others belong: open_head and open_more
  // decrypt parts that open_rest, with all that follows and the tag, vouches for. Until that has returned
  // true they are a stranger's claim, good for choosing `out` and for nothing else.
  void open_head(const Nonce& nonce, ByteView ad, ByteView sealed, MutableByteView out);
  // REQUIRES: open_head or open_more was the last call.
  void open_more(ByteView sealed, MutableByteView out);
  // Likewise. As open otherwise; when it is false, wiping the earlier parts is the caller's.
  [[nodiscard]] bool open_rest(ByteView sealed, MutableByteView out);

 private:
  struct Context;  // libcrypto's, with the key expanded once
  std::unique_ptr<Context> context_;
};

}  // namespace testudo::crypto
