// What a DHT server keeps for others: values and providers, in memory, with expiry, bounded. When full, what
// lies farthest from the node leaves first: others are nearer to it. Loop thread only. Owned by Dht.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dht/key.h"
#include "dht/message.h"
#include "net/async/scheduler.h"

namespace testudo::dht {

using net::Duration;
using net::TimePoint;

class RecordStore {
 public:
  struct Limits {
    std::size_t records = 20'000;
    std::size_t bytes = 256 * 1024 * 1024;
    std::size_t provider_keys = 20'000;
    std::size_t providers_per_key = 128;
  };
  RecordStore(const PeerId& self, Limits limits) : self_(place_of(self)), limits_(limits) {}

  const Bytes* value(ByteView key) const;
  // When the value came, as its record tells (Record::time_received).
  std::string received(ByteView key) const;
  void put(ByteView key, Bytes value, TimePoint expires, std::string received = {});
  void erase(ByteView key);

  void add_provider(ByteView key, PeerAddress provider, TimePoint expires);
  std::vector<PeerAddress> providers(ByteView key, TimePoint now) const;

  void expire(TimePoint now);
  std::size_t records() const { return records_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  // Ordered by distance from us, so that the farthest is the last.
  using Where = std::pair<Digest, Bytes>;
  struct Kept {
    Bytes value;
    TimePoint expires;
    std::string received;
  };
  struct Provider {
    PeerAddress peer;
    TimePoint expires;
  };
  Where where(ByteView key) const { return {distance(place_of(key), self_), to_bytes(key)}; }

  Place self_;
  Limits limits_;
  std::map<Where, Kept> records_;
  std::map<Where, std::vector<Provider>> providers_;
  std::size_t bytes_ = 0;
};

}  // namespace testudo::dht
