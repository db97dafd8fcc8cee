// The encodings of text and integers: what decodes, encodes again to what it was, and the other way round.
#include "crypto/base/encoding.h"

#include <cctype>

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

void run(ByteView input) {
  const std::string_view text = as_text(input);
  if (const auto bytes = from_hex(text)) TESTUDO_CHECK(to_hex(*bytes) == lower(text));
  if (const auto digest = digest_from_hex(text)) TESTUDO_CHECK(to_hex(*digest) == lower(text));
  if (const auto bytes = from_base58(text)) TESTUDO_CHECK(to_base58(*bytes) == text);
  if (const auto bytes = from_base32(text)) TESTUDO_CHECK(to_base32(*bytes) == lower(text));
  (void)from_base36(text);
  TESTUDO_CHECK(equal(*from_hex(to_hex(input)), input));
  TESTUDO_CHECK(equal(*from_base32(to_base32(input)), input));
  if (const auto back = from_base58(to_base58(input.first(std::min<std::size_t>(input.size(), 64))))) {
    TESTUDO_CHECK(equal(*back, input.first(back->size())));
  }
  if (const auto varint = read_varint(input); varint && *varint) {
    TESTUDO_CHECK((*varint)->size <= input.size() && (*varint)->size <= 10);
    Bytes again;
    append_varint(again, (*varint)->value);
    TESTUDO_CHECK(equal(again, input.first((*varint)->size)));
  }
}

std::vector<Bytes> seeds() {
  const Bytes id = key(1).peer_id().to_multihash();
  Bytes varint;
  append_varint(varint, ~std::uint64_t{0});
  return {to_bytes(to_hex(Digest{1, 2, 3})), to_bytes(to_base58(id)), to_bytes(to_base32(id)), varint,
          to_bytes("k2k4r8jl0yz8qjgqbmc2cdu5hkqek5rj6flgnlkyywynci20j0iuyfuj")};
}

const Registered target({"encoding", run, seeds});

}  // namespace
}  // namespace testudo::fuzz
