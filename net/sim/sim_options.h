// What a simulated network is like. Values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "net/async/scheduler.h"

namespace testudo::net {

struct SimOptions {
  std::uint64_t seed = 1;
  // Up to this much is added to the way of every segment, uniformly.
  Duration jitter = 2ms;
  // Probability that a packet of 1400 bytes is lost. Streams are reliable: it costs retransmission delays.
  double loss = 0;
  Duration retransmission_delay = 200ms;
  // TCP, Noise XX and Yamux need this many round trips before the first stream can be opened.
  unsigned handshake_round_trips = 3;
  Duration dial_timeout = 5s;  // per address that does not answer
  // Unread bytes a stream holds at most before its writer waits: windows grow as those of Yamux do.
  std::uint32_t stream_window = 16 * 1024 * 1024;
  std::size_t segment_size = 16 * 1024;
};

struct SimHostOptions {
  std::string ip;             // empty: the next of 10.0.0.0/8
  std::uint16_t port = 4001;  // where it listens
  bool listening = true;      // false: it can dial and not be dialled, as behind a NAT
  Duration latency = 10ms;    // from its network card to the middle of the network
  double upload = 0;          // bytes a second; 0 is no limit
  double download = 0;        // bytes a second; 0 is no limit
};

}  // namespace testudo::net
