#include "swarm/directory.h"

#include <deque>

#include "net/sim/sim_network.h"
#include "tests/swarm/testing.h"

using namespace testudo;
using namespace testudo::swarm;
using namespace testudo::testing;
using namespace std::chrono_literals;

namespace {

// A bootstrap node that is no member, and members that know nothing but its address.
struct Town {
  struct Node {
    net::SimHost& host;
    std::unique_ptr<dht::Dht> dht;
    std::unique_ptr<Directory> directory;
    std::unique_ptr<net::TaskGroup> tasks;
  };

  RunId run = digest_of("run");
  net::SimScheduler scheduler;
  net::SimNetwork network{scheduler, {}};
  std::deque<Node> nodes;

  Town() { start_dht(nodes.emplace_back(Node{network.add_host()}), {}); }
  static net::Task<void> enter(dht::Dht& dht, std::vector<net::PeerAddress> peers) {
    auto done = co_await dht.bootstrap(std::move(peers));
    CHECK(done.has_value());
  }
  void start_dht(Node& node, std::vector<net::PeerAddress> peers) {
    node.dht = std::make_unique<dht::Dht>(node.host, dht::Dht::Options{});
    node.tasks = std::make_unique<net::TaskGroup>(scheduler);
    node.tasks->spawn(enter(*node.dht, std::move(peers)));
  }
  // As a process starts: the DHT begins to bootstrap, the directory does not wait for it.
  void start(Node& node) {
    start_dht(node, {nodes[0].host.peer_address()});
    node.directory = std::make_unique<Directory>(node.host, *node.dht, run);
    node.directory->start();
  }
  void add_members(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) start(nodes.emplace_back(Node{network.add_host()}));
  }
  void crash(Node& node) {
    node.directory.reset();
    node.tasks.reset();
    node.dht.reset();
    network.crash(node.host);
  }
  bool all_connected() const {
    return std::ranges::all_of(nodes, [this](const Node& node) {
      return !node.directory || node.directory->connected().size() == members() - 1;
    });
  }
  std::size_t members() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(nodes, [](const Node& n) { return n.directory != nullptr; }));
  }
};

}  // namespace

TEST_CASE("a presence comes back, and what is malformed is nothing") {
  const auto read = Presence::decode(Presence{"testudo/9", RoundNumber(7)}.encode());
  REQUIRE(read.has_value());
  CHECK(read->agent == "testudo/9");
  CHECK(read->round == RoundNumber(7));
  CHECK(Presence::decode(Presence{std::string(500, 'a'), RoundNumber(7)}.encode())->agent.size() == 64);
  CHECK_FALSE(Presence::decode(Presence{"\x1b[2J", RoundNumber(7)}.encode()).has_value());
  CHECK_FALSE(Presence::decode(Bytes{}).has_value());
  CHECK_FALSE(Presence::decode(Bytes(100, 0x91)).has_value());
}

TEST_CASE_FIXTURE(Town,
                  "ten members that know a bootstrap node only are all connected within a few seconds") {
  add_members(10);
  CHECK(scheduler.run_for([this] { return all_connected(); }, 8s));
  // The bootstrap node is connected too and no peer of the run.
  CHECK(nodes[1].host.is_connected(nodes[0].host.id()));
  CHECK(std::ranges::count(nodes[1].directory->connected(), nodes[0].host.id()) == 0);
  CHECK(nodes[1].directory->listed().size() == 9);
  // It stays so for as long as announcements last, several times over.
  scheduler.run_for(15min);
  CHECK(all_connected());
  CHECK(nodes[1].directory->listed().size() == 9);
}

TEST_CASE_FIXTURE(Town, "a member that restarts is found again, and tells of its progress") {
  add_members(10);
  REQUIRE(scheduler.run_for([this] { return all_connected(); }, 8s));
  Node& node = nodes[4];
  crash(node);
  scheduler.run_for(5s);
  CHECK_FALSE(nodes[1].host.is_connected(node.host.id()));
  network.restart(node.host);
  start(node);
  node.directory->set_presence({"testudo/9", RoundNumber(12)});
  CHECK(scheduler.run_for([this] { return all_connected(); }, 12s));
  CHECK(scheduler.run_for(
      [&] {
        const auto presence = nodes[1].directory->presence_of(node.host.id());
        return presence && presence->round == RoundNumber(12);
      },
      2min));
}

TEST_CASE_FIXTURE(Town, "who is gone for good leaves the list when its announcement has expired") {
  add_members(4);
  REQUIRE(scheduler.run_for([this] { return all_connected(); }, 8s));
  const PeerId gone = nodes[4].host.id();
  crash(nodes[4]);
  scheduler.run_for(30s);
  CHECK(nodes[1].directory->listed().contains(gone));
  scheduler.run_for(Directory::announcement_ttl + Directory::lookup_interval + 10s);
  CHECK_FALSE(nodes[1].directory->listed().contains(gone));
  CHECK(all_connected());
}

TEST_CASE_FIXTURE(Town, "a member that the ledger names is dialled though it is in no dictionary") {
  add_members(2);
  Node& quiet = nodes.emplace_back(Node{network.add_host()});
  start_dht(quiet, {nodes[0].host.peer_address()});
  scheduler.run_for(5s);
  nodes[1].host.disconnect(quiet.host.id());
  scheduler.run_for(1s);
  nodes[1].directory->set_wanted({quiet.host.id(), nodes[1].host.id()});
  CHECK(scheduler.run_for([&] { return nodes[1].host.is_connected(quiet.host.id()); }, 5s));
  CHECK(nodes[1].directory->connected().size() == 2);
}

TEST_CASE_FIXTURE(Town, "after a partition heals the members connect again, and a banned one never") {
  add_members(6);
  REQUIRE(scheduler.run_for([this] { return all_connected(); }, 8s));
  std::vector<net::SimHost*> left, right;
  for (std::size_t i = 0; i < nodes.size(); ++i) (i < 4 ? left : right).push_back(&nodes[i].host);
  network.partition({left, right});
  scheduler.run_for(40s);
  CHECK_FALSE(all_connected());
  network.heal();
  CHECK(scheduler.run_for([this] { return all_connected(); }, 40s));
  nodes[1].host.ban(nodes[2].host.id());
  scheduler.run_for(60s);
  CHECK_FALSE(nodes[1].host.is_connected(nodes[2].host.id()));
  CHECK(nodes[1].directory->connected().size() == 4);
}
