// ping: 32 bytes that come back. Tells whether a peer lives and how far it is. Loop thread only.
#pragma once

#include "net/host/host.h"

namespace testudo::net {

inline constexpr const char* kPingProtocol = "/ipfs/ping/1.0.0";

// Answers the pings of others until it is destroyed, before the host.
class PingService {
 public:
  explicit PingService(Host& host);
  PingService(const PingService&) = delete;
  PingService& operator=(const PingService&) = delete;
  ~PingService() { host_.remove_handler(kPingProtocol); }

 private:
  Host& host_;
};

// The round trip to a peer. Connects if need be.
Task<Result<Duration>> ping(Host& host, PeerId peer);

}  // namespace testudo::net
