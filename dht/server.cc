// What a DHT server answers.
#include <algorithm>

#include "dht/dht.h"
#include "dht/subnet.h"

namespace testudo::dht {
namespace {
// A write counts for so many requests: its signatures are checked, and it is kept.
constexpr double kWriteWeight = 20;
}  // namespace

Task<Result<Bytes>> Dht::answer(PeerId peer, Bytes request) {
  auto message = Message::decode(request);
  if (!message) co_return fail(std::move(message).error());
  const bool notification = message->type == MessageType::add_provider;
  const bool put = message->type == MessageType::put_value;
  if (put || notification) service_.charge(peer, kWriteWeight - 1);
  auto reply = handle(peer, std::move(*message));
  if (!reply) co_return fail(std::move(reply).error());
  if (notification) co_return Bytes{};
  if (put) co_return std::move(request);  // the echo that says it was stored
  co_return reply->encode();
}

Result<Message> Dht::handle(const PeerId& peer, Message message) {
  Message reply;
  reply.type = message.type;
  reply.key = message.key;
  if (message.key.empty() && message.type != MessageType::ping) {
    return fail(ErrorCode::protocol, "DHT request without a key");
  }
  switch (message.type) {
    case MessageType::ping:
      break;
    case MessageType::find_node: {
      reply.closer = closer_peers(place_of(message.key), peer);
      // Whoever is looked for by name and known is told, whether it is a server or not.
      auto wanted = PeerId::from_multihash(message.key);
      if (wanted && host_.is_connected(*wanted) &&
          std::ranges::find(reply.closer, *wanted, &PeerAddress::id) == reply.closer.end()) {
        reply.closer.insert(reply.closer.begin(), with_addresses(*wanted));
      }
      break;
    }
    case MessageType::get_value: {
      reply.closer = closer_peers(place_of(message.key), peer);
      Validator* validator = validator_of(as_text(message.key));
      if (const Bytes* value = records_.value(message.key); value != nullptr && validator != nullptr) {
        if (validator->validate(as_text(message.key), *value, scheduler_.unix_now())) {
          reply.record = Record{message.key, *value, records_.received(message.key)};
        } else {
          records_.erase(message.key);  // it has expired
        }
      }
      break;
    }
    case MessageType::put_value: {
      if (!message.record || message.record->key != message.key) {
        return fail(ErrorCode::protocol, "PUT_VALUE without a record of its key");
      }
      TRY_VOID(store(as_text(message.key), std::move(message.record->value)));
      break;
    }
    case MessageType::add_provider:
      for (auto& provider : message.providers) {
        // Nobody speaks for another.
        if (provider.id != peer || provider.addresses.empty()) continue;
        records_.add_provider(message.key, std::move(provider), scheduler_.now() + options_.provider_ttl);
        break;
      }
      break;
    case MessageType::get_providers:
      reply.closer = closer_peers(place_of(message.key), peer);
      reply.providers = records_.providers(message.key, scheduler_.now());
      if (reply.providers.size() > Message::max_peers) reply.providers.resize(Message::max_peers);
      break;
  }
  return reply;
}

Result<void> Dht::store(std::string_view key, Bytes value) {
  Validator* validator = validator_of(key);
  if (validator == nullptr) {
    return fail(ErrorCode::refused, "no namespace takes the key " + std::string(key.substr(0, 64)));
  }
  if (value.size() > Message::max_value) return fail(ErrorCode::limit, "value too large for the DHT");
  const UnixTime now = scheduler_.unix_now();
  TRY_VOID(validator->validate(key, value, now));
  const Bytes* old = records_.value(as_bytes(key));
  if (old != nullptr && validator->validate(key, *old, now)) {
    if (auto merged = validator->merge(key, *old, value, now)) {
      value = std::move(*merged);
    } else {
      const std::vector<Bytes> both{*old, value};
      if (validator->select(key, both) == 0) value = *old;
    }
  } else if (auto cleaned = validator->merge(key, value, value, now)) {
    value = std::move(*cleaned);
  }
  records_.put(as_bytes(key), std::move(value), scheduler_.now() + options_.record_ttl, rfc3339(now));
  return {};
}

std::vector<PeerAddress> Dht::closer_peers(const Place& place, const PeerId& asker) const {
  std::vector<PeerAddress> result;
  for (const PeerId& peer : table_.closest(place, options_.table.k + 1)) {
    if (peer == asker || result.size() == options_.table.k) continue;
    result.push_back(with_addresses(peer));
  }
  return result;
}

}  // namespace testudo::dht
