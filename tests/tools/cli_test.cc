// The command line: usage, start-up faults, exit codes. Each case runs real processes.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "crypto/base/encoding.h"
#include "crypto/base/file.h"
#include "net/address/multiaddr.h"
#include "swarm/manifest.h"
#include "tests/tools/processes.h"

using namespace testudo;
using namespace testudo::tools;
using namespace std::chrono_literals;

namespace {

// One clear line: what it is about, and no second one beside it.
bool is_one_line(const std::string& text) {
  return std::ranges::count(text, '\n') == 1 && text.ends_with('\n');
}

// Leaves a signed manifest in the data directory "founder", as `run new` would; gives the run id.
std::string plant_manifest(const ProcessTest& test, const std::function<void(swarm::Manifest&)>& change) {
  auto key = crypto::KeyPair::load(test.path("founder") + "/identity.key");
  REQUIRE(key);
  swarm::Manifest manifest;
  manifest.name = "planted";
  manifest.author = key->peer_id();
  manifest.founders = {manifest.author};
  manifest.model = "synthetic";
  manifest.parameter_count = 10;
  manifest.learning_rate = {{0, 0.1F}};
  change(manifest);
  const std::string run = to_hex(manifest.run_id());
  const auto signed_manifest = swarm::SignedManifest::sign(std::move(manifest), *key);
  std::filesystem::create_directories(test.path("founder") + "/manifests");
  REQUIRE(write_file(test.path("founder") + "/manifests/" + run, signed_manifest.encode()));
  return run;
}

// Whether docs/events.md has a row for this event that names all of its fields.
bool is_documented(const Event& event) {
  std::ifstream file(TESTUDO_DOCS "/events.md");
  const auto named = [](const std::string& row, const std::string& name) {
    return row.find("`" + name + "`") != std::string::npos;
  };
  std::string same;  // of the row above, where one says "the same"
  for (std::string row; std::getline(file, row);) {
    if (!row.starts_with("| `")) continue;
    if (row.find("| the same") != std::string::npos) row += same;
    same = row;
    if (!row.starts_with("| `" + event.at("event").get<std::string>() + "` |")) continue;
    bool all = true;
    for (const auto& [name, value] : event.items()) all = all && (name == "event" || named(row, name));
    if (all) return true;
  }
  return false;
}

}  // namespace

TEST_SUITE_BEGIN("cli");

TEST_CASE("docs/events.md has every event that the commands print, with its fields") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "2", "--start-members", "1"});
  const std::string data = test.path("founder");
  const auto member = test.join(run, address, "founder", {"--metrics", "127.0.0.1:0"});
  REQUIRE(member->wait_end());
  const auto put = test.run({"dht", "put", "a", "b", "--data", data, "--bootstrap", address, "--json"});
  REQUIRE(put->events("stored").size() == 1);
  const std::vector<std::vector<std::string>> commands = {
      {"keygen", "--data", test.path("other")},
      {"run", "new", "--data", data, "--model", "synthetic"},
      {"dht", "get", put->events("stored")[0].at("key"), "--bootstrap", address},
      {"dht", "find-peer", net::parse_peer_address(address)->id.to_text(), "--bootstrap", address},
      {"ping", address, "--count", "1"},
      {"identify", address},
      {"ledger", "show", data},
      {"ledger", "verify", data}};
  std::vector<std::string> lines = node->lines;
  lines.insert(lines.end(), member->lines.begin(), member->lines.end());
  lines.insert(lines.end(), put->lines.begin(), put->lines.end());
  for (auto command : commands) {
    command.emplace_back("--json");
    const auto process = test.run(command);
    CAPTURE(process->errors());
    CHECK(process->exit_code() == 0);
    lines.insert(lines.end(), process->lines.begin(), process->lines.end());
  }
  CHECK(lines.size() > 15);
  for (const std::string& line : lines) {
    CAPTURE(line);
    const Event event = Event::parse(line, nullptr, false);
    REQUIRE(event.is_object());
    CHECK(is_documented(event));
  }
}

TEST_CASE("wrong usage exits 2, help and version exit 0") {
  ProcessTest test;
  CHECK(test.run({})->exit_code() == 2);
  CHECK(test.run({"fly"})->exit_code() == 2);
  CHECK(test.run({"join"})->exit_code() == 2);
  CHECK(test.run({"keygen", "--wings"})->exit_code() == 2);
  CHECK(test.run({"run"})->exit_code() == 2);
  CHECK(test.run({"run", "new", "--rule", "magic"})->exit_code() == 2);
  CHECK(test.run({"run", "new", "--founder", "nobody"})->exit_code() == 2);
  CHECK(test.run({"bootstrap", "--log-level", "loud", "--listen", "/ip4/127.0.0.1/tcp/0"})->exit_code() == 2);
  CHECK(test.run({"--help"})->exit_code() == 0);
  const auto version = test.run({"--version"});
  CHECK(version->exit_code() == 0);
  REQUIRE(version->lines.size() == 1);
  CHECK(version->lines[0].starts_with("testudo 0."));
}

TEST_CASE("every command's help teaches with an example") {
  ProcessTest test;
  const std::vector<std::vector<std::string>> commands = {
      {"keygen"},   {"bootstrap"},  {"run", "new"}, {"run", "show"},      {"join"}, {"ping"},
      {"identify"}, {"dht", "put"}, {"dht", "get"}, {"dht", "find-peer"}, {"bench"}};
  for (auto command : commands) {
    command.emplace_back("--help");
    CAPTURE(command[0]);
    const auto help = test.run(command);
    CHECK(help->exit_code() == 0);
    CHECK(std::ranges::any_of(help->lines,
                              [](const auto& line) { return line.find("Example:") != std::string::npos; }));
  }
}

TEST_CASE("keygen prints a peer id and never overwrites an identity") {
  ProcessTest test;
  const auto first = test.run({"keygen", "--data", test.path("a")});
  REQUIRE(first->lines.size() == 1);
  CHECK(first->lines[0].starts_with("12D3Koo"));
  const auto second = test.run({"keygen", "--data", test.path("a")});
  CHECK(second->exit_code() == 1);
  CHECK(is_one_line(second->errors()));
  CHECK(second->errors().find("identity.key is there already and was kept") != std::string::npos);
  CHECK(second->lines == first->lines);
  REQUIRE(write_file(test.path("other.key"), to_bytes("no key")));
  const auto other = test.run({"keygen", "--out", test.path("other.key")});
  CHECK(other->exit_code() == 1);
  CHECK(other->lines.empty());
  CHECK(is_one_line(other->errors()));
  const auto kept = read_file(test.path("other.key"), 100);
  REQUIRE(kept);
  CHECK(*kept == to_bytes("no key"));
  const auto file = test.run({"keygen", "--out", test.path("b.key"), "--json"});
  REQUIRE(file->events("identity").size() == 1);
  auto key = crypto::KeyPair::load(test.path("b.key"));
  REQUIRE(key);
  CHECK(key->peer_id().to_text() == file->events("identity")[0].at("peer").get<std::string>());
}

TEST_CASE("a port in use is named, exit 1") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string listen = net::parse_peer_address(address)->addresses[0].to_text();
  const auto second =
      test.run({"bootstrap", "--listen", listen, "--data", test.path("second"), "--log-level", "off"});
  CAPTURE(second->errors());
  CHECK(second->exit_code() == 1);
  CHECK(is_one_line(second->errors()));
  CHECK(second->errors().find(listen) != std::string::npos);
}

TEST_CASE("a data directory in use is refused and named, exit 1") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const auto second = test.run({"bootstrap", "--listen", "/ip4/127.0.0.1/tcp/0", "--data",
                                test.path("bootstrap"), "--log-level", "off"});
  CHECK(second->exit_code() == 1);
  CHECK(is_one_line(second->errors()));
  CHECK(second->errors().find(test.path("bootstrap")) != std::string::npos);
  CHECK(second->errors().find("--data") != std::string::npos);
}

TEST_CASE("a manifest whose signature is wrong is refused, exit 1") {
  ProcessTest test;
  const std::string run = test.new_run({});
  const std::string file = test.path("founder") + "/manifests/" + run;
  auto bytes = read_file(file, 1 << 20);
  REQUIRE(bytes);
  bytes->back() ^= 1;  // the signature stands at the end
  REQUIRE(write_file(file, *bytes));
  const auto joined =
      test.run({"join", run, "--data", test.path("founder"), "--listen", "/ip4/127.0.0.1/tcp/0"});
  CAPTURE(joined->errors());
  CHECK(joined->exit_code() == 1);
  CHECK(joined->errors().find("signed by somebody else") != std::string::npos);
}

TEST_CASE("a kept manifest that is damaged is fetched again from whoever has it, and kept") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--rounds", "1", "--start-members", "1"});
  const std::string file = test.path("founder") + "/manifests/" + run;
  const auto good = read_file(file, 1 << 20);
  REQUIRE(good);
  for (const Bytes& garbage : {Bytes(300, 0xc1), Bytes(), Bytes(1 << 20, 7)}) {
    REQUIRE(write_file(file, garbage));
    const auto shown = test.run({"run", "show", run, "--data", test.path("founder"), "--bootstrap", address});
    CAPTURE(shown->errors());
    CHECK(shown->exit_code() == 0);
  }
  const auto joined = test.run({"join", run, "--data", test.path("founder"), "--bootstrap", address,
                                "--listen", "/ip4/127.0.0.1/tcp/0"});
  CAPTURE(joined->errors());
  CHECK(joined->exit_code() == 0);
  const auto kept = read_file(file, 1 << 20);
  REQUIRE(kept);
  CHECK(*kept == *good);
}

TEST_CASE("a model that is unknown here is named, exit 1") {
  ProcessTest test;
  REQUIRE(test.run({"keygen", "--data", test.path("founder")})->exit_code() == 0);
  const std::string run = plant_manifest(test, [](auto& manifest) { manifest.model = "crystal_ball"; });
  const auto joined =
      test.run({"join", run, "--data", test.path("founder"), "--listen", "/ip4/127.0.0.1/tcp/0"});
  CAPTURE(joined->errors());
  CHECK(joined->exit_code() == 1);
  CHECK(joined->errors().find("crystal_ball") != std::string::npos);
}

TEST_CASE("other initial parameters than the manifest's are refused, exit 1") {
  ProcessTest test;
  REQUIRE(test.run({"keygen", "--data", test.path("founder")})->exit_code() == 0);
  const std::string run = plant_manifest(test, [](auto& manifest) { manifest.initial_parameters[0] = 1; });
  const auto joined =
      test.run({"join", run, "--data", test.path("founder"), "--listen", "/ip4/127.0.0.1/tcp/0"});
  CAPTURE(joined->errors());
  CHECK(joined->exit_code() == 1);
  CHECK(joined->errors().find("synthetic") != std::string::npos);
}

TEST_CASE("run new prints the run id only, and run show shows what was signed") {
  ProcessTest test;
  const std::string run = test.new_run({"--name", "turtle", "--out", test.path("run.toml")});
  CHECK(run.size() == 64);
  const auto shown = test.run({"run", "show", run, "--data", test.path("founder"), "--json"});
  REQUIRE(shown->events("manifest").size() == 1);
  CHECK(shown->events("manifest")[0].at("name") == "turtle");
  CHECK(shown->events("manifest")[0].at("run") == run);
  const auto toml = read_file(test.path("run.toml"), 1 << 20);
  REQUIRE(toml);
  const auto manifest = swarm::Manifest::from_toml(as_text(*toml));
  REQUIRE(manifest);
  CHECK(to_hex(manifest->run_id()) == run);
}

TEST_CASE(
    "a run that nobody published is not found within a bounded time, and the message says what to check") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const auto shown = test.run({"run", "show", std::string(64, 'a'), "--data", test.path("x"), "--bootstrap",
                               address, "--log-level", "off"});
  CAPTURE(shown->errors());
  CHECK(shown->exit_code() == 1);
  CHECK(is_one_line(shown->errors()));
  CHECK(shown->errors().find("check") != std::string::npos);
}

TEST_CASE("a published run is found by somebody else") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const std::string run = test.new_run({"--bootstrap", address, "--name", "turtle"});
  const auto shown = test.run({"run", "show", run, "--data", test.path("x"), "--bootstrap", address});
  CAPTURE(shown->errors());
  CHECK(shown->exit_code() == 0);
  CHECK(std::ranges::any_of(shown->lines,
                            [](const auto& line) { return line.find("turtle") != std::string::npos; }));
}

TEST_CASE("a value stored under a name is found by its key, and so is the bootstrap node by its id") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const auto stored =
      test.run({"dht", "put", "motto", "slow and steady", "--data", test.path("a"), "--bootstrap", address});
  CAPTURE(stored->errors());
  REQUIRE(stored->lines.size() == 1);
  CHECK(stored->lines[0].starts_with("/testudo/value/12D3Koo"));
  const auto found = test.run({"dht", "get", stored->lines[0], "--bootstrap", address});
  CAPTURE(found->errors());
  REQUIRE(found->lines.size() == 1);
  CHECK(found->lines[0] == "slow and steady");
  const std::string id = net::parse_peer_address(address)->id.to_text();
  const auto peer = test.run({"dht", "find-peer", id, "--bootstrap", address});
  CAPTURE(peer->errors());
  REQUIRE_FALSE(peer->lines.empty());
  CHECK(peer->lines[0] == address);
}

TEST_CASE("ping and identify speak to a node, and fail with exit 1 where nobody is") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const auto ping = test.run({"ping", address, "--count", "2", "--json"});
  CHECK(ping->exit_code() == 0);
  CHECK(ping->events("ping").size() == 2);
  const auto identify = test.run({"identify", address, "--json"});
  CAPTURE(identify->errors());
  REQUIRE(identify->events("identify").size() == 1);
  const auto protocols = identify->events("identify")[0].at("protocols");
  CHECK(std::ranges::find(protocols, "/testudo/kad/1.0.0") != protocols.end());
  const std::string id = net::parse_peer_address(address)->id.to_text();
  const auto nobody = test.run({"ping", "/ip4/127.0.0.1/tcp/1/p2p/" + id, "--log-level", "off"});
  CHECK(nobody->exit_code() == 1);
  CHECK(is_one_line(nobody->errors()));
}

TEST_CASE("SIGINT and SIGTERM end a node with exit 0 within five seconds") {
  for (const int number : {SIGINT, SIGTERM}) {
    ProcessTest test;
    const auto [node, address] = test.bootstrap();
    node->signal(number);
    CHECK(node->wait_end(5s));
    CHECK(node->exit_code() == 0);
  }
}

TEST_CASE("what is malformed on the command line is wrong usage, said in one line that repeats it") {
  ProcessTest test;
  const std::vector<std::vector<std::string>> commands = {
      {"bootstrap", "--listen", "localhost:4040"},
      {"bootstrap", "--listen", "/ip4/127.0.0.1/tcp/0", "--bootstrap", "somewhere"},
      {"join", "abc"},
      {"join", std::string(64, 'a'), "--bootstrap", "/ip4/127.0.0.1/tcp/4040"},
      {"join", std::string(64, 'a'), "--listen", "/ip4/300.0.0.1/tcp/1"},
      {"run", "show", "123"},
      {"run", "new", "--founder", "nobody"},
      {"ping", "192.0.2.1"},
      {"identify", "/dns4/"},
      {"dht", "find-peer", "12D3Koo", "--bootstrap", "x"},
      {"dht", "get", "key", "--bootstrap", "x"},
      {"bootstrap", "--listen", "/ip4/127.0.0.1/tcp/0", "--metrics", "9464"},
      {"join", std::string(64, 'a'), "--metrics", "localhost:9464"},
  };
  for (const auto& command : commands) {
    const auto process = test.run(command);
    CAPTURE(command.front() + " " + command[1]);
    CAPTURE(process->errors());
    CHECK(process->exit_code() == 2);
    CHECK(is_one_line(process->errors()));
  }
  CHECK(test.run({"join", "abc"})->errors() ==
        "testudo: run: \"abc\" is no run id: those are 64 hex digits, as run new prints them: a digest has "
        "64 hex "
        "digits (see --help)\n");
}

TEST_CASE("a value that no run may have is wrong usage, said with the option's name") {
  ProcessTest test;
  const std::vector<std::pair<std::string, std::string>> values = {{"--name", ""},
                                                                   {"--name", "t\xc3\xbcrtle"},
                                                                   {"--rounds", "0"},
                                                                   {"--rounds", "-1"},
                                                                   {"--rounds", "99999999999999"},
                                                                   {"--samples", "0"},
                                                                   {"--samples", "65537"},
                                                                   {"--momentum", "1"},
                                                                   {"--momentum", "nan"},
                                                                   {"--weight-decay", "-1"},
                                                                   {"--weight-decay", "inf"},
                                                                   {"--gradient-norm-limit", "-0.1"},
                                                                   {"--tau", "nan"},
                                                                   {"--g-max", "0"},
                                                                   {"--hostile-share", "0.5"},
                                                                   {"--hostile-share", "x"},
                                                                   {"--group-max", "0"},
                                                                   {"--group-max", "257"},
                                                                   {"--start-members", "0"},
                                                                   {"--start-members", "65"},
                                                                   {"--growth-cap", "1.5"},
                                                                   {"--challenge-limit", "65"},
                                                                   {"--delta", "0.001"},
                                                                   {"--delta", "nan"},
                                                                   {"--delta", "20"},
                                                                   {"--compute-deadline", "0.4"},
                                                                   {"--exchange-deadline", "1e6"},
                                                                   {"--learning-rate", "0:x"},
                                                                   {"--parameters", "0"},
                                                                   {"--seed", "abc"}};
  for (const auto& [option, value] : values) {
    const auto process = test.run({"run", "new", "--data", test.path("none"), option + "=" + value});
    CAPTURE(option + " " + value);
    CAPTURE(process->errors());
    CHECK(process->exit_code() == 2);
    CHECK(is_one_line(process->errors()));
    CHECK(process->errors().find(option) != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(test.path("none")));
}

TEST_CASE("what counts something takes no negative number, in any command") {
  ProcessTest test;
  const std::string run(64, 'a');
  const std::vector<std::vector<std::string>> commands = {
      {"simulate", "round", "--seed", "-1"},   {"simulate", "round", "--rounds", "-1"},
      {"simulate", "round", "--late", "-1"},   {"simulate", "dht", "--puts", "-1"},
      {"run", "new", "--rounds", "-1"},        {"run", "new", "--parameters", "-1"},
      {"join", run, "--evaluate-every", "-1"}, {"bench", "codec", "--repetitions", "-1"},
      {"ledger", "show", run, "--last", "-1"}};
  for (auto command : commands) {
    const std::string option = command[command.size() - 2];
    if (command.front() == "run") command.insert(command.end(), {"--data", test.path("none")});
    const auto process = test.run(command);
    CAPTURE(command.front() + " " + option);
    CAPTURE(process->errors());
    CHECK(process->exit_code() == 2);
    CHECK(is_one_line(process->errors()));
    CHECK(process->errors().find(option) != std::string::npos);
    CHECK(process->errors().find("-1") != std::string::npos);
  }
  CHECK(test.run({"simulate", "round", "--seed", "-1"})->errors() ==
        "testudo: --seed: \"-1\" is no whole number of 0 or more (see --help)\n");
}

TEST_CASE("a command that does not exist is named, with the nearest that does") {
  ProcessTest test;
  const auto says = [&test](const std::vector<std::string>& command, const std::string& text) {
    const auto process = test.run(command);
    CAPTURE(text);
    CHECK(process->exit_code() == 2);
    CHECK(process->errors() == "testudo: " + text + " (see --help)\n");
  };
  says({"joim", "abc"}, "there is no command \"joim\"; did you mean join?");
  says({"simulat", "round"}, "there is no command \"simulat\"; did you mean simulate?");
  says({"run", "knew", "--rounds", "3"}, "there is no command \"knew\"; did you mean new?");
  says({"--json", "dht", "git", "key"}, "there is no command \"git\"; did you mean get?");
  says({"run"}, "A subcommand is required");
}

TEST_CASE("what cannot be written to stdout is a failure, in one line") {
  ProcessTest test;
  const std::string program = std::string(TESTUDO_PROGRAMS) + "/testudo";
  const std::vector<std::string> commands = {"--version", "--help", "keygen --data " + test.path("keys"),
                                             "keygen --json --data " + test.path("more-keys")};
  int number = 0;
  for (const std::string& command : commands) {
    const std::string log = test.path("full-" + std::to_string(++number));
    Process process(test.scheduler, {"/bin/sh", "-c", program + " " + command + " > /dev/full"}, log);
    REQUIRE(process.wait_end());
    CAPTURE(command);
    CAPTURE(process.errors());
    CHECK(process.exit_code() == 1);
    CHECK(process.errors() == "testudo: cannot write to stdout: No space left on device\n");
    // A pipe that nobody reads: the shell waits until its reader is gone.
    Process piped(
        test.scheduler,
        {"/bin/bash", "-c",
         "exec 3>&1; rm -rf " + test.path("keys") + " " + test.path("more-keys") + "; mkfifo " +
             test.path("fifo") + "; exec 4<>" + test.path("fifo") + " 5>" + test.path("fifo") + " 4<&-; " +
             program + " " + command + " >&5; code=$?; rm " + test.path("fifo") + "; exit $code"},
        log + "-pipe");
    REQUIRE(piped.wait_end());
    CAPTURE(piped.errors());
    CHECK(piped.exit_code() == 1);
    CHECK(piped.errors() == "testudo: cannot write to stdout: Broken pipe\n");
    std::filesystem::remove_all(test.path("keys"));
    std::filesystem::remove_all(test.path("more-keys"));
  }
}

// Whether the process has a handler for the signal, as the kernel says.
bool catches(int pid, int number) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigCgt:"))
      return (std::stoull(line.substr(7), nullptr, 16) >> (number - 1) & 1) != 0;
  }
  return false;
}

TEST_CASE("a node that is ended while it starts has ended well") {
  ProcessTest test;
  // From the moment when main begins to when it serves.
  for (const auto delay : {0ms, 1ms, 2ms, 5ms, 10ms, 20ms, 50ms}) {
    const auto node = test.start({"bootstrap", "--listen", "/ip4/127.0.0.1/tcp/0", "--data",
                                  test.path("node-" + std::to_string(delay.count()))});
    net::Timer look;
    std::function<void()> again = [&] { look = test.scheduler.after(1ms, again); };
    again();
    REQUIRE(node->wait([&] { return catches(node->pid(), SIGTERM); }));
    bool due = false;
    const net::Timer timer = test.scheduler.after(delay, [&due] { due = true; });
    REQUIRE(node->wait([&due] { return due; }));
    node->signal(SIGTERM);
    REQUIRE(node->wait_end());
    CAPTURE(delay.count());
    CHECK(node->exit_code() == 0);
    // What it leaves is no obstacle to the next one.
    const auto again_there = test.start({"bootstrap", "--listen", "/ip4/127.0.0.1/tcp/0", "--data",
                                         test.path("node-" + std::to_string(delay.count()))});
    CHECK(again_there->wait([&] { return !again_there->lines.empty(); }));
    again_there->signal(SIGTERM);
    CHECK(again_there->wait_end());
    CHECK(again_there->exit_code() == 0);
  }
}

TEST_CASE("a node that is sent garbage goes on serving others") {
  ProcessTest test;
  const auto [node, address] = test.bootstrap();
  const auto endpoint = net::parse_peer_address(address)->addresses[0].tcp_endpoint();
  REQUIRE(endpoint);
  for (int attempt = 0; attempt < 5; ++attempt) {
    const int garbage = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in target{};
    target.sin_family = AF_INET;
    target.sin_port = htons(endpoint->port);
    inet_pton(AF_INET, endpoint->ip.c_str(), &target.sin_addr);
    REQUIRE(connect(garbage, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) == 0);
    const std::string bytes(100'000, static_cast<char>(attempt * 61));
    (void)send(garbage, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    close(garbage);
  }
  CHECK(test.run({"ping", address, "--count", "1"})->exit_code() == 0);
  CHECK(node->running());
}

TEST_SUITE_END();
