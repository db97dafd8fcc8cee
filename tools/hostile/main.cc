// testudo-hostile: a member that follows the protocol to the letter and sends poisoned gradients. For the
// tests and the demo; never installed. The member itself is `testudo join`, unchanged.

#include <memory>

#include "tools/cli/join.h"
#include "training/simulation/hostile_model.h"

int main(int argc, char** argv) {
  using namespace testudo;
  using namespace testudo::tools;
  Program program("testudo-hostile", "Takes part in a run and attacks it, for tests and demonstrations.",
                  "Example:  testudo-hostile RUN --bootstrap ADDRESS --data DIR --from-round 100");
  JoinOptions options;
  training::Attack attack;
  std::string kind = "sign_flip";
  add_join_options(program.app(), options);
  program.app()
      .add_option("--attack", kind, "sign_flip: the gradient times minus --scale")
      ->capture_default_str()
      ->check(CLI::IsMember({"sign_flip"}));
  program.app()
      .add_option("--scale", attack.scale, "How much larger the gradient becomes")
      ->capture_default_str();
  program.app()
      .add_option("--from-round", attack.from_round, "Honest before this round")
      ->capture_default_str();
  program.set_command([&](Output& output) {
    std::shared_ptr<training::HostileModel> hostile;
    JoinHooks hooks;
    hooks.wrap_model = [&](std::shared_ptr<training::Model> honest) {
      hostile = std::make_shared<training::HostileModel>(std::move(honest), attack);
      return hostile;
    };
    hooks.on_round_started = [&](swarm::RoundNumber round) {
      if (hostile) hostile->set_round(round.value());
    };
    return join(options, hooks, output);
  });
  return program.run(argc, argv);
}
