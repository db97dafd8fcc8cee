// testudo simulate as a process: usage, determinism, and failures that can be repeated from the line they
// print.

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "tests/tools/processes.h"

using namespace testudo;
using namespace testudo::tools;

namespace {

std::vector<std::string> words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> out;
  for (std::string word; stream >> word;) out.push_back(word);
  return out;
}

// What stands behind the program's name in a replay line.
std::vector<std::string> arguments_of(const std::string& replay) {
  std::vector<std::string> arguments = words(replay);
  REQUIRE(arguments.size() > 1);
  CHECK(arguments.front() == "testudo");
  arguments.erase(arguments.begin());
  return arguments;
}

}  // namespace

TEST_SUITE_BEGIN("simulate");

TEST_CASE("simulate: help teaches, wrong usage and options that contradict one another exit 2") {
  ProcessTest test;
  for (const char* what : {"round", "dht"}) {
    const auto help = test.run({"simulate", what, "--help"});
    CHECK(help->exit_code() == 0);
    CHECK(std::ranges::any_of(help->lines,
                              [](const auto& line) { return line.find("Example:") != std::string::npos; }));
  }
  CHECK(test.run({"simulate"})->exit_code() == 2);
  CHECK(test.run({"simulate", "weather"})->exit_code() == 2);
  CHECK(test.run({"simulate", "round", "--rule", "magic"})->exit_code() == 2);
  CHECK(test.run({"simulate", "round", "--attack", "kindness"})->exit_code() == 2);
  CHECK(test.run({"simulate", "round", "--loss", "2"})->exit_code() == 2);
  CHECK(test.run({"simulate", "round", "--seed", "1", "--seeds", "2"})->exit_code() == 2);
  CHECK(test.run({"simulate", "dht", "--nodes", "1"})->exit_code() == 2);
  CHECK(test.run({"simulate", "round", "--seeds", "5..2"})->exit_code() == 2);
  CHECK(test.run({"simulate", "round", "--members", "3", "--founders", "4"})->exit_code() == 2);
  CHECK(test.run({"simulate", "round", "--members", "3", "--hostile", "2"})->exit_code() == 2);
  const auto idle = test.run({"simulate", "round", "--attack", "zero"});
  CHECK(idle->exit_code() == 2);
  CHECK(idle->errors() ==
        "testudo: --attack says what hostile members do, and there are none: add --hostile N (see --help)\n");
  CHECK(test.run({"simulate", "round", "--attack", "list"})->exit_code() == 0);
  CHECK(test.run({"simulate", "round", "--seeds", "2000000"})->errors().find("1000000 of them at most") !=
        std::string::npos);
  const auto endless = test.run({"simulate", "dht", "--churn", "1000000"});
  CHECK(endless->exit_code() == 2);
  CHECK(endless->errors().starts_with("testudo: --churn: "));
}

TEST_CASE("simulate: the same options print the same bytes, other seeds others") {
  ProcessTest test;
  const std::vector<std::vector<std::string>> commands = {
      {"simulate", "round", "--members", "5", "--rounds", "6", "--parameters", "100", "--churn", "10",
       "--loss", "0.01"},
      {"simulate", "dht", "--nodes", "30", "--puts", "5", "--gets", "10", "--lookups", "5"}};
  for (auto command : commands) {
    command.insert(command.end(), {"--json", "--seeds", "1..2"});
    const auto first = test.run(command);
    const auto second = test.run(command);
    CHECK(first->exit_code() == 0);
    REQUIRE_FALSE(first->lines.empty());
    CHECK(first->lines == second->lines);
    const auto done = first->events("done");
    REQUIRE(done.size() == 2);
    CHECK(done[0].at("held") == true);
    CHECK(done[0].at("trace") != done[1].at("trace"));
  }
}

TEST_CASE("simulate: a property that fails exits 1, and its replay line fails in the same way") {
  ProcessTest test;
  // Nobody trains twenty rounds in three seconds.
  const std::vector<std::string> round = {"simulate", "round",  "--within", "3",     "--churn",
                                          "1",        "--seed", "7",        "--json"};
  // Everybody dies every few seconds, and comes back knowing nothing.
  const std::vector<std::string> dht = {"simulate",  "dht",        "--nodes", "40",       "--churn",
                                        "600",       "--downtime", "20",      "--spread", "60",
                                        "--lookups", "0",          "--json"};
  for (const auto& command : {round, dht}) {
    const auto run = test.run(command);
    CHECK(run->exit_code() == 1);
    const auto failed = run->events("property_failed");
    REQUIRE_FALSE(failed.empty());
    CHECK(failed[0].at("version").get<std::string>().starts_with("0."));
    const std::string replay = failed[0].at("replay");
    CHECK(run->errors().find(replay) != std::string::npos);
    std::vector<std::string> again = arguments_of(replay);
    again.emplace_back("--json");
    const auto repeated = test.run(again);
    CHECK(repeated->exit_code() == 1);
    CHECK(repeated->lines == run->lines);
  }
}

TEST_CASE("simulate: --trace tells what happened to whom") {
  ProcessTest test;
  const auto run = test.run({"simulate", "round", "--members", "4", "--rounds", "3", "--trace"});
  CHECK(run->exit_code() == 0);
  const auto says = [&run](const std::string& text) {
    return std::ranges::any_of(run->lines,
                               [&](const auto& line) { return line.find(text) != std::string::npos; });
  };
  CHECK(says("member 3    started"));
  CHECK(says("admitted"));
  CHECK(says("round 3"));
}

TEST_SUITE_END();
