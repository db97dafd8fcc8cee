#include <algorithm>

#include "tests/dht/swarm_of_nodes.h"
#include "tests/repetitions.h"

namespace testudo::dht {
namespace {

using namespace std::chrono_literals;

// 0: garbage, 1: a wrong value and peers that do not exist, 2: silence.
Task<void> misbehave(std::unique_ptr<net::Stream> stream, std::size_t kind, net::Scheduler& scheduler) {
  auto request = co_await net::read_prefixed(*stream, Message::max_size);
  if (!request || !request->has_value()) co_return;
  auto asked = Message::decode(**request);
  if (!asked) co_return;
  Message reply;
  reply.type = asked->type;
  reply.key = asked->key;
  reply.record = Record{asked->key, to_bytes("a lie"), {}};
  crypto::SeededRng rng(kind);
  for (int i = 0; i < 20; ++i) {
    auto nowhere = Multiaddr::tcp("10.99.0." + std::to_string(i), 1);
    reply.closer.push_back({crypto::KeyPair::generate(rng).peer_id(), {*nowhere}});
  }
  if (kind == 2) co_await net::sleep_for(scheduler, std::chrono::hours(1));
  const Bytes answer = kind == 0 ? Bytes(50, 0xff) : reply.encode();
  auto written = co_await net::write_prefixed(*stream, answer);
  (void)written;
  stream->close_write();
}

std::vector<std::string> put_values(SwarmOfNodes& swarm, std::size_t count) {
  std::vector<std::string> keys;
  std::vector<Task<Result<void>>> puts;
  for (std::size_t i = 0; i < count; ++i) {
    Bytes value(100);
    swarm.rng().fill(value);
    keys.push_back(ManifestValidator::key_of(value));
    puts.push_back(swarm.node(swarm.pick()).put(keys.back(), std::move(value)));
  }
  for (const auto& put : swarm.run(net::when_all(swarm.scheduler(), std::move(puts)))) {
    CHECK_MESSAGE(put.has_value(), "seed ", swarm.seed());
  }
  return keys;
}
std::size_t found_of(SwarmOfNodes& swarm, const std::vector<std::string>& keys) {
  std::vector<Task<Result<Bytes>>> gets;
  for (const auto& key : keys) gets.push_back(swarm.node(swarm.pick()).get(key));
  std::size_t found = 0;
  for (const auto& got : swarm.run(net::when_all(swarm.scheduler(), std::move(gets)))) {
    if (got) ++found;
  }
  return found;
}

TEST_CASE("a thousand nodes join through one, and find every value, with loss and after a tenth died") {
  SwarmOfNodes swarm(42);
  swarm.join(many_nodes);
  const std::size_t count = many_nodes / 3;
  const auto keys = put_values(swarm, count);
  INFO("seed ", swarm.seed());
  CHECK(found_of(swarm, keys) == count);

  swarm.network().set_loss(0.1);
  CHECK(found_of(swarm, keys) == count);
  const auto more = put_values(swarm, count / 4);
  CHECK(found_of(swarm, more) == count / 4);
  swarm.network().set_loss(0);

  for (std::size_t i = 0; i < many_nodes / 10; ++i) swarm.kill(swarm.pick());
  CHECK(found_of(swarm, keys) == count);

  // Fifty announce at once, through the dead; everybody is in the dictionary afterwards.
  const Digest run_id = crypto::blake2b(as_bytes("a run"));
  std::vector<Task<Result<void>>> announcements;
  std::vector<PeerId> announcers;
  while (announcers.size() < 50) {
    const std::size_t i = swarm.pick();
    if (std::ranges::find(announcers, swarm.host(i).id()) != announcers.end()) continue;
    announcers.push_back(swarm.host(i).id());
    announcements.push_back(swarm.node(i).announce(run_id, to_bytes("ready"), 10min));
  }
  for (const auto& done : swarm.run(net::when_all(swarm.scheduler(), std::move(announcements)))) {
    CHECK(done.has_value());
  }
  for (int reader = 0; reader < 5; ++reader) {
    auto entries = swarm.run(swarm.node(swarm.pick()).run_entries(run_id));
    REQUIRE(entries.has_value());
    CHECK(entries->size() == 50);
    for (const auto& entry : *entries) {
      CHECK(std::ranges::find(announcers, entry.peer) != announcers.end());
      CHECK(entry.is_signed_for(run_id));
    }
  }
  for (std::size_t i = 0; i < swarm.size(); ++i) {
    if (swarm.alive(i)) CHECK(swarm.node(i).table().is_sane());
  }
  MESSAGE("virtual seconds ", net::seconds(swarm.scheduler().now().time_since_epoch()), ", segments ",
          swarm.network().segments(), ", turns ", swarm.scheduler().turns());
}

TEST_CASE("a lookup finds the nearest of all, and any peer by its id") {
  SwarmOfNodes swarm(3);
  swarm.join(100);
  std::vector<PeerId> all;
  for (std::size_t i = 0; i < swarm.size(); ++i) all.push_back(swarm.host(i).id());
  const Bytes key = to_bytes("anything");
  const std::size_t asker = swarm.pick();
  std::erase(all, swarm.host(asker).id());
  std::ranges::sort(all, {}, [&](const PeerId& peer) { return distance(place_of(peer), place_of(key)); });
  const auto closest = swarm.run(swarm.node(asker).find_closest(key));
  REQUIRE(closest.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(closest[i].id == all[i]);
  for (int i = 0; i < 20; ++i) {
    const std::size_t wanted = swarm.pick();
    const std::size_t from = swarm.pick();
    auto found = swarm.run(swarm.node(from).find_peer(swarm.host(wanted).id()));
    REQUIRE(found.has_value());
    if (from != wanted) CHECK(found->addresses == swarm.host(wanted).addresses());
  }
}

TEST_CASE("one node alone, and a second beside it, can store and find") {
  SwarmOfNodes swarm(4);
  swarm.join(1);
  const Bytes value = to_bytes("alone");
  CHECK(swarm.run(swarm.node(0).put(ManifestValidator::key_of(value), value)).has_value());
  CHECK(*swarm.run(swarm.node(0).get(ManifestValidator::key_of(value))) == value);
  swarm.join(2);
  CHECK(*swarm.run(swarm.node(1).get(ManifestValidator::key_of(value))) == value);
  const Digest run_id{};
  CHECK(swarm.run(swarm.node(0).announce(run_id, to_bytes("a"), 1h)).has_value());
  CHECK(swarm.run(swarm.node(1).announce(run_id, to_bytes("b"), 1h)).has_value());
  CHECK(swarm.run(swarm.node(0).run_entries(run_id))->size() == 2);
  CHECK(swarm.run(swarm.node(1).run_entries(run_id))->size() == 2);
}

TEST_CASE("bootstrapping from nobody reachable says who was tried") {
  SwarmOfNodes swarm(5);
  swarm.join(2);
  const net::PeerAddress dead = swarm.host(1).peer_address();
  swarm.kill(1);
  Dht& late = swarm.add();
  auto joined = swarm.run(late.bootstrap({dead}));
  REQUIRE_FALSE(joined.has_value());
  CHECK(joined.error().code == ErrorCode::unreachable);
  CHECK(joined.error().message.find(dead.id.to_text()) != std::string::npos);
  CHECK(swarm.run(late.bootstrap({swarm.host(0).peer_address()})).has_value());
}

TEST_CASE("a newcomer whose first question is lost asks again, until its neighbours know it") {
  SwarmOfNodes swarm(14);
  constexpr std::size_t nodes = slow_build ? 60 : 200;
  swarm.join(nodes);
  Dht& late = swarm.add();
  const std::size_t index = swarm.size() - 1;
  auto& network = swarm.network();
  net::Timer lost = swarm.scheduler().after(140ms, [&] {  // it has asked, and has no answer yet
    CHECK(swarm.host(index).is_connected(swarm.host(0).id()));
    CHECK(late.statistics().requests == 1);
    network.partition({{&swarm.host(index)}}, net::SimNetwork::Across::stalls);
  });
  net::Timer found = swarm.scheduler().after(15s, [&] { network.heal(); });
  CHECK(swarm.run(late.bootstrap({swarm.host(0).peer_address()})).has_value());
  CHECK(late.statistics().failed_requests > 0);
  const Bytes key = swarm.host(index).id().to_multihash();
  for (std::size_t i = 1; i < nodes; i += nodes / 10) {
    const auto closest = swarm.run(swarm.node(i).find_closest(key));
    REQUIRE_FALSE(closest.empty());
    CHECK(closest.front().id == swarm.host(index).id());
  }
}

TEST_CASE("a newcomer can be used and is found after one lookup, and fills its table meanwhile") {
  SwarmOfNodes swarm(16);
  constexpr std::size_t nodes = slow_build ? 60 : 200;
  swarm.join(nodes);
  Dht& late = swarm.add();
  const PeerId& self = swarm.host(swarm.size() - 1).id();
  CHECK(swarm.run(late.bootstrap({swarm.host(0).peer_address()})).has_value());
  CHECK(late.statistics().lookups == 1);  // a second one, and it would be seconds late over a long line
  const std::size_t known = late.table().size();
  for (std::size_t i = 1; i < nodes; i += nodes / 10) {
    const auto closest = swarm.run(swarm.node(i).find_closest(self.to_multihash()));
    REQUIRE_FALSE(closest.empty());
    CHECK(closest.front().id == self);
  }
  const Bytes value = to_bytes("at once");
  CHECK(swarm.run(late.put(ManifestValidator::key_of(value), value)).has_value());
  CHECK(*swarm.run(swarm.node(nodes / 2).get(ManifestValidator::key_of(value))) == value);
  swarm.scheduler().run_for(1min);
  CHECK(late.statistics().lookups >= 2 + late.table().buckets_in_use() / 2);
  CHECK(late.table().size() > known);
}

TEST_CASE("a bootstrap peer that accepts connections and answers nothing is no way in, and is named") {
  SwarmOfNodes swarm(15);
  swarm.join(2);
  swarm.host(1).set_handler("/testudo/kad/1.0.0", [&swarm](std::unique_ptr<net::Stream> stream) {
    return misbehave(std::move(stream), 2, swarm.scheduler());
  });
  Dht& late = swarm.add();
  const auto joined = swarm.run(late.bootstrap({swarm.host(1).peer_address()}));
  REQUIRE_FALSE(joined.has_value());
  CHECK(joined.error().code == ErrorCode::timeout);
  CHECK(joined.error().message.find(swarm.host(1).id().to_text()) != std::string::npos);
}

TEST_CASE("clients read and write but stand in nobody's table") {
  SwarmOfNodes swarm(6);
  swarm.join(20);
  Dht::Options options;
  options.server = false;
  Dht& client = swarm.add(options);
  REQUIRE(swarm.run(client.bootstrap({swarm.host(0).peer_address()})).has_value());
  const Bytes value = to_bytes("from a client");
  CHECK(swarm.run(client.put(ManifestValidator::key_of(value), value)).has_value());
  CHECK(*swarm.run(swarm.node(3).get(ManifestValidator::key_of(value))) == value);
  for (std::size_t i = 0; i < 20; ++i) CHECK_FALSE(swarm.node(i).table().contains(swarm.host(20).id()));
}

TEST_CASE("of two owned values the one with the higher sequence wins everywhere" *
          doctest::skip(slow_build)) {
  SwarmOfNodes swarm(7);
  swarm.join(40);
  const auto& owner = swarm.host(5).identity();
  const std::string key = OwnedValue::key_of(owner.peer_id(), "progress");
  const auto expires = swarm.scheduler().unix_now() + std::chrono::hours(1);
  const Bytes first = OwnedValue::make(owner, key, 1, expires, to_bytes("first"));
  const Bytes second = OwnedValue::make(owner, key, 2, expires, to_bytes("second"));
  CHECK(swarm.run(swarm.node(5).put(key, second)).has_value());
  CHECK(swarm.run(swarm.node(6).put(key, first)).has_value());  // a replay does not undo it
  for (std::size_t i = 0; i < 40; i += 7) {
    auto record = swarm.run(swarm.node(i).get(key));
    REQUIRE(record.has_value());
    auto opened = OwnedValue::open(key, *record, swarm.scheduler().unix_now());
    CHECK(opened->payload == to_bytes("second"));
  }
  const Bytes forged = OwnedValue::make(swarm.host(6).identity(), key, 3, expires, to_bytes("forged"));
  CHECK(swarm.run(swarm.node(6).put(key, forged)).error().code == ErrorCode::authentication);
  swarm.scheduler().run_for(2h);
  CHECK(swarm.run(swarm.node(8).get(key)).error().code == ErrorCode::not_found);
}

TEST_CASE("providers are found, and nobody can name another as one") {
  SwarmOfNodes swarm(8);
  swarm.join(30);
  const Digest content = crypto::blake2b(as_bytes("chunk"));
  CHECK(swarm.run(swarm.node(4).provide(content)).has_value());
  CHECK(swarm.run(swarm.node(9).provide(content)).has_value());
  auto providers = swarm.run(swarm.node(20).providers(content));
  REQUIRE(providers.has_value());
  REQUIRE(providers->size() == 2);
  for (const auto& provider : *providers) CHECK_FALSE(provider.addresses.empty());
}

TEST_CASE("entries of a run expire, and a kept announcement lives on") {
  SwarmOfNodes swarm(9);
  swarm.join(30);
  const Digest run_id = crypto::blake2b(as_bytes("run"));
  CHECK(swarm.run(swarm.node(3).announce(run_id, to_bytes("short"), 1min)).has_value());
  net::TaskGroup group(swarm.scheduler());
  group.spawn(swarm.node(4).keep_announced(run_id, [] { return to_bytes("kept"); }, 1min));
  swarm.scheduler().run_for(30s);
  CHECK(swarm.run(swarm.node(7).run_entries(run_id))->size() == 2);
  swarm.scheduler().run_for(5min);
  auto left = swarm.run(swarm.node(7).run_entries(run_id));
  REQUIRE(left->size() == 1);
  CHECK(left->front().payload == to_bytes("kept"));
}

TEST_CASE("the halves of a network that was cut for long grow together again" * doctest::skip(slow_build)) {
  SwarmOfNodes swarm(10);
  swarm.join(40);
  std::vector<net::SimHost*> half;
  for (std::size_t i = 20; i < 40; ++i) half.push_back(&swarm.host(i));
  swarm.network().partition({half});
  swarm.scheduler().run_for(2h);
  for (std::size_t i = 20; i < 40; ++i) CHECK_FALSE(swarm.node(i).table().contains(swarm.host(0).id()));
  const Bytes here = to_bytes("here");
  const Bytes there = to_bytes("there");
  CHECK(swarm.run(swarm.node(5).put(ManifestValidator::key_of(here), here)).has_value());
  CHECK(swarm.run(swarm.node(25).put(ManifestValidator::key_of(there), there)).has_value());
  CHECK_FALSE(swarm.run(swarm.node(6).get(ManifestValidator::key_of(there))).has_value());
  swarm.network().heal();
  swarm.scheduler().run_for(30min);
  for (const std::size_t i : std::vector<std::size_t>{6, 16, 26, 36}) {
    CHECK(swarm.run(swarm.node(i).get(ManifestValidator::key_of(here))).has_value());
    CHECK(swarm.run(swarm.node(i).get(ManifestValidator::key_of(there))).has_value());
  }
}

TEST_CASE("disjoint paths find what one path finds") {
  Dht::Options options;
  options.paths = 4;
  SwarmOfNodes swarm(13, options);
  swarm.join(60);
  const auto keys = put_values(swarm, 20);
  CHECK(found_of(swarm, keys) == 20);
}

TEST_CASE("servers that answer garbage, lies or nothing are named and do not hide a value") {
  SwarmOfNodes swarm(14);
  swarm.join(60);
  const auto keys = put_values(swarm, 20);
  // A quarter turns: the handlers of the protocol are replaced under their feet.
  std::size_t kind = 0;
  for (std::size_t i = 1; i < swarm.size(); i += 4) {
    swarm.host(i).set_handler("/testudo/kad/1.0.0",
                              [kind = kind++ % 3, &swarm](std::unique_ptr<net::Stream> stream) {
                                return misbehave(std::move(stream), kind, swarm.scheduler());
                              });
  }
  std::vector<Task<Result<Bytes>>> gets;
  for (const auto& key : keys) gets.push_back(swarm.node(2 + 4 * (gets.size() % 14)).get(key));
  for (const auto& got : swarm.run(net::when_all(swarm.scheduler(), std::move(gets)))) CHECK(got.has_value());
  std::uint64_t noticed = 0;
  for (std::size_t i = 2; i < swarm.size(); i += 4) noticed += swarm.node(i).misbehaviour().total();
  CHECK(noticed > 0);
}

std::uint64_t trace_of(std::uint64_t seed) {
  SwarmOfNodes swarm(seed);
  swarm.join(40, 10);
  const auto keys = put_values(swarm, 10);
  CHECK(found_of(swarm, keys) == 10);
  return swarm.network().trace();
}
TEST_CASE("a whole network of nodes replays from its seed") {
  CHECK(trace_of(11) == trace_of(11));
  CHECK(trace_of(11) != trace_of(12));
}

}  // namespace
}  // namespace testudo::dht
