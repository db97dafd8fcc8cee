// testudo: train one neural network on the computers of people who do not trust each other.

#include "tools/testudo/commands.h"

int main(int argc, char** argv) {
  using namespace testudo::tools;
  Program program("testudo",
                  "Train one neural network on the computers of people who do not trust each other.",
                  R"(A run from nothing, on one machine, each that goes on in a terminal of its own:
  testudo bootstrap --listen /ip4/127.0.0.1/tcp/4040 --data /tmp/boot      # prints its address, ends in /p2p/12D3Koo...
  testudo run new --model synthetic --bootstrap ADDRESS --data /tmp/a      # prints the run id
  testudo join RUN --bootstrap ADDRESS --data /tmp/a                       # the founder: waits for a second member
  testudo join RUN --bootstrap ADDRESS --data /tmp/b                       # trains with it; others as well

Each command says more: testudo join --help. Exit codes: 0 done (also after Ctrl-C), 1 failure, 2 wrong usage.)");
  program.app().require_subcommand(1);
  add_keygen(program);
  add_bootstrap(program);
  add_run(program);
  add_join(program);
  add_ledger(program);
  add_ping(program);
  add_identify(program);
  add_dht(program);
  add_simulate(program);
  add_bench(program);
  return program.run(argc, argv);
}
