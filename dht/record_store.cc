#include "dht/record_store.h"

#include <algorithm>

namespace testudo::dht {

const Bytes* RecordStore::value(ByteView key) const {
  auto it = records_.find(where(key));
  return it == records_.end() ? nullptr : &it->second.value;
}

std::string RecordStore::received(ByteView key) const {
  auto it = records_.find(where(key));
  return it == records_.end() ? std::string() : it->second.received;
}

void RecordStore::put(ByteView key, Bytes value, TimePoint expires, std::string received) {
  erase(key);
  bytes_ += key.size() + value.size();
  records_[where(key)] = {std::move(value), expires, std::move(received)};
  while (records_.size() > limits_.records || bytes_ > limits_.bytes) {
    const Bytes farthest = records_.rbegin()->first.second;
    erase(farthest);
  }
}

void RecordStore::erase(ByteView key) {
  auto it = records_.find(where(key));
  if (it == records_.end()) return;
  bytes_ -= it->first.second.size() + it->second.value.size();
  records_.erase(it);
}

void RecordStore::add_provider(ByteView key, PeerAddress provider, TimePoint expires) {
  auto& list = providers_[where(key)];
  std::erase_if(list, [&](const Provider& other) { return other.peer.id == provider.id; });
  // The newest stay: they are the likeliest to be there.
  if (list.size() >= limits_.providers_per_key) list.erase(list.begin());
  list.push_back({std::move(provider), expires});
  if (providers_.size() > limits_.provider_keys) providers_.erase(std::prev(providers_.end()));
}

std::vector<PeerAddress> RecordStore::providers(ByteView key, TimePoint now) const {
  std::vector<PeerAddress> result;
  auto it = providers_.find(where(key));
  if (it == providers_.end()) return result;
  for (const auto& provider : it->second) {
    if (provider.expires > now) result.push_back(provider.peer);
  }
  return result;
}

void RecordStore::expire(TimePoint now) {
  for (auto it = records_.begin(); it != records_.end();) {
    if (it->second.expires <= now) {
      bytes_ -= it->first.second.size() + it->second.value.size();
      it = records_.erase(it);
    } else {
      ++it;
    }
  }
  for (auto it = providers_.begin(); it != providers_.end();) {
    std::erase_if(it->second, [&](const Provider& provider) { return provider.expires <= now; });
    it = it->second.empty() ? providers_.erase(it) : std::next(it);
  }
}

}  // namespace testudo::dht
