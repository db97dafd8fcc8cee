// Whole members as processes: they find one another, train, die and come back. The model is synthetic, so
// that rounds cost milliseconds.

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <map>

#include "tests/net/http_get.h"
#include "tests/net/prometheus_text.h"
#include "tests/tools/processes.h"

using namespace testudo;
using namespace testudo::tools;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("swarm");

TEST_CASE("a founder and a joiner train to the last round and hold the same model") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "40"});
  const auto founder = test.join(run, address, "founder");
  const auto joiner = test.join(run, address, "joiner");
  REQUIRE(founder->wait_end());
  REQUIRE(joiner->wait_end());
  CAPTURE(founder->errors());
  CAPTURE(joiner->errors());
  CHECK(founder->exit_code() == 0);
  CHECK(joiner->exit_code() == 0);
  CHECK(test.model_of("founder") == test.model_of("joiner"));
  const auto of_founder = founder->digests();
  const auto of_joiner = joiner->digests();
  CHECK(of_founder.size() == 40);
  CHECK_FALSE(of_joiner.empty());
  for (const auto& [round, digest] : of_joiner) {
    CAPTURE(round);
    CHECK(of_founder.at(round) == digest);
  }
  CHECK(founder->events("done").size() == 1);
  CHECK(founder->events("admitted").size() == 1);
}

TEST_CASE("with --metrics a member tells its rounds, its traffic, its limits and its process, well-formed") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "1000000"});
  const auto founder = test.join(run, address, "founder", {"--metrics", "127.0.0.1:0"});
  const auto joiner = test.join(run, address, "joiner");
  REQUIRE(founder->wait([&] { return !founder->events("metrics").empty(); }));
  const std::string url = founder->events("metrics")[0].at("url");
  REQUIRE(founder->goes_on(3));
  net::testing::PrometheusText text;
  const auto read = [&] {
    const std::string answer = net::testing::http(url, "GET /metrics HTTP/1.1\r\n\r\n");
    REQUIRE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    text = net::testing::parse_prometheus(answer.substr(answer.find("\r\n\r\n") + 4));
    REQUIRE_MESSAGE(text.problem.empty(), text.problem);
  };
  REQUIRE(founder->wait([&] {
    read();
    return text.values.contains("testudo_rounds_total{outcome=\"applied\"}");
  }));
  CHECK(text.values.at("testudo_round") >= 1);
  CHECK(text.values.at("testudo_members") == 2);
  CHECK(text.values.at("testudo_received_bytes_total") > 0);
  CHECK(text.values.at("testudo_messages_received_total{protocol=\"/testudo/round/2.0.0\"}") > 0);
  CHECK(text.values.at("testudo_limit{limit=\"connections\",unit=\"connections\"}") == 900);
  CHECK(text.values.at("testudo_limit_used{limit=\"connections\",unit=\"connections\"}") >= 1);
  CHECK(text.values.at("testudo_dht_peers") >= 1);
  CHECK(text.values.at("testudo_process_open_descriptors") > 3);
  CHECK(text.values.at("testudo_process_resident_bytes") > 1e6);
  CHECK(text.values.at("testudo_loop_lateness_seconds_count") > 0);
  CHECK(text.types.at("testudo_round_phase_seconds_total") == "counter");
}

TEST_CASE("a joiner that is killed is missed by nobody: the founder goes on") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "1000000"});
  const auto founder = test.join(run, address, "founder");
  const auto joiner = test.join(run, address, "joiner");
  REQUIRE(joiner->wait([&] { return joiner->last_round() > 0; }));
  joiner->signal(SIGKILL);
  REQUIRE(joiner->wait_end());
  CHECK(founder->wait([&] { return !founder->events("eliminated").empty(); }));
  CHECK(founder->goes_on(5));
}

TEST_CASE("without its founder a young run waits and says so, and goes on when the founder is back") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "1000000"});
  auto founder = test.join(run, address, "founder");
  const auto joiner = test.join(run, address, "joiner");
  REQUIRE(joiner->wait([&] { return joiner->last_round() > 0; }));
  const auto waits_before = joiner->events("waiting").size();
  founder->signal(SIGKILL);
  REQUIRE(founder->wait_end());
  const std::uint64_t certified = founder->last_round();
  CHECK(joiner->wait([&] { return joiner->events("waiting").size() > waits_before; }));

  founder = test.join(run, address, "founder");
  CAPTURE(founder->errors());
  CHECK(founder->wait([&] { return founder->last_round() > certified; }));
  CHECK(joiner->goes_on(3));
  CHECK(founder->wait([&] { return founder->last_round() >= joiner->last_round(); }));
  const auto of_founder = founder->digests();
  for (const auto& [round, digest] : joiner->digests()) {
    if (of_founder.contains(round)) CHECK(of_founder.at(round) == digest);
  }
}

TEST_CASE(
    "Ctrl-C ends a member in the middle of a run with exit 0 within five seconds, and the same line resumes "
    "it") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run =
      test.new_run({"--bootstrap", address, "--rounds", "1000000", "--start-members", "1"});
  auto founder = test.join(run, address, "founder");
  REQUIRE(founder->wait([&] { return founder->last_round() >= 3; }));
  founder->signal(SIGINT);
  CHECK(founder->wait_end(5s));
  CHECK(founder->exit_code() == 0);
  const std::uint64_t reached = founder->last_round();
  founder = test.join(run, address, "founder");
  CAPTURE(founder->errors());
  REQUIRE(founder->wait([&] { return founder->last_round() > 0; }));
  CHECK(founder->events("round")[0].at("round").get<std::uint64_t>() > reached);
}

TEST_CASE("a data directory that belongs to another run is refused, exit 1") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string first = test.new_run({"--bootstrap", address, "--rounds", "3", "--start-members", "1"});
  const auto done = test.join(first, address, "founder");
  REQUIRE(done->wait_end());
  CHECK(done->exit_code() == 0);
  const std::string second =
      test.new_run({"--bootstrap", address, "--rounds", "3", "--start-members", "1", "--name", "second"});
  const auto refused = test.join(second, address, "founder");
  REQUIRE(refused->wait_end());
  CAPTURE(refused->errors());
  CHECK(refused->exit_code() == 1);
  CHECK(refused->errors().find("run") != std::string::npos);
}

TEST_CASE("a run whose last round is past ends at once when joined again") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "3", "--start-members", "1"});
  for (int time = 0; time < 2; ++time) {
    const auto founder = test.join(run, address, "founder");
    REQUIRE(founder->wait_end());
    CAPTURE(founder->errors());
    CHECK(founder->exit_code() == 0);
    CHECK(founder->events("done").size() == 1);
  }
}

// Three honest members and, behind them, one that flips and blows up its gradients from a round on. All of
// them founders: rounds take milliseconds here, and whoever asked for a seat might get it after the last one.
std::vector<std::unique_ptr<Process>> start_attacked(ProcessTest& test, const std::string& address,
                                                     const std::string& kind, const std::string& from_round,
                                                     std::vector<std::string> options,
                                                     const std::string& attack = "sign_flip") {
  const std::vector<std::string> names = {"a-" + kind, "b-" + kind, "c-" + kind, "hostile-" + kind};
  options.insert(options.end(),
                 {"--bootstrap", address, "--data", test.path(names[0]), "--start-members", "4"});
  for (const std::string& name : names) {
    options.insert(options.end(), {"--founder", test.new_identity(name)});
  }
  const std::string run = test.new_run(options);
  std::vector<std::unique_ptr<Process>> members;
  for (std::size_t i = 0; i < 3; ++i) members.push_back(test.join(run, address, names[i]));
  members.push_back(test.start_program(
      "testudo-hostile",
      {run, "--bootstrap", address, "--data", test.path(names[3]), "--listen", "/ip4/127.0.0.1/tcp/0",
       "--json", "--attack", attack, "--scale", "1000", "--from-round", from_round}));
  return members;
}

TEST_CASE("who sends poisoned gradients is banned by all, and told so; the others go on") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const auto members = start_attacked(test, address, "validated", "10", {"--rounds", "120"});
  for (std::size_t i = 0; i < 3; ++i) {
    Process& member = *members[i];
    CAPTURE(member.errors());
    REQUIRE(member.wait_end());
    CHECK(member.exit_code() == 0);
    const auto banned = member.events("banned");
    REQUIRE(banned.size() == 1);
    CHECK(banned[0].at("reason") == "wrong contribution");
    CHECK(banned[0].at("round") > 10);
    CHECK(member.events("eliminated").empty());
    CHECK(member.last_round() == 120);
    // And shows it to anybody, from its directory alone.
    const std::string directory = test.path(std::string(1, "abc"[i]) + "-validated");
    const auto verified = test.run({"ledger", "verify", directory, "--json"});
    CAPTURE(verified->errors());
    CHECK(verified->exit_code() == 0);
    const auto bans = verified->events("ban");
    REQUIRE(bans.size() == 1);
    CHECK(bans[0].at("peer") == banned[0].at("peer"));
    CHECK(bans[0].at("round") == banned[0].at("round"));
    CHECK(bans[0].at("proof") == "attested");
    CHECK(verified->events("verified").at(0).at("rounds") == 120);
    CHECK(verified->events("verified").at(0).at("state") == "whole");
    const auto shown = test.run({"ledger", "show", directory, "--json"});
    CHECK(shown->events("certificate").size() >= 120);
    CHECK(shown->events("ledger").at(0).at("banned") == 1);
    const auto only = test.run({"ledger", "show", directory, "--bans", "--json"});
    CHECK(only->events("certificate").empty());
    CHECK(only->events("ban") == bans);
    const auto text = test.run({"ledger", "show", directory});
    for (const std::string& line : text->lines) {
      CAPTURE(line);
      CHECK(line.size() <= 100);  // as a terminal shows it
    }
  }
  Process& hostile = *members[3];
  CAPTURE(hostile.errors());
  REQUIRE(hostile.wait_end());
  CHECK(hostile.exit_code() == 1);
  CHECK(hostile.errors().find("banned from the run: round") != std::string::npos);
}

TEST_CASE("who learns from wrong labels is banned as well") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const auto members = start_attacked(test, address, "labels", "3", {"--rounds", "1000000"}, "label_flip");
  Process& honest = *members[0];
  CAPTURE(honest.errors());
  REQUIRE(honest.wait([&] { return !honest.events("banned").empty(); }));
  CHECK(honest.events("banned")[0].at("reason") == "wrong contribution");
  REQUIRE(members[3]->wait_end());
  CHECK(members[3]->errors().find("banned from the run: round") != std::string::npos);
}

TEST_CASE("centered_clip bounds an attack that ruins the mean") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  std::map<std::string, double> loss;
  for (const std::string rule : {"centered_clip", "mean"}) {
    const auto members = start_attacked(
        test, address, rule, "15",
        {"--rounds", "60", "--rule", rule, "--gradient-norm-limit", "20", "--validators", "0"});
    for (const auto& member : members) {
      CAPTURE(member->errors());
      REQUIRE(member->wait_end());
      CHECK(member->exit_code() == 0);
    }
    loss[rule] = members[0]->events("done").at(0).at("evaluation_loss");
  }
  CHECK(loss["centered_clip"] < 0.5 * loss["mean"]);
}

TEST_SUITE_END();
