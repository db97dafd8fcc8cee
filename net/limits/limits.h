// Limits: what one peer, one address and all of them together may take of a node. This is the whole list;
// docs/limits.md explains it to operators, and the metrics show each with its use and what it refused.
// Values; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace testudo::net {

enum class Limit : std::size_t {
  connections,
  connections_per_address,
  connections_per_peer,
  connection_rate_per_address,
  handshakes,
  handshakes_per_address,
  streams,
  streams_per_peer,
  streams_per_connection,
  stream_rate_per_connection,
  control_frame_rate_per_connection,
  ping_rate_per_connection,
  unread_bytes,
  unread_bytes_per_peer,
  unsent_bytes,
  unsent_bytes_per_connection,
  requests,
  requests_per_peer,
  request_rate_per_peer,
  frame_rate_per_peer,
};

struct LimitInfo {
  Limit limit;
  std::string_view name;
  std::uint64_t value;  // the default
  std::string_view unit;
  std::string_view reason;
  std::string_view attack;
};

// "Address" is an IPv4 address or an IPv6 /64, which one subscriber has; loopback is exempt from those
// limits, for who is on this computer is not remote. A rate lets four seconds of it through at once (Rate).
inline constexpr std::array limit_table{
    LimitInfo{Limit::connections, "connections", 900, "connections",
              "a process has 1024 descriptors by default, and needs some for other things; idle peers make "
              "room for new ones",
              "connection flood"},
    LimitInfo{Limit::connections_per_address, "connections_per_address", 64, "connections",
              "one subscriber must not take all of the connections", "connection flood from one machine"},
    LimitInfo{Limit::connections_per_peer, "connections_per_peer", 4, "connections",
              "dials that cross make a second connection, more are of no use; the oldest goes",
              "one identity that takes every slot"},
    LimitInfo{Limit::connection_rate_per_address, "connection_rate_per_address", 20, "connections/s",
              "a handshake costs half a millisecond of our processor; a connection that ended for an attack "
              "counts ten times",
              "connecting and leaving in a loop"},
    LimitInfo{Limit::handshakes, "handshakes", 128, "handshakes",
              "a handshake holds memory before anyone is known; one older than a second makes room",
              "slowloris, half-open connections"},
    LimitInfo{Limit::handshakes_per_address, "handshakes_per_address", 16, "handshakes",
              "one subscriber must not keep the others from connecting", "slowloris from one machine"},
    LimitInfo{Limit::streams, "streams", 16'384, "streams", "a stream that waits costs about 4 KiB",
              "many identities with many streams each"},
    LimitInfo{Limit::streams_per_peer, "streams_per_peer", 512, "streams",
              "a member of a swarm needs a handful", "streams spread over several connections"},
    LimitInfo{Limit::streams_per_connection, "streams_per_connection", 512, "streams",
              "a member of a swarm needs a handful", "stream flood, streams never closed"},
    LimitInfo{Limit::stream_rate_per_connection, "stream_rate_per_connection", 1'000, "streams/s",
              "opening one costs a task and a negotiation; beyond it new ones are reset, far beyond it the "
              "connection ends",
              "opening and resetting streams in a loop"},
    LimitInfo{
        Limit::control_frame_rate_per_connection, "control_frame_rate_per_connection", 10'000, "frames/s",
        "twelve bytes cost us as much work as a thousand; honest ones come with the data they are about",
        "floods of window updates, empty frames and resets"},
    LimitInfo{Limit::ping_rate_per_connection, "ping_rate_per_connection", 10, "pings/s",
              "every ping is answered, and two in a minute are enough", "ping flood"},
    LimitInfo{Limit::unread_bytes, "unread_bytes", 512u << 20, "bytes",
              "what has arrived and nobody here has read yet, of all peers; who holds most is disconnected",
              "windows filled by many identities"},
    LimitInfo{Limit::unread_bytes_per_peer, "unread_bytes_per_peer", 64u << 20, "bytes",
              "four streams at the largest window", "filling the windows of streams that nobody reads"},
    LimitInfo{Limit::unsent_bytes, "unsent_bytes", 256u << 20, "bytes",
              "what waits for peers that do not read, of all peers; who holds most is disconnected",
              "asking much and reading nothing, from many connections"},
    LimitInfo{Limit::unsent_bytes_per_connection, "unsent_bytes_per_connection", 4u << 20, "bytes",
              "data waits for room, only frames that we owe (answers to pings, resets) queue beyond it",
              "asking much and reading nothing"},
    LimitInfo{Limit::requests, "requests", 4'096, "streams",
              "requests of one protocol that wait or are answered at a time",
              "many identities that ask at once"},
    LimitInfo{Limit::requests_per_peer, "requests_per_peer", 32, "streams",
              "no peer has an honest reason for more at a time on one protocol",
              "requests begun and not ended"},
    LimitInfo{
        Limit::request_rate_per_peer, "request_rate_per_peer", 500, "requests/s",
        "of one protocol; a DHT write counts twenty times, for signatures are checked. Beyond it answers "
        "are delayed, far beyond it the peer is disconnected",
        "request floods, floods of DHT records"},
    LimitInfo{Limit::frame_rate_per_peer, "frame_rate_per_peer", 4'096, "frames/s",
              "frames of a run's members cost a signature check each; reading goes slower beyond it",
              "floods of votes and broadcasts"},
};
inline constexpr std::size_t limit_count = limit_table.size();

class Limits {
 public:
  Limits() {
    for (const LimitInfo& info : limit_table) (*this)[info.limit] = info.value;
  }
  std::uint64_t& operator[](Limit limit) { return values_[static_cast<std::size_t>(limit)]; }
  std::uint64_t operator[](Limit limit) const { return values_[static_cast<std::size_t>(limit)]; }

 private:
  std::array<std::uint64_t, limit_count> values_{};
};

inline std::string_view name(Limit limit) { return limit_table[static_cast<std::size_t>(limit)].name; }

}  // namespace testudo::net
