// Signed envelopes: whatever opens carries a signature of the key that it names.
#include "crypto/envelope.h"

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

constexpr std::string_view domain = "fuzz";

void run(ByteView input) {
  if (const auto opened = crypto::open_envelope(input, domain)) {
    TESTUDO_CHECK(opened->payload.size() + opened->payload_type.size() <= input.size());
    TESTUDO_CHECK(!crypto::open_envelope(input, "another domain"));
  }
  // The same bytes as a payload survive.
  Script script(input);
  const ByteView type = script.bytes(script.below(16));
  const ByteView payload = script.rest();
  const auto opened = crypto::open_envelope(crypto::seal_envelope(key(1), domain, type, payload), domain);
  TESTUDO_CHECK(opened && equal(opened->payload, payload) && equal(opened->payload_type, type));
  TESTUDO_CHECK(opened->signer == key(1).public_key());
}

std::vector<Bytes> seeds() {
  return {crypto::seal_envelope(key(1), domain, Bytes{3, 1}, to_bytes("payload")),
          crypto::seal_envelope(key(2), domain, {}, {})};
}

const Registered target({"envelope", run, seeds, 10});

}  // namespace
}  // namespace testudo::fuzz
