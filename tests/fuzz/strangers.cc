// A node whose services all run, and a stranger who opens streams on any protocol, writes anything in pieces,
// closes or resets. The node answers an honest asker afterwards, and holds nothing that the stranger left.

#include <deque>

#include "crypto/base/encoding.h"
#include "dht/dht.h"
#include "net/messages/service.h"
#include "net/services/identify.h"
#include "net/services/ping.h"
#include "net/sim/sim_network.h"
#include "net/storage/memory_storage.h"
#include "swarm/sync.h"
#include "swarm/sync_messages.h"
#include "tests/fuzz/fuzz.h"
#include "tests/swarm/testing.h"
#include "training/round/part_exchange.h"
#include "training/round/state_store.h"

namespace testudo::fuzz {
namespace {

using namespace std::chrono_literals;

struct World {
  std::vector<crypto::KeyPair> keys = testing::make_keys(3);
  swarm::SignedManifest manifest = testing::make_signed_manifest(keys);
  net::SimScheduler scheduler;
  net::SimNetwork network{scheduler, {}};
  net::SimHost& node = network.add_host({}, keys[0].clone());
  net::SimHost& stranger = network.add_host({}, keys[1].clone());
  net::MemoryStorage storage;
  std::unique_ptr<swarm::Ledger> ledger = *swarm::Ledger::open(storage, manifest);
  net::PingService ping{node};
  net::IdentifyService identify{node};
  dht::Dht dht{node, {}};
  training::StateStore states{scheduler, storage};
  swarm::SyncServer sync{node, manifest.manifest.run_id(), *ledger, states};
  training::PartExchange parts{node, 1000, 4, [](const crypto::PeerId&) { return true; }, nullptr};
  // The stranger's streams and what still writes to them.
  std::deque<std::unique_ptr<net::Stream>> streams;
  std::deque<Bytes> written;
  net::TaskGroup tasks{scheduler};

  World() {
    parts.enter(swarm::RoundNumber(1), swarm::Attempt(0));
    stranger.peer_store().add_addresses(node.id(), node.addresses(), net::PeerStore::Source::user);
  }
};

net::Task<void> open(World& world, std::string protocol) {
  auto stream = co_await world.stranger.open_stream(world.node.id(), std::move(protocol));
  if (stream) world.streams.push_back(std::move(*stream));
}
net::Task<void> write(net::Stream& stream, ByteView bytes) {
  const auto done = co_await stream.write(bytes);
  (void)done;
}
net::Task<void> ask(World& world, bool& answered) {
  const swarm::sync::Request request{
      static_cast<std::uint8_t>(swarm::sync::Kind::head), world.manifest.manifest.run_id(), {}, 0, 0};
  const auto reply =
      co_await swarm::sync::ask<swarm::sync::HeadReply>(world.stranger, world.node.id(), request, 1024);
  answered = reply.has_value();
}

const std::vector<std::string>& protocols() {
  static const std::vector<std::string> all{"/testudo/sync/1.0.0",  "/testudo/part/1.0.0",
                                            "/testudo/kad/1.0.0",   net::kIdentifyPushProtocol,
                                            net::kIdentifyProtocol, "/ipfs/ping/1.0.0"};
  return all;
}

void run(ByteView input) {
  Script script(input);
  World world;
  while (!script.done()) {
    const std::uint8_t action = script.byte();
    net::Stream* stream =
        world.streams.empty() ? nullptr : world.streams[script.below(world.streams.size())].get();
    switch (action % 8) {
      case 0:
      case 1:
        if (world.streams.size() < 8)
          world.tasks.spawn(open(world, protocols()[script.below(protocols().size())]));
        world.scheduler.run_for(200ms);
        break;
      case 2: {  // one message behind its length
        if (stream == nullptr) break;
        const ByteView message = script.bytes(script.below(300));
        Bytes framed;
        append_varint(framed, message.size());
        append(framed, message);
        world.written.push_back(std::move(framed));
        world.tasks.spawn(write(*stream, world.written.back()));
        world.scheduler.run_for(1s);
        break;
      }
      case 3:
      case 4:
        if (stream == nullptr) break;
        world.written.push_back(to_bytes(script.bytes(script.below(300))));
        world.tasks.spawn(write(*stream, world.written.back()));
        world.scheduler.run_for(1s);
        break;
      case 5:
        if (stream != nullptr) stream->close_write();
        break;
      case 6:
        if (stream != nullptr) stream->reset();
        break;
      default:
        world.scheduler.run_for(std::chrono::seconds(script.below(100)));
    }
  }
  world.scheduler.run_for(100ms);
  bool answered = false;
  world.tasks.spawn(ask(world, answered));
  world.scheduler.run_for(20s);
  TESTUDO_CHECK(answered);
}

Bytes framed_script(std::uint8_t protocol, ByteView message) {
  Bytes out{0,
            0,
            protocol,
            2,
            0,
            static_cast<std::uint8_t>(message.size() >> 8),
            static_cast<std::uint8_t>(message.size())};
  append(out, message);
  append(out, Bytes{5, 0});
  return out;
}

std::vector<Bytes> seeds() {
  World world;
  dht::Message find;
  find.type = dht::MessageType::find_node;
  find.key = key(3).peer_id().to_multihash();
  dht::Message put;
  put.type = dht::MessageType::put_value;
  put.key = to_bytes("/testudo/value/x");
  put.record = dht::Record{put.key, to_bytes("y"), ""};
  const Bytes part_header = net::pack(std::vector<std::uint32_t>{1, 0, 1, 2});
  Bytes two = framed_script(1, part_header);
  append(two, Bytes{3, 0, 0, 5, 4, 1, 2, 3, 4});
  const swarm::RunId run = world.manifest.manifest.run_id();
  return {framed_script(0, net::pack(swarm::sync::Request{2, run, {}, 0, 0})),
          framed_script(0, net::pack(swarm::sync::Request{5, run, {}, 0, 0})),
          framed_script(0, net::pack(swarm::sync::Request{6, run, {}, 7, 64})),
          framed_script(1, part_header),
          two,
          framed_script(2, find.encode()),
          framed_script(2, put.encode()),
          framed_script(3, net::encode_identify(world.node, "x", 1, std::nullopt)),
          framed_script(4, {}),
          framed_script(5, Bytes(32, 7)),
          {0, 0, 0, 0, 0, 1, 0, 0, 2, 7, 99, 6, 1, 7, 99}};
}

const Registered target({"strangers", run, seeds, 100});

}  // namespace
}  // namespace testudo::fuzz
