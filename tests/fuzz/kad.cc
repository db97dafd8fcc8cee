// Messages of the DHT, and what makes a value under a key valid: manifests, owned values.
#include "dht/message.h"
#include "dht/validator.h"
#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

using dht::Message;

const dht::UnixTime now{std::chrono::hours(1'000'000 / 2)};

void check_message(ByteView input) {
  const auto message = Message::decode(input);
  if (!message) return;
  TESTUDO_CHECK(message->key.size() <= Message::max_key);
  TESTUDO_CHECK(message->closer.size() <= Message::max_peers &&
                message->providers.size() <= Message::max_peers);
  for (const auto& list : {message->closer, message->providers}) {
    for (const auto& peer : list) TESTUDO_CHECK(peer.addresses.size() <= Message::max_addresses);
  }
  if (message->record) TESTUDO_CHECK(message->record->value.size() <= Message::max_value);
  // What was understood is said again the same way: encoding is stable after one decoding.
  const Bytes again = message->encode();
  const auto second = Message::decode(again);
  TESTUDO_CHECK(second && second->encode() == again);
}

void run(ByteView input) {
  check_message(input);

  Script script(input);
  const std::string key_text(as_text(script.bytes(script.below(256))));
  const ByteView value = script.rest();
  dht::OwnedValueValidator owned;
  if (owned.validate(key_text, value, now)) {
    const auto opened = dht::OwnedValue::open(key_text, value, now);
    TESTUDO_CHECK(opened && opened->expires > now && opened->payload.size() <= value.size());
  }
  const std::vector<Bytes> values{to_bytes(value), to_bytes(input), {}};
  TESTUDO_CHECK(owned.select(key_text, values) < values.size());
  dht::ManifestValidator manifests;
  if (manifests.validate(key_text, value, now))
    TESTUDO_CHECK(key_text == dht::ManifestValidator::key_of(value));
  TESTUDO_CHECK(manifests.validate(dht::ManifestValidator::key_of(value), value, now).has_value());
}

Bytes keyed(std::string_view key_text, ByteView value) {
  Bytes out{static_cast<std::uint8_t>(key_text.size())};
  append(out, as_bytes(key_text));
  append(out, value);
  return out;
}

std::vector<Bytes> seeds() {
  const auto address = *net::Multiaddr::from_text("/ip4/192.0.2.1/tcp/4001");
  Message put;
  put.type = dht::MessageType::put_value;
  put.key = to_bytes("/testudo/value/x");
  put.record = dht::Record{put.key, to_bytes("value"), dht::rfc3339(now)};
  Message answer;
  answer.type = dht::MessageType::find_node;
  answer.closer = {{key(1).peer_id(), {address}}, {key(2).peer_id(), {}}};
  answer.providers = {{key(3).peer_id(), {address, net::Multiaddr().with_peer_id(key(3).peer_id())}}};
  const std::string owned_key = dht::OwnedValue::key_of(key(1).peer_id(), "name");
  const Bytes owned =
      dht::OwnedValue::make(key(1), owned_key, 3, now + std::chrono::hours(1), to_bytes("payload"));
  const Bytes manifest = to_bytes("whatever");
  return {put.encode(), answer.encode(), keyed(owned_key, owned),
          keyed(dht::ManifestValidator::key_of(manifest), manifest)};
}

const Registered target({"kad", run, seeds, 4});

}  // namespace
}  // namespace testudo::fuzz
