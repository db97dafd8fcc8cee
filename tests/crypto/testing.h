// What the tests of this floor share: vectors from tests/vectors, seeded garbage, shorthand for hex.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "crypto/base/bytes.h"
#include "crypto/base/encoding.h"
#include "crypto/rng.h"

namespace testudo::testing {

inline nlohmann::json vectors(const std::string& name) {
  std::ifstream file(std::string(TESTUDO_TEST_DATA "/vectors/") + name);
  REQUIRE_MESSAGE(file.good(), name);
  return nlohmann::json::parse(file);
}

inline Bytes hex(std::string_view text) {
  auto bytes = from_hex(text);
  REQUIRE(bytes.has_value());
  return *bytes;
}

inline Digest digest(std::string_view text) {
  auto value = digest_from_hex(text);
  REQUIRE(value.has_value());
  return *value;
}

inline Bytes random_bytes(crypto::Rng& rng, std::size_t size) {
  Bytes out(size);
  rng.fill(out);
  return out;
}

}  // namespace testudo::testing
