// testudo-hostile: a member that follows the protocol to the letter and sends poisoned gradients. For the
// tests and the demo; never installed. The member itself is `testudo join`, unchanged. What it has to know of
// the honest gradients it computes from their public batches, and takes all others for honest.

#include "tools/cli/join.h"
#include "tools/hostile/flipped_model.h"
#include "training/simulation/gradient_attack.h"

int main(int argc, char** argv) {
  using namespace testudo;
  using namespace testudo::tools;
  Program program("testudo-hostile", "Takes part in a run and attacks it, for tests and demonstrations.",
                  "Example:  testudo-hostile RUN --bootstrap ADDRESS --data DIR --from-round 100");
  JoinOptions options;
  training::GradientAttack attack;
  std::vector<std::string> kinds;
  std::string what;
  for (const auto& kind : training::gradient_attack_names()) {
    kinds.emplace_back(kind.name);
    what += (what.empty() ? "" : "; ") + kinds.back() + ": " + std::string(kind.what);
  }
  add_join_options(program.app(), options);
  program.app().add_option("--attack", attack.kind, what)->capture_default_str()->check(CLI::IsMember(kinds));
  program.app()
      .add_option("--scale", attack.scale, "How much longer than the gradient, where an attack is")
      ->capture_default_str();
  program.app()
      .add_option("--from-round", attack.from_round, "Honest before this round")
      ->capture_default_str();
  program.app()
      .add_option("--every", attack.every, "Attacks in every so many-th round only")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  program.set_command([&](Output& output) -> Result<void> {
    const auto flipped = std::make_shared<FlippedModel>();
    attack.flipped = flipped;
    TRY(const auto misconduct, training::make_gradient_attack(attack));
    JoinHooks hooks;
    hooks.wrap_model =
        [flips = attack.kind == "label_flip", flipped](
            const swarm::Manifest& manifest,
            std::shared_ptr<training::Model> honest) -> Result<std::shared_ptr<training::Model>> {
      if (flips) {
        TRY_VOID(flipped->use(manifest));
      }
      return honest;
    };
    hooks.misconduct = misconduct.get();
    return join(options, hooks, output);
  });
  return program.run(argc, argv);
}
