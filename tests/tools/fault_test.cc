// Real processes and what befalls them: killed at every write, stopped for longer than any deadline, started
// with damaged files.

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>

#include "crypto/base/file.h"
#include "tests/tools/processes.h"

using namespace testudo;
using namespace testudo::tools;
using namespace std::chrono_literals;

namespace {

constexpr int killed_itself = 137;

bool was_eliminated(const Process& process, const std::string& peer) {
  return std::ranges::any_of(process.events("eliminated"),
                             [&](const Event& event) { return event.at("peer") == peer; });
}

// Nothing is certified without either of two founders, so that every write of one of them is one that the run
// waits for. Its lives end at their third to fifth write by turns: a member that enters a round, stages its
// state, votes and adopts is struck in all of these, and two writes are enough to get further. Until the run
// has ended: a life that has less to write than that ends by itself.
void die_life_after_life(const std::string& fault) {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  std::vector<std::string> more = {"--bootstrap", address, "--rounds", "5", "--start-members", "2"};
  for (const char* name : {"founder", "second"}) {
    more.insert(more.end(), {"--founder", test.new_identity(name)});
  }
  const std::string run = test.new_run(more);
  const auto first = test.join(run, address, "founder");
  std::map<std::uint64_t, int> deaths;  // by the write at which it died
  for (std::uint64_t life = 0;; ++life) {
    REQUIRE(life < 60);
    const std::uint64_t write = 3 + life % 3;
    const auto second = test.start_program(
        "testudo-faulty", test.member_arguments(run, address, "second", {fault, std::to_string(write)}));
    REQUIRE(second->wait_end());
    if (second->exit_code() == 0) break;
    CAPTURE(second->errors());
    REQUIRE(second->exit_code() == killed_itself);
    ++deaths[write];
  }
  REQUIRE(first->wait_end());
  CAPTURE(first->errors());
  CHECK(first->exit_code() == 0);
  for (const std::uint64_t write : {3u, 4u, 5u}) {
    CAPTURE(write);
    CHECK(deaths[write] >= 2);
  }
  CHECK(test.model_of("founder") == test.model_of("second"));
}

}  // namespace

TEST_SUITE_BEGIN("faults");

TEST_CASE("a founder killed right after a write, life after life, still trains to the end") {
  die_life_after_life("--die-after");
}

TEST_CASE("a founder killed right before a write, life after life, still trains to the end") {
  die_life_after_life("--die-before");
}

TEST_CASE("a member that was stopped for longer than every deadline is missed by nobody and comes back") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "1000000"});
  const auto founder = test.join(run, address, "founder");
  const std::string sleeper = test.new_identity("joiner");
  const auto joiner = test.join(run, address, "joiner");
  REQUIRE(joiner->wait([&] { return joiner->last_round() > 0; }));
  joiner->signal(SIGSTOP);
  REQUIRE(founder->wait([&] { return was_eliminated(*founder, sleeper); }));
  const std::uint64_t without = founder->last_round();
  REQUIRE(founder->wait([&] { return founder->last_round() >= without + 5; }));
  const std::uint64_t missed = founder->last_round();
  joiner->signal(SIGCONT);
  CHECK(joiner->wait([&] { return joiner->last_round() > missed + 3; }));
  CAPTURE(joiner->errors());
  CHECK(founder->wait([&] { return founder->last_round() > missed + 3; }));
  CHECK(same_parameters(*founder, *joiner));
}

TEST_CASE(
    "a founder that was stopped for longer than every deadline takes nobody's seat, and the run goes on") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "1000000"});
  const auto founder = test.join(run, address, "founder");
  const auto joiner = test.join(run, address, "joiner");
  REQUIRE(joiner->wait([&] { return joiner->last_round() > 0; }));
  const std::size_t before = founder->events("eliminated").size();
  founder->signal(SIGSTOP);
  // Time itself is what is tested: longer than T(COMMIT) of three seconds and its slow path.
  joiner->wait([] { return false; }, 8s);
  const std::uint64_t reached = joiner->last_round();
  founder->signal(SIGCONT);
  CHECK(joiner->wait([&] { return joiner->last_round() >= reached + 5; }));
  CAPTURE(founder->errors());
  CHECK(founder->wait([&] { return founder->last_round() >= reached + 5; }));
  CHECK(founder->events("eliminated").size() == before);
  CHECK(same_parameters(*founder, *joiner));
}

TEST_CASE("a damaged file in the data directory is named in one line that says what to do") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "3", "--start-members", "1"});
  const auto done = test.join(run, address, "founder");
  REQUIRE(done->wait_end());
  REQUIRE(done->exit_code() == 0);
  // A crash between the first connections and the first minute forgets nobody.
  CHECK(read_file(test.path("founder") + "/peers", 1 << 20).has_value());
  struct Damage {
    std::string file;
    std::string advice;
  };
  // A damaged manifest is fetched again: cli_test.
  for (const Damage& damage :
       {Damage{"identity.key", "put back a copy"}, Damage{"testudo.sqlite", "put back a copy"}}) {
    const std::string path = test.path("founder") + "/" + damage.file;
    CAPTURE(path);
    const auto whole = read_file(path, 1 << 24);
    REQUIRE(whole);
    for (const bool torn : {true, false}) {
      Bytes bytes = *whole;
      if (torn) bytes.resize(bytes.size() / 2 + 1);
      if (!torn) std::ranges::fill(bytes, std::uint8_t{0xa5});
      REQUIRE(write_file(path, bytes, 0600));
      const auto process = test.start({"join", run, "--bootstrap", address, "--data", test.path("founder"),
                                       "--listen", "/ip4/127.0.0.1/tcp/0", "--log-level", "off"});
      REQUIRE(process->wait_end());
      CAPTURE(process->errors());
      CHECK(process->exit_code() == 1);
      CHECK(std::ranges::count(process->errors(), '\n') == 1);
      CHECK(process->errors().find(path) != std::string::npos);
      CHECK(process->errors().find(damage.advice) != std::string::npos);
    }
    REQUIRE(write_file(path, *whole, 0600));
  }
  // Nor does what became of the ledger pass for a first start: such a member would forget what it signed.
  const std::string ledger = test.path("founder") + "/testudo.sqlite";
  const auto whole = read_file(ledger, 1 << 24);
  REQUIRE(whole);
  for (const bool removed : {true, false}) {
    std::filesystem::remove(ledger);
    if (!removed) REQUIRE(write_file(ledger, Bytes(), 0600));
    const auto process = test.run({"join", run, "--bootstrap", address, "--data", test.path("founder"),
                                   "--listen", "/ip4/127.0.0.1/tcp/0", "--log-level", "off"});
    CAPTURE(process->errors());
    CHECK(process->exit_code() == 1);
    CHECK(std::ranges::count(process->errors(), '\n') == 1);
    CHECK(process->errors().find(ledger + (removed ? " is missing" : " is empty")) != std::string::npos);
    CHECK(process->errors().find("identity.key") != std::string::npos);
  }
  REQUIRE(write_file(ledger, *whole, 0600));
  // Known peers are a convenience: what cannot be read is left out, with a warning.
  REQUIRE(write_file(test.path("founder") + "/peers", to_bytes("rubbish\n\x01\xff\n"), 0600));
  const auto again = test.join(run, address, "founder");
  REQUIRE(again->wait_end());
  CHECK(again->exit_code() == 0);
  CHECK(again->errors().find(test.path("founder") + "/peers") != std::string::npos);
}

TEST_SUITE_END();
