// testudo join: takes part in a run.

#include "tools/cli/join.h"

#include <memory>

#include "tools/testudo/commands.h"

namespace testudo::tools {

void add_join(Program& program) {
  auto options = std::make_shared<JoinOptions>();
  CLI::App* command = program.add(
      "join", "Take part in a run until its last round",
      R"(Finds the other members, downloads where they are, asks for a seat and trains with them. Exits 0 after the last round and
leaves model.safetensors in the data directory. Stop it with Ctrl-C and start it with the same line: it goes on.

Example:  testudo join RUN --bootstrap /ip4/192.0.2.1/tcp/4040/p2p/12D3Koo...
Two members on one machine need a data directory each:  --data ~/swarm/alice, --data ~/swarm/bob
Next:     the model is a safetensors file, which common tools read)",
      [options](Output& output) { return join(*options, {}, output); });
  add_join_options(*command, *options);
}

}  // namespace testudo::tools
