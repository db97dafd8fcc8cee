// The baseline of the network: plain TCP between two processes, with what two system calls cost and nothing
// else. The server is the worker "raw-server"; the client's functions block. Any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "crypto/base/result.h"

namespace testudo::bench {

// Sends `bytes` over each of `connections`, and returns when the server has read all of it.
Result<void> raw_send(std::uint16_t port, std::size_t connections, std::size_t bytes);
// Seconds of each of `count` round trips of `size` bytes over one connection.
Result<std::vector<double>> raw_round_trips(std::uint16_t port, std::size_t count, std::size_t size);

}  // namespace testudo::bench
