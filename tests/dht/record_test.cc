#include <doctest/doctest.h>

#include <algorithm>

#include "dht/message.h"
#include "dht/record_store.h"
#include "dht/run_dictionary.h"

namespace testudo::dht {
namespace {

const Digest run_id = crypto::blake2b(as_bytes("run"));
const UnixTime now{std::chrono::sys_days{std::chrono::year{2024} / 1 / 1}};

Bytes dictionary_of(const std::vector<RunEntry>& entries) {
  RunDictionary dictionary(run_id);
  for (const auto& entry : entries) dictionary.add(entry, now);
  return dictionary.encode();
}

TEST_CASE("merging dictionaries does not depend on order, grouping or repetition") {
  crypto::SeededRng rng(1);
  std::vector<crypto::KeyPair> keys;
  for (int i = 0; i < 6; ++i) keys.push_back(crypto::KeyPair::generate(rng));
  RunDictionaryValidator validator;
  const std::string key = RunDictionary::key_of(run_id);
  for (int round = 0; round < 20; ++round) {
    std::vector<Bytes> parts;
    for (int part = 0; part < 3; ++part) {
      std::vector<RunEntry> entries;
      for (const auto& owner : keys) {
        if (rng.below(2) == 0) continue;
        entries.push_back(RunEntry::make(owner, run_id, rng.below(4), now + std::chrono::hours(1),
                                         {static_cast<std::uint8_t>(rng.below(3))}));
      }
      parts.push_back(dictionary_of(entries));
      CHECK(validator.validate(key, parts.back(), now).has_value());
    }
    auto merge = [&](const Bytes& a, const Bytes& b) { return *validator.merge(key, a, b, now); };
    const Bytes& a = parts[0];
    const Bytes& b = parts[1];
    const Bytes& c = parts[2];
    CHECK(merge(a, b) == merge(b, a));
    CHECK(merge(merge(a, b), c) == merge(a, merge(b, c)));
    CHECK(merge(a, a) == a);
  }
}

TEST_CASE("entries that are forged, of another run, too large or expired do not count") {
  crypto::SeededRng rng(2);
  const auto key_pair = crypto::KeyPair::generate(rng);
  RunDictionaryValidator validator;
  const std::string key = RunDictionary::key_of(run_id);
  RunEntry good = RunEntry::make(key_pair, run_id, 1, now + std::chrono::hours(1), to_bytes("x"));
  CHECK(validator.validate(key, dictionary_of({good}), now).has_value());
  RunEntry forged = good;
  forged.payload = to_bytes("y");
  CHECK(validator.validate(key, dictionary_of({forged}), now).error().code == ErrorCode::authentication);
  const Digest other = crypto::blake2b(as_bytes("other"));
  const RunEntry foreign = RunEntry::make(key_pair, other, 1, now + std::chrono::hours(1), {});
  CHECK_FALSE(validator.validate(key, dictionary_of({foreign}), now).has_value());
  RunDictionary dictionary(run_id);
  dictionary.add(RunEntry::make(key_pair, run_id, 1, now, {}), now);
  dictionary.add(RunEntry::make(key_pair, run_id, 1, now + std::chrono::hours(48), {}), now);
  dictionary.add(RunEntry::make(key_pair, run_id, 1, now + std::chrono::hours(1), Bytes(1025)), now);
  CHECK(dictionary.entries().empty());
  // So late that the time until then does not fit what durations are counted in.
  const UnixTime never{std::chrono::milliseconds(1ULL << 44)};
  dictionary.add(RunEntry::make(key_pair, run_id, 1, never, {}), never - std::chrono::hours(1));
  CHECK(dictionary.entries().size() == 1);
  CHECK(validator.validate(key, dictionary.encode(), now).error().code == ErrorCode::protocol);
  CHECK_FALSE(validator.validate("/testudo/run/xyz", dictionary_of({good}), now).has_value());
  CHECK_FALSE(validator.validate(key, to_bytes("garbage"), now).has_value());
}

TEST_CASE("a full dictionary keeps those whose identity cost more") {
  crypto::SeededRng rng(3);
  RunDictionary dictionary(run_id);
  std::vector<PeerId> costly;
  for (std::size_t i = 0; i < RunDictionary::max_entries + 100; ++i) {
    ByteArray<32> raw;
    rng.fill(raw);
    RunEntry entry{PeerId(crypto::PublicKey(raw)), 1, now + std::chrono::hours(1), {}, {}};
    if (i % 10 == 0) costly.push_back(entry.peer);
    dictionary.add(entry, now);
  }
  dictionary.shrink([&](const PeerId& peer) -> std::uint64_t {
    return std::ranges::find(costly, peer) != costly.end() ? 1 : 0;
  });
  CHECK(dictionary.entries().size() == RunDictionary::max_entries);
  for (const PeerId& peer : costly) CHECK(dictionary.entries().contains(peer));
}

TEST_CASE("DHT messages come back, and garbage is refused without harm") {
  crypto::SeededRng rng(4);
  Message message;
  message.type = MessageType::get_value;
  message.key = to_bytes("/testudo/value/x");
  message.record = Record{message.key, to_bytes("value"), {}};
  message.closer.push_back(
      {crypto::KeyPair::generate(rng).peer_id(),
       {*Multiaddr::from_text("/ip4/1.2.3.4/tcp/5"), *Multiaddr::from_text("/ip6/::1/tcp/6")}});
  const Bytes encoded = message.encode();
  auto back = Message::decode(encoded);
  REQUIRE(back.has_value());
  CHECK(back->encode() == encoded);
  CHECK(back->closer[0].addresses.size() == 2);
  // An address that says who and not where is left out.
  Message nowhere = message;
  nowhere.closer[0].addresses.push_back(Multiaddr().with_peer_id(message.closer[0].id));
  back = Message::decode(nowhere.encode());
  REQUIRE(back.has_value());
  CHECK(back->closer[0].addresses.size() == 2);
  for (int i = 0; i < 20'000; ++i) {
    Bytes changed = encoded;
    for (std::uint64_t flips = 1 + rng.below(4); flips > 0; --flips) {
      changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.below(256));
    }
    changed.resize(changed.size() - rng.below(8));
    auto decoded = Message::decode(changed);
    if (decoded) CHECK(decoded->closer.size() <= Message::max_peers);
  }
  message.closer.resize(Message::max_peers + 1, message.closer[0]);
  CHECK(Message::decode(message.encode()).error().code == ErrorCode::limit);
}

TEST_CASE("a manifest stands under one key only") {
  ManifestValidator validator;
  const Bytes value = to_bytes("a manifest");
  const std::string key = ManifestValidator::key_of(value);
  CHECK(validator.validate(key, value, now).has_value());
  std::string shouted = key;
  for (char& c : shouted) {
    if (c >= 'a' && c <= 'f' && &c >= &shouted[ManifestValidator::prefix.size()])
      c = static_cast<char>(c - 'a' + 'A');
  }
  REQUIRE(shouted != key);
  CHECK_FALSE(validator.validate(shouted, value, now).has_value());
  CHECK_FALSE(validator.validate(key, to_bytes("another"), now).has_value());
}

TEST_CASE("times are written as js-libp2p reads them") {
  CHECK(rfc3339(now + std::chrono::milliseconds(93'784'678)) == "2024-01-02T02:03:04.678000000Z");
}

TEST_CASE("a full record store drops what is farthest, and everything expires") {
  crypto::SeededRng rng(5);
  const PeerId self = crypto::KeyPair::generate(rng).peer_id();
  RecordStore store(self, {.records = 10});
  std::vector<Bytes> keys;
  for (int i = 0; i < 50; ++i) {
    Bytes key(8);
    rng.fill(key);
    keys.push_back(key);
    store.put(key, to_bytes("value"), net::TimePoint(std::chrono::seconds(10)));
  }
  std::ranges::sort(keys, {}, [&](const Bytes& key) { return distance(place_of(key), place_of(self)); });
  CHECK(store.records() == 10);
  for (std::size_t i = 0; i < keys.size(); ++i) CHECK((store.value(keys[i]) != nullptr) == (i < 10));
  store.expire(net::TimePoint(std::chrono::seconds(11)));
  CHECK(store.records() == 0);
  CHECK(store.bytes() == 0);
}

}  // namespace
}  // namespace testudo::dht
