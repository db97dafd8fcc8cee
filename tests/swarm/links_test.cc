// Frames between members of a run: how fast they are read from whoever sends many.
#include "swarm/links.h"

#include <doctest/doctest.h>

#include "net/sim/sim_network.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace std::chrono_literals;

namespace {

constexpr const char* protocol = "/test/links";

net::Task<void> write_all(net::Host& host, PeerId to, Bytes bytes) {
  auto stream = co_await host.open_stream(to, protocol);
  REQUIRE(stream.has_value());
  auto written = co_await (*stream)->write(bytes);
  CHECK(written.has_value());
  (*stream)->close_write();
}

// The smallest there are: a header of one byte and no blob.
Bytes frames(std::size_t count) {
  Bytes all;
  for (std::size_t i = 0; i < count; ++i) append(all, Bytes{1, 7, 0});
  return all;
}

}  // namespace

TEST_CASE("frames beyond a member's rate are read later, and those of others at once") {
  net::SimScheduler scheduler;
  net::SimNetwork network(scheduler, {});
  net::SimHost& reader = network.add_host();
  net::SimHost& flooder = network.add_host();
  net::SimHost& other = network.add_host();
  for (net::SimHost* host : {&flooder, &other}) {
    host->peer_store().add_addresses(reader.id(), reader.addresses(), net::PeerStore::Source::user);
  }
  std::map<PeerId, std::size_t> received;
  Links links(
      reader, protocol, {.header_bytes = 64, .blob_bytes = 0}, [](const PeerId&) { return 64; },
      [&](const PeerId& from, Bytes, Buffer) { ++received[from]; });

  const std::size_t rate = reader.guard().limit(net::Limit::frame_rate_per_peer);
  const std::size_t burst = 4 * rate;
  net::TaskGroup tasks(scheduler);
  tasks.spawn(write_all(flooder, reader.id(), frames(burst + 2 * rate)));
  REQUIRE(scheduler.run_for([&] { return received[flooder.id()] >= burst; }, 1s));
  const net::TimePoint limited = scheduler.now();

  tasks.spawn(write_all(other, reader.id(), frames(100)));
  REQUIRE(scheduler.run_for([&] { return received[other.id()] == 100; }, 500ms));
  CHECK(received[flooder.id()] < burst + rate);
  REQUIRE(scheduler.run_for([&] { return received[flooder.id()] == burst + 2 * rate; }, 10s));
  CHECK(scheduler.now() - limited > 1500ms);
  CHECK(scheduler.now() - limited < 2500ms);
  CHECK(reader.guard().refusals(net::Limit::frame_rate_per_peer) >= rate);
  CHECK(reader.guard().protocols().at(protocol).delayed >= rate);
}
