// testudo-experiment as a process: its quick form, which is a result by itself, and cells that are kept.

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "tests/tools/processes.h"

using namespace testudo;
using namespace testudo::tools;

namespace {

class ExperimentTest : public ProcessTest {
 public:
  std::unique_ptr<Process> start_experiment(std::vector<std::string> more) {
    more.insert(more.end(), {"--out", path("out"), "--json"});
    return start_program("testudo-experiment", more);
  }
  std::unique_ptr<Process> run_experiment(const std::vector<std::string>& more) {
    auto process = start_experiment(more);
    REQUIRE(process->wait_end(std::chrono::minutes(4)));
    return process;
  }
  bool is_there(const std::string& name) const { return std::filesystem::exists(path("out/" + name)); }
};

}  // namespace

TEST_SUITE_BEGIN("experiment");

TEST_CASE("experiment: help teaches, wrong usage exits 2, and --list names cells without running any") {
  ExperimentTest test;
  const auto help = test.run_experiment({"--help"});
  CHECK(help->exit_code() == 0);
  CHECK(std::ranges::any_of(help->lines,
                            [](const auto& line) { return line.find("Example:") != std::string::npos; }));
  CHECK(test.run_experiment({"--cells", "("})->exit_code() == 2);
  CHECK(test.run_experiment({"--cells", "kindness"})->exit_code() == 2);
  CHECK(test.run_experiment({"--model", "magic"})->exit_code() == 2);
  CHECK(test.run_experiment({"--rounds", "100", "--attack-from", "100"})->exit_code() == 2);
  const auto list = test.run_experiment({"--list", "--cells", "^sign_flip/"});
  CHECK(list->exit_code() == 0);
  const auto cells = list->events("listed");
  CHECK(cells.size() == 24);  // eight defences, three seeds
  CHECK(std::ranges::none_of(cells, [](const Event& cell) { return cell.at("finished").get<bool>(); }));
  CHECK_FALSE(test.is_there(""));  // who only looks leaves nothing
}

TEST_CASE("experiment: a damaged cell is named with what to do; --list shows the others all the same") {
  ExperimentTest test;
  const std::string folder = test.path("out/cells");
  std::filesystem::create_directories(folder);
  const std::string file = folder + "/sign_flip.btard_1.1.jsonl";
  for (const auto& [content, says] : {std::pair("{\"event\":", "damaged: line 1 "),
                                      std::pair("{\"event\":\"cell\"}\n", "run with other settings"),
                                      std::pair("", "damaged: its end is missing")}) {
    CAPTURE(says);
    REQUIRE(write_file(file, to_bytes(content)));
    const auto list = test.run_experiment({"--list", "--quick"});
    CHECK(list->exit_code() == 0);
    const auto cells = list->events("listed");
    REQUIRE(cells.size() == 2);
    CHECK(cells[0].at("problem").get<std::string>().starts_with(file + ": " + says));
    CHECK_FALSE(cells[1].contains("problem"));
    const auto run = test.run_experiment({"--quick"});
    CHECK(run->exit_code() == 1);
    CHECK(run->errors().starts_with("testudo-experiment: " + file + ": " + says));
  }
}

TEST_CASE(
    "experiment: the protocol bans the attackers and recovers, the plain average is lost; cells are kept") {
  ExperimentTest test;
  const auto interrupted = test.start_experiment({"--quick"});
  REQUIRE(
      interrupted->wait([&] { return !interrupted->events("progress").empty(); }, std::chrono::minutes(4)));
  interrupted->signal(SIGINT);
  REQUIRE(interrupted->wait_end());
  CHECK(interrupted->exit_code() == 0);
  CHECK(interrupted->errors().find("interrupted: 0 of 2 cells finished and kept in " +
                                   test.path("out/cells")) != std::string::npos);
  CHECK(interrupted->errors().find("the same command goes on") != std::string::npos);
  CHECK_FALSE(test.is_there("cells/sign_flip.btard_1.1.jsonl"));

  const auto whole = test.run_experiment({"--quick"});
  INFO(whole->errors());
  REQUIRE(whole->exit_code() == 0);
  const auto cells = whole->events("cell");
  REQUIRE(cells.size() == 2);
  CHECK(cells[0].at("cell") == "sign_flip/btard_1/1");
  CHECK(cells[0].at("banned_hostile") == 3);
  CHECK(cells[0].at("banned_honest") == 0);
  CHECK(cells[0].at("accuracy") > 0.7);
  CHECK(cells[1].at("cell") == "sign_flip/mean/1");
  CHECK(cells[1].at("accuracy") <= 0.2);
  for (const char* name : {"table.md", "index.html", "sign_flip.svg", "cells/sign_flip.mean.1.jsonl"}) {
    CAPTURE(name);
    CHECK(test.is_there(name));
  }

  const auto again = test.run_experiment({"--quick"});
  CHECK(again->exit_code() == 0);
  REQUIRE(again->events("resumed").size() == 1);
  CHECK(again->events("resumed")[0].at("finished") == 2);
  CHECK(again->events("cell").empty());

  const auto other = test.run_experiment({"--quick", "--rounds", "90"});
  CHECK(other->exit_code() == 1);
  CHECK(other->errors().find("other settings") != std::string::npos);
}

TEST_SUITE_END();
