// testudo simulate: production code in a simulated world.

#include "tools/testudo/commands.h"

namespace testudo::tools {

void add_simulate(Program& program) {
  CLI::App* group = program.add_group(
      "simulate", "Run whole swarms or networks in virtual time, and check them",
      R"(The code is that of real members and nodes; only the seams to the outside are exchanged (docs/simulator.md).

Example:  testudo simulate round --churn 6 --seeds 20
          testudo simulate dht --nodes 1000)");
  add_simulate_round(program, group);
  add_simulate_dht(program, group);
}

}  // namespace testudo::tools
