// testudo bench: how fast this machine does what a swarm does, each figure beside what it is compared with.

#include <algorithm>
#include <array>
#include <memory>

#include "tools/bench/suites.h"
#include "tools/bench/worker.h"
#include "tools/cli/checks.h"
#include "tools/testudo/commands.h"

namespace testudo::tools {
namespace {

struct Suite {
  const char* name;
  Result<void> (*run)(const bench::Options&, bench::Report&);
};
constexpr std::array suites = {Suite{"codec", bench::run_codec}, Suite{"clip", bench::run_clip},
                               Suite{"net", bench::run_net},     Suite{"dht", bench::run_dht},
                               Suite{"round", bench::run_round}, Suite{"overhead", bench::run_overhead}};

struct BenchArguments {
  std::vector<std::string> chosen;
  bench::Options options;
};

Result<void> run_suites(const BenchArguments& arguments, Output& output) {
  bench::Report report(output);
  for (const Suite& suite : suites) {
    const bool wanted =
        arguments.chosen.empty() || std::ranges::find(arguments.chosen, suite.name) != arguments.chosen.end();
    if (wanted) {
      TRY_VOID(suite.run(arguments.options, report));
    }
  }
  return {};
}

}  // namespace

void add_bench(Program& program) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command = program.add(
      "bench", "Measure this machine: codecs, network, DHT, rounds",
      R"(Every figure stands beside a baseline that was measured in the same run; compare ratios, not seconds.
Processes of its own take part over loopback; their data is below $TMPDIR. What it does is said on stderr.

  codec     coding, hashing, ciphering and the step against memory bandwidth
  clip      the aggregation rules against memory bandwidth
  net       connections and streams against plain TCP and bare cryptography
  dht       puts and gets among many nodes against TCP round trips
  round     whole rounds among processes against a floor, and against Gloo and Open MPI where they are installed
  overhead  whole rounds on a simulated line of 1 Gbit/s and 20 ms against a plain butterfly on the same line

Example:  testudo bench net
          testudo bench round --size 64 --members 8 --rule mean --json)",
      [arguments](Output& output) { return run_suites(*arguments, output); });
  std::vector<std::string> names;
  for (const Suite& suite : suites) names.emplace_back(suite.name);
  command->add_option("suite", arguments->chosen, "Which suites; without any, all of them")
      ->check(CLI::IsMember(names));
  command->add_flag("--quick", arguments->options.quick,
                    "Small and few: whether it works, not how fast it is");
  command->add_flag("--all", arguments->options.all, "Every size, also those that take long and many GiB");
  command->add_option("--repetitions", arguments->options.repetitions, "How often each thing is measured")
      ->check(CLI::Range(1, 1000));
  command->add_option("--size", arguments->options.sizes, "round: MiB of float32 (repeatable)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--members", arguments->options.members, "round: how many members (repeatable)")
      ->check(CLI::Range(2, 16));
  command->add_option("--rule", arguments->options.rules, "round: an aggregation rule (repeatable)")
      ->check(check_rule);
  command->add_option("--codec", arguments->options.codecs, "round: int8, fp16, fp32 (repeatable)")
      ->check(CLI::IsMember({"int8", "fp16", "fp32"}));
  // For its own processes, and nobody else.
  auto role = std::make_shared<std::string>();
  program
      .add("bench-worker", "A process of testudo bench", "",
           [role](Output& output) { return bench::run_worker(*role, output); })
      ->group("")
      ->add_option("role", *role)
      ->required();
  command->add_option("--nodes", arguments->options.nodes, "dht: how many nodes")->check(CLI::Range(8, 1024));
}

}  // namespace testudo::tools
