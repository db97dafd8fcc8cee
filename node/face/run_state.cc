#include "node/face/run_state.h"

#include "crypto/base/encoding.h"
#include "net/storage/memory_storage.h"
#include "net/storage/sqlite_storage.h"
#include "training/round/state.h"

namespace testudo::face {

using net::Task;

RunState::RunState(std::shared_ptr<LoopHandle> loop, swarm::RunId run, JoinOptions options)
    : loop_(std::move(loop)), run_(run), options_(std::move(options)) {}

Task<void> RunState::take_part(Core& core) {
  const auto self = shared_from_this();  // the handle and the core may let go of it meanwhile
  auto result = co_await session(core);
  gate_->close();
  core.run.reset();
  end(std::move(result));
}

Task<Result<RunResult>> RunState::session(Core& core) {
  std::unique_ptr<net::Storage> storage = std::make_unique<net::MemoryStorage>();
  std::optional<swarm::SignedManifest> known;
  if (core.data) {
    CO_TRY(storage, net::SqliteStorage::open(core.data->file("testudo.sqlite")));
    CO_TRY(known, node::kept_manifest(core.data->path(), run_, core.has_bootstrap()));
  } else if (const auto found = core.founded.find(run_); found != core.founded.end()) {
    known = found->second;
  }
  training::ParticipantOptions participant;
  participant.evaluate_every = options_.evaluate_every;
  participant.client_mode = core.client;
  // The source outlives this task where it is called on the pool.
  const node::ModelSource source = [self = shared_from_this()](const swarm::Manifest& manifest) {
    return self->make_models(manifest);
  };
  node::Session session(core.node, *storage, core.data ? &*core.data : nullptr, run_, source, *this,
                        participant);
  if (known) {
    CO_TRY_VOID(co_await session.prepare(std::move(*known)));
  }
  CO_TRY_VOID(co_await core.wait_online());
  CO_TRY(node::Trained trained, co_await session.take_part(core.patience()));
  co_return RunResult{.rounds = trained.rounds.value(), .parameters = std::move(trained.parameters)};
}

Result<DrawnModel> draw_model(const std::shared_ptr<testudo::Model>& model,
                              const std::shared_ptr<LoopHandle>& loop, const std::shared_ptr<Gate>& gate,
                              std::function<void(const std::string&)> on_problem, const Digest& seed) {
  DrawnModel drawn;
  drawn.model = std::make_shared<AdaptedModel>(model, loop, gate, std::move(on_problem));
  TRY_VOID(drawn.model->measure());
  TRY_VOID(drawn.model->draw(seed));
  drawn.digest = training::parameters_digest(drawn.model->initial_parameters(seed));
  return drawn;
}

Result<node::Models> RunState::make_models(const swarm::Manifest& manifest) {
  const auto on_problem = [self = shared_from_this()](const std::string& what) {
    self->report_problem(what);
  };
  node::Models models;
  TRY(const DrawnModel drawn, draw_model(options_.model, loop_, gate_, on_problem, manifest.seed));
  if (drawn.model->parameter_count() != manifest.parameter_count) {
    return fail(ErrorCode::invalid_argument, "the model has " +
                                                 std::to_string(drawn.model->parameter_count()) +
                                                 " parameters, that of the run (" + manifest.model + ") " +
                                                 std::to_string(manifest.parameter_count));
  }
  if (drawn.digest != manifest.initial_parameters) {
    return fail(ErrorCode::invalid_argument, "the model starts from other parameters than that of the run (" +
                                                 manifest.model + "): it is another model");
  }
  models.model = drawn.model;
  if (options_.evaluator) {
    auto evaluator = std::make_shared<AdaptedModel>(options_.evaluator, loop_, gate_, on_problem);
    TRY_VOID(evaluator->measure());
    models.evaluator = std::move(evaluator);
  }
  return models;
}

void RunState::end(Result<RunResult> result) {
  const std::lock_guard lock(mutex_);
  if (result_) return;
  result_.emplace(std::move(result));
  ended_.notify_all();
}

const RunResult& RunState::wait() {
  refuse_inside(*loop_, "Run::wait()");
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return result_.has_value(); });
  if (!*result_) throw_error(result_->error());
  return **result_;
}

bool RunState::wait_for(std::chrono::milliseconds limit) {
  refuse_inside(*loop_, "Run::wait_for()");
  std::unique_lock lock(mutex_);
  if (!ended_.wait_for(lock, limit, [this] { return result_.has_value(); })) return false;
  if (!*result_) throw_error(result_->error());
  return true;
}

bool RunState::finished() const {
  const std::lock_guard lock(mutex_);
  return result_.has_value();
}

void RunState::leave() {
  gate_->close();
  loop_->post([self = shared_from_this()](Core& core) {
    if (core.run == self) {
      core.run_tasks.cancel_all();
      core.run.reset();
    }
    self->end(fail(ErrorCode::closed, "the run was left"));
  });
}

void RunState::stop() {
  refuse_inside(*loop_, "Run::stop()");
  leave();
  {
    // Whoever destroys the node ends the run, too.
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return result_.has_value(); });
  }
  gate_->wait_empty();
}

template <typename Call>
void RunState::tell(Call call) {
  if (!options_.observer) return;
  try {
    call(*options_.observer);
  } catch (const std::exception& error) {
    log::error("an exception left a callback of the run's observer: {}", error.what());
  } catch (...) {
    log::error("something that is no std::exception left a callback of the run's observer");
  }
}

void RunState::report_problem(const std::string& what) {
  loop_->post([self = shared_from_this(), what](Core& core) {
    if (core.run == self) self->tell([&](RunObserver& observer) { observer.on_problem(what); });
  });
}

void RunState::on_round(const training::RoundReport& report) {
  RoundReport shown;
  shown.round = report.round.value();
  shown.applied = report.kind == swarm::OutcomeKind::apply;
  shown.members = report.members;
  shown.contributors = report.contributors;
  shown.loss = report.loss;
  if (report.evaluation) {
    shown.evaluation = testudo::Evaluation{report.evaluation->loss, report.evaluation->accuracy};
  }
  shown.parameters = to_hex(report.parameters);
  shown.bytes_sent = report.bytes_sent;
  shown.bytes_received = report.bytes_received;
  shown.seconds = report.seconds;
  tell([&](RunObserver& observer) { observer.on_round(shown); });
}

void RunState::on_removed(const swarm::Removal& removal, swarm::RoundNumber) {
  tell([&](RunObserver& observer) { observer.on_member(removal.peer.to_text(), false); });
}

void RunState::on_admitted(const swarm::PeerId& peer, swarm::RoundNumber) {
  tell([&](RunObserver& observer) { observer.on_member(peer.to_text(), true); });
}

void RunState::on_waiting(const std::string& reason) {
  if (!reason.empty()) tell([&](RunObserver& observer) { observer.on_waiting(reason); });
}

}  // namespace testudo::face
