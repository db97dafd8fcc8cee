#include "crypto/blake2b_lanes.h"

#include <sodium.h>

#include <bit>
#include <cstring>

#include "crypto/base/check.h"
#include "crypto/base/vector_unit.h"
#include "crypto/sodium_init.h"

namespace testudo::crypto {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

constexpr std::size_t block_bytes = 128;
constexpr std::size_t rounds = 12;

constexpr std::uint64_t initial[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};
// Which message words a round mixes, in order; rounds 10 and 11 are 0 and 1 again.
constexpr std::uint8_t schedule[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

template <std::size_t lanes>
using Words = std::uint64_t __attribute__((vector_size(lanes * sizeof(std::uint64_t))));

template <int bits, typename Vector>
TESTUDO_KERNEL void rotate_right(Vector& v) {
  v = (v >> bits) | (v << (64 - bits));
}

template <typename Vector>
TESTUDO_KERNEL void mix(Vector& a, Vector& b, Vector& c, Vector& d, const Vector& x, const Vector& y) {
  a += b + x;
  d ^= a;
  rotate_right<32>(d);
  c += d;
  b ^= c;
  rotate_right<24>(b);
  a += b + y;
  d ^= a;
  rotate_right<16>(d);
  c += d;
  b ^= c;
  rotate_right<63>(b);
}

// Swaps the blocks off the diagonal of every 2·stride × 2·stride block: with all strides, a transposition.
TESTUDO_KERNEL void exchange_1(Words<8>& a, Words<8>& b) {
  const Words<8> low = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
  b = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  a = low;
}
TESTUDO_KERNEL void exchange_2(Words<8>& a, Words<8>& b) {
  const Words<8> low = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
  b = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  a = low;
}
TESTUDO_KERNEL void exchange_4(Words<8>& a, Words<8>& b) {
  const Words<8> low = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
  b = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  a = low;
}
TESTUDO_KERNEL void exchange_1(Words<4>& a, Words<4>& b) {
  const Words<4> low = __builtin_shufflevector(a, b, 0, 4, 2, 6);
  b = __builtin_shufflevector(a, b, 1, 5, 3, 7);
  a = low;
}
TESTUDO_KERNEL void exchange_2(Words<4>& a, Words<4>& b) {
  const Words<4> low = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  b = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  a = low;
}

// Word w of every lane's row becomes vector w.
TESTUDO_KERNEL void transpose(Words<8>* rows) {
#pragma unroll
  for (std::size_t i = 0; i < 8; i += 2) exchange_1(rows[i], rows[i + 1]);
#pragma unroll
  for (std::size_t i = 0; i < 8; ++i) {
    if ((i & 2) == 0) exchange_2(rows[i], rows[i + 2]);
  }
#pragma unroll
  for (std::size_t i = 0; i < 4; ++i) exchange_4(rows[i], rows[i + 4]);
}
TESTUDO_KERNEL void transpose(Words<4>* rows) {
#pragma unroll
  for (std::size_t i = 0; i < 4; i += 2) exchange_1(rows[i], rows[i + 1]);
#pragma unroll
  for (std::size_t i = 0; i < 2; ++i) exchange_2(rows[i], rows[i + 2]);
}

template <std::size_t lanes>
TESTUDO_KERNEL int hash_lanes(const std::uint8_t* const* chunks, std::size_t chunk,
                              const std::uint64_t* start, std::uint64_t* digests) {
  Words<lanes> h[8];
  for (std::size_t i = 0; i < 8; ++i) h[i] = Words<lanes>{} + start[i];
  for (std::size_t at = 0; at < chunk; at += block_bytes) {
    Words<lanes> message[16];
#pragma unroll
    for (std::size_t word = 0; word < 16; word += lanes) {
#pragma unroll
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        std::memcpy(&message[word + lane], chunks[lane] + at + word * sizeof(std::uint64_t),
                    sizeof(Words<lanes>));
      }
      transpose(message + word);
    }
    Words<lanes> v[16];
#pragma unroll
    for (std::size_t i = 0; i < 8; ++i) {
      v[i] = h[i];
      v[i + 8] = Words<lanes>{} + initial[i];
    }
    v[12] ^= at + block_bytes;  // bytes so far: below 2^64, so the upper half of the counter is 0
    if (at + block_bytes == chunk) v[14] = ~v[14];
#pragma unroll
    for (std::size_t round = 0; round < rounds; ++round) {
      const std::uint8_t* const s = schedule[round % 10];
      mix(v[0], v[4], v[8], v[12], message[s[0]], message[s[1]]);
      mix(v[1], v[5], v[9], v[13], message[s[2]], message[s[3]]);
      mix(v[2], v[6], v[10], v[14], message[s[4]], message[s[5]]);
      mix(v[3], v[7], v[11], v[15], message[s[6]], message[s[7]]);
      mix(v[0], v[5], v[10], v[15], message[s[8]], message[s[9]]);
      mix(v[1], v[6], v[11], v[12], message[s[10]], message[s[11]]);
      mix(v[2], v[7], v[8], v[13], message[s[12]], message[s[13]]);
      mix(v[3], v[4], v[9], v[14], message[s[14]], message[s[15]]);
    }
#pragma unroll
    for (std::size_t i = 0; i < 8; ++i) h[i] ^= v[i] ^ v[i + 8];
  }
  for (std::size_t word = 0; word < 4; ++word) {
    for (std::size_t lane = 0; lane < lanes; ++lane) digests[lane * 4 + word] = h[word][lane];
  }
  return 0;
}

#if defined(__x86_64__)
std::size_t lanes_of(VectorUnit unit) {
  return unit == VectorUnit::avx512 ? 8 : unit == VectorUnit::avx2 ? 4 : 1;
}

void run_lanes(VectorUnit unit, const std::uint8_t* const* chunks, std::size_t chunk,
               const std::uint64_t* start, std::uint64_t* digests) {
  if (unit == VectorUnit::avx512) {
    run_avx512<hash_lanes<8>>(chunks, chunk, start, digests);
  } else {
    run_avx2<hash_lanes<4>>(chunks, chunk, start, digests);
  }
}
#endif

}  // namespace

Digest blake2b(ByteView data, const Personalisation& personal) {
  ensure_sodium();
  Digest digest;
  TESTUDO_CHECK(crypto_generichash_blake2b_salt_personal(digest.data(), digest.size(), data.data(),
                                                         data.size(), nullptr, 0, nullptr,
                                                         personal.data()) == 0);
  return digest;
}

void blake2b_chunks(ByteView data, std::size_t chunk, const Personalisation& personal,
                    std::span<Digest> out) {
  TESTUDO_CHECK(chunk > 0 && chunk % block_bytes == 0 && data.size() == chunk * out.size());
  std::size_t done = 0;
#if defined(__x86_64__)
  const VectorUnit unit = vector_unit();
  const std::size_t lanes = lanes_of(unit);
  std::uint64_t start[8];
  std::ranges::copy(initial, start);
  start[0] ^= sizeof(Digest) | 1U << 16 | 1U << 24;  // no key, fan-out and depth 1
  std::uint64_t name[2];
  std::memcpy(name, personal.data(), sizeof(name));
  start[6] ^= name[0];
  start[7] ^= name[1];
  // Half-filled lanes are still faster than one chunk at a time.
  while (lanes > 1 && 2 * (out.size() - done) >= lanes) {
    const std::size_t count = std::min(lanes, out.size() - done);
    const std::uint8_t* chunks[8];
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      chunks[lane] = data.data() + (done + std::min(lane, count - 1)) * chunk;
    }
    std::uint64_t digests[8 * 4];
    run_lanes(unit, chunks, chunk, start, digests);
    std::memcpy(out.data() + done, digests, count * sizeof(Digest));
    done += count;
  }
#endif
  for (; done < out.size(); ++done) out[done] = blake2b(data.subspan(done * chunk, chunk), personal);
}

}  // namespace testudo::crypto
