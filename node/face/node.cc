#include "testudo/node.h"

#include "node/addresses.h"
#include "node/face/founding.h"
#include "node/face/loop.h"
#include "node/face/run_state.h"
#include "node/values.h"
#include "testudo/version.h"

namespace testudo {

using face::Core;
using face::LoopHandle;

const char* version() noexcept { return TESTUDO_VERSION; }

class Node::Impl {
 public:
  explicit Impl(const NodeOptions& options) : loop_(options) {}
  const std::string& id() const { return loop_.id(); }
  const std::shared_ptr<LoopHandle>& handle() const { return loop_.handle(); }

 private:
  face::NodeLoop loop_;
};

class Run::Impl {
 public:
  explicit Impl(std::shared_ptr<face::RunState> state) : state_(std::move(state)) {}
  ~Impl() {
    if (state_->is_inside()) {
      state_->leave();
    } else {
      state_->stop();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  face::RunState& state() const { return *state_; }

 private:
  std::shared_ptr<face::RunState> state_;
};

namespace {

net::Task<Result<std::string>> put_value(Core& core, std::string name, std::string value) {
  CO_TRY_VOID(co_await core.wait_online());
  co_return co_await node::put_value(core.node, std::move(name), std::move(value));
}

net::Task<Result<std::optional<std::string>>> get_value(Core& core, std::string key) {
  CO_TRY_VOID(co_await core.wait_online());
  auto found = co_await node::get_value(core.node, std::move(key));
  if (found) co_return std::string(as_text(found->value));
  if (found.error().code == ErrorCode::not_found) co_return std::nullopt;
  co_return fail(std::move(found).error());
}

net::Task<Result<std::vector<std::string>>> addresses_of(Core& core) { co_return core.node.addresses(); }

net::Task<Result<bool>> begin_run(Core& core, std::shared_ptr<face::RunState> state) {
  if (core.run) {
    co_return fail(ErrorCode::refused,
                   "this node is in a run already; leave that one, or join with another node");
  }
  core.run = state;
  core.run_tasks.spawn(state->take_part(core));
  co_return true;
}

}  // namespace

Node::Node(const NodeOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Node::~Node() = default;

std::string Node::id() const { return impl_->id(); }

std::vector<std::string> Node::addresses() const {
  if (const Core* here = impl_->handle()->core_here()) return here->node.addresses();
  return face::call<std::vector<std::string>>(*impl_->handle(), "Node::addresses()", addresses_of);
}

std::string Node::put(const std::string& name, const std::string& value) {
  return face::call<std::string>(*impl_->handle(), "Node::put()",
                                 [name, value](Core& core) { return put_value(core, name, value); });
}

std::optional<std::string> Node::get(const std::string& key) {
  return face::call<std::optional<std::string>>(*impl_->handle(), "Node::get()",
                                                [key](Core& core) { return get_value(core, key); });
}

std::string Node::found_run(const RunOptions& options, const std::shared_ptr<Model>& model) {
  if (!model) throw Exception(ErrorCode::invalid_argument, "a run needs a model");
  return face::call<std::string>(*impl_->handle(), "Node::found_run()",
                                 [options, model, loop = impl_->handle()](Core& core) {
                                   return face::found_run(core, loop, options, model);
                                 });
}

Run Node::join(const std::string& run, const JoinOptions& options) {
  if (!options.model) throw Exception(ErrorCode::invalid_argument, "joining a run needs a model");
  if (options.evaluator == options.model) {
    throw Exception(ErrorCode::invalid_argument,
                    "the evaluator is the model itself: they are called at the same time, so it takes two");
  }
  auto id = node::parse_run_id(run);
  if (!id) face::throw_error(id.error());
  auto state = std::make_shared<face::RunState>(impl_->handle(), *id, options);
  face::call<bool>(*impl_->handle(), "Node::join()", [state](Core& core) { return begin_run(core, state); });
  return Run(std::make_unique<Run::Impl>(std::move(state)));
}

Run::Run(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Run::Run(Run&& other) noexcept = default;
Run& Run::operator=(Run&& other) noexcept = default;
Run::~Run() = default;

const RunResult& Run::wait() { return impl_->state().wait(); }
bool Run::wait_for(std::chrono::milliseconds limit) { return impl_->state().wait_for(limit); }
bool Run::finished() const { return impl_->state().finished(); }
void Run::stop() { impl_->state().stop(); }

}  // namespace testudo
