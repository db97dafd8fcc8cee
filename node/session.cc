#include "node/session.h"

#include "net/async/combinators.h"
#include "net/async/task_group.h"

namespace testudo::node {

using net::Task;

Session::Session(Node& node, net::Storage& storage, const DataDirectory* data, swarm::RunId run,
                 ModelSource source, SessionObserver& observer, training::ParticipantOptions options)
    : node_(node),
      storage_(storage),
      data_(data),
      run_(run),
      source_(std::move(source)),
      observer_(observer),
      options_(options) {}

Task<Result<void>> Session::prepare(swarm::SignedManifest kept) {
  CO_TRY(models_, co_await net::offload(node_.scheduler(), [source = source_, manifest = kept.manifest] {
           return source(manifest);
         }));
  manifest_ = std::move(kept);
  co_return Result<void>();
}

Task<Result<Trained>> Session::take_part(net::Duration manifest_limit) {
  if (!manifest_) {
    CO_TRY(auto found, co_await find_manifest(node_.scheduler(), node_.dht(), run_, manifest_limit));
    CO_TRY_VOID(co_await prepare(std::move(found)));
    if (data_ != nullptr) {
      CO_TRY_VOID(data_->keep(*manifest_));
    }
  }
  observer_.on_manifest(*manifest_);
  net::TaskGroup background(node_.scheduler());
  background.spawn(keep_published(node_.scheduler(), node_.dht(), *manifest_));
  training::Participant participant(node_.host(), node_.dht(), storage_, *manifest_, models_.model,
                                    models_.evaluator, observer_, options_);
  CO_TRY_VOID(co_await participant.run());
  co_return Trained{.rounds = participant.finished_rounds(),
                    .parameters = {participant.parameters().begin(), participant.parameters().end()},
                    .models = models_,
                    .model = manifest_->manifest.model};
}

}  // namespace testudo::node
