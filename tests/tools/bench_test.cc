// testudo bench: the form of what it says, from a run too small to measure anything.

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "tests/tools/processes.h"

using namespace testudo;
using namespace testudo::tools;

namespace {

// Every row of a quick run of one suite, checked.
std::set<std::string> rows_of(const std::vector<std::string>& arguments) {
  ProcessTest test;
  std::vector<std::string> command = {"bench", "--quick", "--json"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const auto bench = test.run(command);
  INFO(bench->errors());
  REQUIRE(bench->exit_code() == 0);
  REQUIRE(bench->events("machine").size() == 1);
  const Event machine = bench->events("machine")[0];
  CHECK(machine.at("cores").get<int>() > 0);
  CHECK_FALSE(machine.at("cpu").get<std::string>().empty());
  CHECK(machine.at("libraries").size() >= 3);

  std::set<std::string> names;
  for (const Event& row : bench->events("benchmark")) {
    CAPTURE(row.dump());
    CHECK(names.insert(row.at("name")).second);
    CHECK_FALSE(row.at("unit").get<std::string>().empty());
    CHECK_FALSE(row.at("baseline").at("name").get<std::string>().empty());
    const auto value = row.at("value").get<double>();
    const auto baseline = row.at("baseline").at("value").get<double>();
    CHECK(std::isfinite(value));
    REQUIRE(baseline > 0);
    CHECK(row.at("ratio").get<double>() == doctest::Approx(value / baseline));
    CHECK(row.at("quartiles").at(0).get<double>() <= value);
    CHECK(row.at("quartiles").at(1).get<double>() >= value);
    const auto better = row.at("better").get<std::string>();
    CHECK((better == "higher" || better == "lower"));
  }
  return names;
}

}  // namespace

TEST_SUITE_BEGIN("bench");

TEST_CASE("every codec, hash and step stands beside memory") {
  const auto names = rows_of({"codec"});
  for (const char* name : {"codec/int8/encode", "codec/fp16/decode", "codec/fp32/encode/values",
                           "codec/hash/blake2b", "codec/aead/seal 64 KiB", "codec/step/sgd momentum"}) {
    CAPTURE(name);
    CHECK(names.contains(name));
  }
}

TEST_CASE("every rule stands beside memory") {
  const auto names = rows_of({"clip"});
  for (const char* rule : {"centered_clip", "mean", "coordinate_median", "trimmed_mean", "geometric_median",
                           "krum", "multi_krum", "nnm+trimmed_mean", "bucketing:2+geometric_median"}) {
    for (const char* members : {"4", "8", "16", "64"}) {
      CHECK(names.contains(std::string("clip/") + rule + "/" + members + " x 16 Ki"));
    }
  }
}

TEST_CASE("connections and streams stand beside plain TCP") {
  const auto names = rows_of({"net"});
  for (const char* name : {"net/idle connection/memory", "net/handshake/cpu", "net/round trip/p99",
                           "net/stream/1 connections x 16 streams/cpu"}) {
    CAPTURE(name);
    CHECK(names.contains(name));
  }
}

TEST_CASE("puts and gets stand beside round trips") {
  const auto names = rows_of({"dht"});
  for (const char* name : {"put", "get", "get p50", "get cpu", "memory"}) {
    CAPTURE(name);
    CHECK(names.contains(std::string("dht/8 nodes/") + name));
  }
}

TEST_CASE("rounds stand beside the floor of their bytes, phase by phase") {
  const auto names = rows_of({"round", "--rule", "centered_clip"});
  for (const char* name : {"all-reduce", "all-reduce, floor", "whole", "phase commit", "phase gather",
                           "phase certify, disk", "cpu", "sent by a member", "peak memory of a member"}) {
    CAPTURE(name);
    CHECK(names.contains(std::string("round/centered_clip/int8/1 MiB x 3/") + name));
  }
}

TEST_CASE("what it cannot measure is wrong usage") {
  ProcessTest test;
  CHECK(test.run({"bench", "fly"})->exit_code() == 2);
  CHECK(test.run({"bench", "round", "--rule", "magic"})->exit_code() == 2);
  // Its workers are its own.
  CHECK(test.run({"bench-worker", "{}"})->exit_code() == 1);
}

TEST_SUITE_END();
