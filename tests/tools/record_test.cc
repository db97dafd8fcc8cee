#include "tools/demo_runner/record.h"

#include <doctest/doctest.h>

#include <string>

using namespace testudo;
using namespace testudo::tools;

namespace {

RunRecord two_honest_and_one_hostile() {
  MemberRecord first{.name = "founder 1", .peer = "peer-a", .founder = true};
  MemberRecord second{.name = "joiner 1", .peer = "peer-b"};
  MemberRecord third{.name = "hostile 1", .peer = "peer-c", .hostile = true};
  return RunRecord("mean", 10, 3, {first, second, third});
}

std::string round_line(int round, const std::string& parameters, const std::string& more = "") {
  return R"({"event":"round","run":"00","round":)" + std::to_string(round) +
         R"(,"outcome":"apply","members":3,"loss":0.5,"parameters":")" + parameters +
         R"(","bytes_sent":100,"bytes_received":70,"seconds":0.25)" + more + "}";
}

}  // namespace

TEST_CASE("equal digests of all honest members agree, whatever a hostile one says") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(0, round_line(1, "aa")));
  CHECK(run.add_line(1, round_line(1, "aa")));
  CHECK(run.add_line(2, round_line(1, "bb")));
  CHECK(run.agreement().holds());
  CHECK(run.agreement().rounds_compared == 1);
}

TEST_CASE("one honest member with another digest is named by its round") {
  RunRecord run = two_honest_and_one_hostile();
  for (const int round : {1, 2, 3}) {
    CHECK(run.add_line(0, round_line(round, "aa")));
    CHECK(run.add_line(1, round_line(round, round == 2 ? "bb" : "aa")));
  }
  CHECK_FALSE(run.agreement().holds());
  CHECK(run.agreement().rounds_apart == std::vector<std::uint64_t>{2});
}

TEST_CASE("nothing to compare is no agreement") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK_FALSE(run.agreement().holds());
  CHECK(run.add_line(0, round_line(1, "aa")));
  CHECK_FALSE(run.agreement().holds());
}

TEST_CASE("members that do not say what they hold do not agree") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(0, round_line(1, "")));
  CHECK(run.add_line(1, round_line(1, "")));
  CHECK_FALSE(run.agreement().holds());
}

TEST_CASE("strikes count for both ends, as the first member saw them") {
  RunRecord run = two_honest_and_one_hostile();
  const auto line = [](const std::string& with) {
    return R"({"event":"strike","run":"00","round":4,"peer":"peer-c","reason":"late","with":)" + with + "}";
  };
  for (const std::size_t member : {0U, 1U}) {
    CHECK(run.add_line(member, line(R"("peer-b")")));
    CHECK(run.add_line(member, line("null")));
  }
  CHECK(run.members()[0].strikes == 0);
  CHECK(run.members()[1].strikes == 1);
  CHECK(run.members()[2].strikes == 2);
}

TEST_CASE("the curve takes accuracy from whichever honest member measured it") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(0, round_line(1, "aa")));
  CHECK(run.add_line(1, round_line(1, "aa", R"(,"accuracy":0.75)")));
  CHECK(run.add_line(2, round_line(1, "aa", R"(,"accuracy":0.99)")));
  REQUIRE(run.curve().size() == 1);
  CHECK(run.curve()[0].accuracy == doctest::Approx(0.75));
  CHECK(run.test_accuracy() == doctest::Approx(0.75));
}

TEST_CASE("a loss or an accuracy that is no number is no figure") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(
      0, R"({"event":"round","round":1,"outcome":"apply","loss":null,"accuracy":null,"members":3})"));
  REQUIRE(run.curve().size() == 1);
  CHECK_FALSE(run.curve()[0].loss);
  CHECK_FALSE(run.test_accuracy());
}

TEST_CASE("a voided attempt counts its bytes and is not a round of the curve") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(0, R"({"event":"round","round":1,"outcome":"void","bytes_sent":40,"members":3})"));
  CHECK(run.curve().empty());
  CHECK(run.voided_rounds() == 1);
  CHECK(run.total_bytes_sent() == 40);
}

TEST_CASE("bytes and phases are kept, phases in their order") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(0, round_line(1, "aa", R"(,"phases":{"scatter":0.2,"compute":0.1})")));
  CHECK(run.add_line(0, round_line(2, "aa")));
  CHECK(run.members()[0].bytes_sent == 200);
  CHECK(run.members()[0].bytes_received == 140);
  REQUIRE(run.curve()[0].phases.size() == 2);
  CHECK(run.curve()[0].phases[0].first == "scatter");
  CHECK(run.curve()[0].phases[1].second == doctest::Approx(0.1));
}

TEST_CASE("a removal names the member, and a later admission takes it back") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(0, R"({"event":"eliminated","peer":"peer-b","round":4,"reason":"silent"})"));
  CHECK(run.members()[1].removed == "eliminated in round 4: silent");
  CHECK(run.add_line(0, R"({"event":"admitted","peer":"peer-b","round":6})"));
  CHECK(run.members()[1].removed.empty());
}

TEST_CASE("what a member waits for is forgotten when rounds go on") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(0, R"({"event":"waiting","reason":"for the founders"})"));
  CHECK(run.waiting() == "for the founders");
  CHECK(run.add_line(0, round_line(1, "aa")));
  CHECK(run.waiting().empty());
}

TEST_CASE("lines that are no events are refused and change nothing") {
  RunRecord run = two_honest_and_one_hostile();
  for (const char* line : {"", "hello", "[1,2]", "{}", "{\"event\"", "null"})
    CHECK_FALSE(run.add_line(0, line));
  CHECK(run.curve().empty());
}

TEST_CASE("fields of the wrong kind are taken as missing") {
  RunRecord run = two_honest_and_one_hostile();
  CHECK(run.add_line(
      0,
      R"({"event":"round","round":1,"outcome":"apply","loss":"low","members":-3,"phases":[1],"parameters":7})"));
  REQUIRE(run.curve().size() == 1);
  CHECK_FALSE(run.curve()[0].loss);
  CHECK(run.curve()[0].members == 0);
}
