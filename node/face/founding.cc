#include "node/face/founding.h"

#include "crypto/base/encoding.h"
#include "net/async/combinators.h"
#include "node/face/run_state.h"
#include "node/run_options.h"
#include "training/round/round.h"

namespace testudo::face {

net::Task<Result<std::string>> found_run(Core& core, std::shared_ptr<LoopHandle> loop, RunOptions options,
                                         std::shared_ptr<testudo::Model> model) {
  crypto::SystemRng rng;
  CO_TRY(auto manifest, node::manifest_of(options, core.node.host().id(), rng));
  // What it throws is this call's error; there is nobody else to tell.
  CO_TRY(const DrawnModel drawn, co_await net::offload(core.scheduler, [model, loop, seed = manifest.seed] {
           return draw_model(model, loop, std::make_shared<Gate>(), [](const std::string&) {}, seed);
         }));
  manifest.parameter_count = drawn.model->parameter_count();
  manifest.initial_parameters = drawn.digest;
  CO_TRY_VOID(manifest.validate());
  auto rules = training::RoundRules::make(manifest);
  if (!rules) co_return fail(std::move(rules).error());
  const auto signed_manifest = swarm::SignedManifest::sign(std::move(manifest), core.node.host().identity());
  const swarm::RunId run = signed_manifest.manifest.run_id();
  if (core.data) {
    CO_TRY_VOID(core.data->keep(signed_manifest));
  }
  core.founded.insert_or_assign(run, signed_manifest);
  if (core.has_bootstrap()) {
    CO_TRY_VOID(co_await core.wait_online());
    CO_TRY_VOID(co_await node::publish_manifest(core.node.dht(), signed_manifest));
  }
  co_return to_hex(run);
}

}  // namespace testudo::face
