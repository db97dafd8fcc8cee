// What befalls a member's computer, with real processes on computers of their own: its line is unplugged, its
// disk is full, or too small.
#include "tests/tools/machine.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>

using namespace testudo;
using namespace testudo::tools;
using namespace std::chrono_literals;

namespace {

constexpr const char* no_room = "MiB have to be free in ";

std::unique_ptr<Machine> make_hub(ProcessTest& test) {
  std::string reason;
  auto hub = Machine::make(test, reason);
  if (!hub) MESSAGE("skipped: this system does not let a test make namespaces: ", reason);
  return hub;
}

// On the hub; its address.
std::pair<std::unique_ptr<Process>, std::string> bootstrap_on(ProcessTest& test, Machine& hub) {
  auto node = hub.start(
      "testudo", {"bootstrap", "--listen", hub.listen_address(), "--data", test.path("bootstrap"), "--json"});
  REQUIRE(node->wait([&] { return !node->events("listening").empty(); }));
  std::string address = node->events("listening")[0].at("address");
  return {std::move(node), std::move(address)};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// A founder on the hub and a joiner whose line is unplugged at the end of a phase.
struct Pair {
  std::string phase;
  std::unique_ptr<Machine> machine;
  std::unique_ptr<Process> founder;
  std::unique_ptr<Process> joiner;
  std::uint64_t missed = 0;  // the founder's last round while the line was unplugged

  bool together_again() const {
    const auto rounds = joiner->events("round");
    return std::ranges::any_of(rounds, [this](const Event& round) {
      return round.at("round") > missed + 3 && round.at("contributors") == 2;
    });
  }
};

}  // namespace

TEST_SUITE_BEGIN("machines");

TEST_CASE("a member whose line is unplugged for ten seconds, at the end of any phase, is back afterwards") {
  ProcessTest test;
  const auto hub = make_hub(test);
  if (!hub) return;
  const auto [node, address] = bootstrap_on(test, *hub);
  std::vector<Pair> pairs;
  for (const char* phase : {"compute", "commit", "scatter", "reduce", "gather", "reveal", "step"}) {
    Pair pair{.phase = phase, .machine = std::make_unique<Machine>(test, *hub)};
    const std::string founder = std::string("founder-") + phase;
    const std::string run =
        test.new_run({"--data", test.path(founder), "--name", phase, "--rounds", "1000000"});
    pair.founder = hub->join(run, address, test.path(founder), {"--compute-ms", "100"});
    pair.joiner = pair.machine->join(run, address, test.path(std::string("joiner-") + phase),
                                     {"--compute-ms", "100", "--hold-after", phase});
    pairs.push_back(std::move(pair));
  }
  for (const Pair& pair : pairs) {
    CAPTURE(pair.phase);
    CAPTURE(pair.joiner->errors());
    REQUIRE(pair.joiner->wait([&] { return pair.joiner->last_round() > 0; }));
  }
  for (const Pair& pair : pairs) {
    CAPTURE(pair.phase);
    pair.joiner->signal(SIGUSR1);
    REQUIRE(pair.joiner->wait([&] { return !pair.joiner->events("held").empty(); }));
    pair.machine->unplug();
    pair.joiner->signal(SIGUSR1);
  }
  // Time itself is what is tested: longer than every deadline of a round.
  pairs[0].founder->wait([] { return false; }, 10s);
  for (Pair& pair : pairs) {
    pair.missed = pair.founder->last_round();
    pair.machine->plug();
  }
  for (const Pair& pair : pairs) {
    CAPTURE(pair.phase);
    CHECK(pair.joiner->wait([&] { return pair.together_again(); }));
    CAPTURE(pair.joiner->errors());
    CAPTURE(pair.founder->errors());
    CHECK(pair.founder->wait([&] { return pair.founder->last_round() > pair.missed + 3; }));
    CHECK(same_parameters(*pair.founder, *pair.joiner));
    CHECK(pair.founder->events("banned").empty());
    CHECK(pair.joiner->events("banned").empty());
  }
}

TEST_CASE("a founder whose disk is full says how much room it needs, and the run goes on once it has it") {
  ProcessTest test;
  const auto hub = make_hub(test);
  if (!hub) return;
  const auto [node, address] = bootstrap_on(test, *hub);
  Machine machine(test, *hub);
  const std::string small = test.path("small");
  machine.mount_disk(small, "12M");
  const std::string data = small + "/data";
  const auto identity = machine.start("testudo", {"keygen", "--data", data});
  REQUIRE(identity->wait_end());
  REQUIRE(identity->lines.size() == 1);
  const std::string run = test.new_run({"--rounds", "1000000", "--start-members", "2", "--founder",
                                        test.new_identity("founder"), "--founder", identity->lines[0]});
  const auto founder = hub->join(run, address, test.path("founder"), {"--compute-ms", "50"});
  const auto second = machine.join(run, address, data, {"--compute-ms", "50"});
  CAPTURE(second->errors());
  REQUIRE(second->goes_on(5));

  (void)machine.run("cat /dev/zero > " + small + "/filler");
  REQUIRE(second->wait([&] { return second->errors().find(no_room + data) != std::string::npos; }));
  // Neither founder is a quorum: nothing is certified without the one that cannot write.
  const std::uint64_t stuck = founder->last_round();
  founder->wait([&] { return founder->last_round() > stuck + 1; }, 5s);
  CHECK(founder->last_round() <= stuck + 1);
  CHECK(second->running());
  CHECK(count(second->errors(), "cannot write") == 1);

  machine.must("rm " + small + "/filler");
  CHECK(second->goes_on(5));
  CHECK(founder->wait([&] { return founder->last_round() > stuck + 3; }));
  CHECK(same_parameters(*founder, *second));
  CHECK(founder->events("banned").empty());
}

TEST_CASE("a member whose disk has no room for a second snapshot lets others sign then, and keeps its seat") {
  ProcessTest test;
  const auto hub = make_hub(test);
  if (!hub) return;
  const auto [node, address] = bootstrap_on(test, *hub);
  Machine machine(test, *hub);
  const std::string small = test.path("small");
  // A state of 3.4 MiB, steps of 0.3 MiB: after twelve of them another snapshot is due.
  machine.mount_disk(small, "8M");
  const std::string run = test.new_run({"--rounds", "1000000", "--parameters", "300000", "--codec", "int8"});
  const auto founder = hub->join(run, address, test.path("founder"), {"--compute-ms", "50"});
  const auto joiner = machine.join(run, address, small + "/data", {"--compute-ms", "50"});
  CAPTURE(joiner->errors());
  REQUIRE(joiner->wait([&] { return joiner->last_round() > 0; }));
  CHECK(joiner->goes_on(40));
  CHECK(joiner->errors().find(no_room) != std::string::npos);
  CHECK(count(joiner->errors(), "cannot write") <= 2);
  const auto rounds = joiner->events("round");
  CHECK(rounds.back().at("contributors") == 2);
  CHECK(founder->events("eliminated").empty());
  CHECK(same_parameters(*founder, *joiner));
}

TEST_SUITE_END();
