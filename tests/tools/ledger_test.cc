// `testudo ledger` on directories of real members: whole, killed, running, foreign and damaged.

#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>

#include "crypto/base/encoding.h"
#include "crypto/base/file.h"
#include "net/storage/sqlite_storage.h"
#include "tests/swarm/testing.h"
#include "tests/tools/processes.h"

using namespace testudo;
using namespace testudo::tools;

namespace {

// A run of one member to its end, in the directory "a".
struct ShortRun {
  ShortRun() {
    const auto [node, address] = test.bootstrap();
    run = test.new_run(
        {"--bootstrap", address, "--rounds", "6", "--start-members", "1", "--data", test.path("a")});
    const auto member = test.join(run, address, "a");
    REQUIRE(member->wait_end());
    REQUIRE(member->exit_code() == 0);
  }
  // A copy of the directory, to be damaged.
  std::string copy(const std::string& name) const {
    std::filesystem::copy(test.path("a"), test.path(name), std::filesystem::copy_options::recursive);
    return test.path(name);
  }
  ProcessTest test;
  std::string run;
};

Bytes read(const std::string& path) {
  auto bytes = read_file(path, 64 << 20);
  REQUIRE(bytes.has_value());
  return std::move(*bytes);
}

}  // namespace

TEST_SUITE_BEGIN("ledger");

TEST_CASE("a ledger is shown and verified by path and by run id, and what is not there is said") {
  ShortRun run;
  ProcessTest& test = run.test;
  const auto shown = test.run({"ledger", "show", test.path("a"), "--json"});
  CHECK(shown->exit_code() == 0);
  CHECK(shown->events("certificate").size() == 6);
  CHECK(shown->events("certificate")[5].at("round") == 6);
  CHECK(shown->events("certificate")[5].at("outcome") == "apply");
  CHECK(shown->events("ledger").at(0).at("rounds") == 6);
  const auto last = test.run({"ledger", "show", test.path("a"), "--last", "2", "--json"});
  REQUIRE(last->events("certificate").size() == 2);
  CHECK(last->events("certificate")[0].at("round") == 5);
  CHECK(last->events("ledger").at(0) == shown->events("ledger").at(0));
  CHECK(test.run({"ledger", "show", test.path("a"), "--bans", "--json"})->lines.size() == 1);
  CHECK(test.run({"ledger", "show", test.path("a"), "--last", "-2"})->exit_code() == 2);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{run.run, "--data", test.path("a")},
        {test.path("a")},
        {test.path("a") + "/testudo.sqlite"}}) {
    std::vector<std::string> command = {"ledger", "verify", "--json"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto verified = test.run(command);
    CAPTURE(verified->errors());
    CHECK(verified->exit_code() == 0);
    CHECK(verified->events("verified").at(0).at("run") == run.run);
    CHECK(verified->events("verified").at(0).at("state") == "whole");
  }
  struct Wrong {
    std::vector<std::string> arguments;
    std::string says;
  };
  const std::string other(64, 'a');
  std::filesystem::create_directory(test.path("empty"));
  const std::string without = run.copy("without");
  std::filesystem::remove_all(without + "/manifests");
  for (const Wrong& wrong :
       {Wrong{{other, "--data", test.path("a")}, "belongs to run " + run.run},
        Wrong{{run.run, "--data", test.path("nowhere")}, "is missing"},
        Wrong{{test.path("nowhere")}, "neither a run id"}, Wrong{{test.path("empty")}, "holds no ledger"},
        Wrong{{without}, "lacks the manifest"}}) {
    std::vector<std::string> command = {"ledger", "verify"};
    command.insert(command.end(), wrong.arguments.begin(), wrong.arguments.end());
    const auto refused = test.run(command);
    CAPTURE(refused->errors());
    CHECK(refused->exit_code() == 1);
    CHECK(refused->errors().find(wrong.says) != std::string::npos);
  }
}

TEST_CASE("a reader of ledger show that has seen enough is a good end, and nothing is said about it") {
  ShortRun run;
  ProcessTest& test = run.test;
  // A pipe whose reader is gone before anything is written.
  const std::string pipe = test.path("pipe");
  const auto piped =
      test.start_command({"/bin/bash", "-c",
                          "mkfifo " + pipe + "; exec 4<>" + pipe + " 5>" + pipe + " 4<&-; " +
                              ProcessTest::program("testudo") + " ledger show " + test.path("a") + " >&5"});
  REQUIRE(piped->wait_end());
  CHECK(piped->errors().empty());
  CHECK(piped->exit_code() == 128 + SIGPIPE);
}

TEST_CASE("strikes are shown with both ends, and who reduces nothing because of them") {
  ProcessTest test;
  const std::string directory = test.path("struck");
  std::filesystem::create_directories(directory + "/manifests");
  const auto keys = testing::make_keys(4);
  const swarm::SignedManifest manifest = testing::make_signed_manifest(keys);
  const swarm::RunId run = manifest.manifest.run_id();
  REQUIRE(write_file(directory + "/manifests/" + to_hex(run), manifest.encode()));
  const std::string first = keys[0].peer_id().to_text();
  const std::string second = keys[1].peer_id().to_text();
  {
    auto storage = net::SqliteStorage::open(directory + "/testudo.sqlite");
    REQUIRE(storage.has_value());
    auto ledger = swarm::Ledger::open(**storage, manifest);
    REQUIRE(ledger.has_value());
    for (int round = 1; round <= 4; ++round) {
      auto outcome = testing::next_outcome((*ledger)->chain(), run);
      outcome.strikes = {{keys[0].peer_id(), swarm::StrikeReason::answered_challenge, keys[1].peer_id()}};
      if (round == 4) outcome.strikes = {{keys[2].peer_id(), swarm::StrikeReason::silent_validator, {}}};
      REQUIRE((*ledger)->append(testing::certify(outcome, keys)).has_value());
    }
  }
  const auto shown = test.run({"ledger", "show", directory});
  std::string text;  // on one line
  for (const std::string& line : shown->lines) {
    CHECK(line.size() <= 100);
    text += line.substr(std::min(line.size(), line.find_first_not_of(' '))) + " ";
  }
  CAPTURE(text);
  CHECK(text.find("strike between " + first + " and " + second + ": answered challenge") !=
        std::string::npos);
  CHECK(text.find("strike of " + keys[2].peer_id().to_text() + ": silent validator") != std::string::npos);
  const std::string rests = "reduces nothing now: " + first;
  REQUIRE(text.find(rests) != std::string::npos);
  CHECK(text.find(rests) == text.rfind(rests));  // once, not after every round
  CHECK(text.find("4 strikes") != std::string::npos);
  const auto json = test.run({"ledger", "show", directory, "--json"});
  const auto certificates = json->events("certificate");
  REQUIRE(certificates.size() == 4);
  CHECK(certificates[0].at("strikes")[0].at("with") == second);
  CHECK(certificates[3].at("strikes")[0].at("with").is_null());
  CHECK(certificates[1].at("resting").empty());
  CHECK(certificates[2].at("resting").size() == 2);
  CHECK(json->events("ledger").at(0).at("strikes") == 4);
}

TEST_CASE("a file that was cut, or has other bytes in it, never passes for another ledger") {
  ShortRun run;
  ProcessTest& test = run.test;
  const std::string good = test.run({"ledger", "verify", test.path("a"), "--json"})->lines.back();
  const Bytes file = read(test.path("a") + "/testudo.sqlite");
  const std::string directory = run.copy("damaged");
  const auto verify = [&](const Bytes& bytes) {
    REQUIRE(write_file(directory + "/testudo.sqlite", bytes));
    return test.run({"ledger", "verify", directory, "--json"});
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, file.size() / 2, file.size() - 4096}) {
    CAPTURE(size);
    const auto cut = verify(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)));
    CHECK(cut->exit_code() == 1);
    CHECK_FALSE(cut->errors().empty());
  }
  std::size_t found = 0;
  constexpr std::size_t places = 24;
  for (std::size_t i = 0; i < places; ++i) {
    Bytes changed = file;
    const std::size_t at = i * file.size() / places + i;
    CAPTURE(at);
    for (std::size_t k = at; k < std::min(at + 64, file.size()); ++k) changed[k] ^= 0x55;
    const auto damaged = verify(changed);
    CAPTURE(damaged->errors());
    if (damaged->exit_code() == 0) {
      CHECK(damaged->lines.back() == good);  // bytes that nothing is written in
    } else {
      CHECK(damaged->exit_code() == 1);
      CHECK_FALSE(damaged->errors().empty());
      ++found;
    }
  }
  CHECK(found > 0);
}

TEST_CASE("the ledger of a member that runs, or was killed at any moment, verifies") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run(
      {"--bootstrap", address, "--rounds", "1000000", "--start-members", "1", "--data", test.path("a")});
  std::uint64_t rounds = 0;
  for (int time = 0; time < 3; ++time) {
    const auto member = test.join(run, address, "a");
    REQUIRE(member->goes_on(5));
    const auto beside = test.run({"ledger", "verify", test.path("a"), "--json"});
    CAPTURE(beside->errors());
    CHECK(beside->exit_code() == 0);
    REQUIRE(member->goes_on(1));
    member->signal(SIGKILL);
    REQUIRE(member->wait_end());
    const auto after = test.run({"ledger", "verify", test.path("a"), "--json"});
    CAPTURE(after->errors());
    REQUIRE(after->exit_code() == 0);
    const auto verified = after->events("verified").at(0);
    CHECK(verified.at("rounds") > rounds);
    CHECK(verified.at("rounds") >= member->last_round());
    CHECK(verified.at("state") == "whole");
    rounds = verified.at("rounds");
  }
}

TEST_SUITE_END();
