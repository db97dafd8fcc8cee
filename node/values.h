// Values that a node stores in the DHT under its own name. Loop thread only.
#pragma once

#include <string>

#include "node/node.h"

namespace testudo::node {

// Stores it for as long as the DHT keeps records, and gives its key. Errors: `limit` for a value beyond 16
// KiB, those of Dht::put.
net::Task<Result<std::string>> put_value(Node& node, std::string name, std::string value);

struct FoundValue {
  Bytes value;
  std::uint64_t sequence = 0;  // of a value with an owner
  bool owned = false;          // otherwise the value is the record as it is
};
// `not_found` when nobody has it.
net::Task<Result<FoundValue>> get_value(Node& node, std::string key);

}  // namespace testudo::node
