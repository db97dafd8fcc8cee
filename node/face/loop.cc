#include "node/face/loop.h"

#include "net/async/combinators.h"
#include "node/face/run_state.h"

namespace testudo::face {
namespace {

// The node that the calling thread works for: its loop thread, or a thread of its pool within a model's call.
thread_local const LoopHandle* inside = nullptr;

}  // namespace

Core::Core(net::LibuvScheduler& loop, std::optional<node::DataDirectory> directory, crypto::KeyPair identity,
           std::vector<net::PeerAddress> bootstrap, const NodeOptions& options)
    : scheduler(loop),
      data(std::move(directory)),
      node(loop, std::move(identity), options.client ? node::Node::Role::client : node::Node::Role::server),
      client(options.client),
      bootstrap_(std::move(bootstrap)),
      patience_(options.patience),
      online_(loop),
      run_tasks(loop),
      tasks(loop) {}

Core::~Core() {
  run_tasks.cancel_all();
  if (run) run->end(fail(ErrorCode::closed, "the node was destroyed before the run was over"));
  if (data) node.save_peers(data->file("peers"));
}

void Core::go_online() {
  tasks.spawn(connect());
  if (data) tasks.spawn(node.keep_peers_saved(data->file("peers")));
}

net::Task<void> Core::connect() {
  std::vector<net::PeerAddress> peers = bootstrap_;
  if (data && !peers.empty()) {
    const auto known = node::Node::load_peers(data->file("peers"));
    peers.insert(peers.end(), known.begin(), known.end());
  }
  co_await node.connect_at_last(std::move(peers), [this](const std::string& reason) {
    trouble_ = reason;
    log::info("waiting {}", reason);
    if (run) run->on_waiting(reason);
  });
  online_.set();
}

net::Task<Result<void>> Core::until_online() {
  co_await online_.wait();
  co_return Result<void>();
}

net::Task<Result<void>> Core::wait_online() {
  auto online = co_await net::with_timeout(scheduler, patience_, until_online(), "");
  if (!online) {
    co_return fail(ErrorCode::unreachable,
                   "no bootstrap node could be reached (" + (trouble_.empty() ? "no answer yet" : trouble_) +
                       "); check that the address is the one that the node prints, and that it runs");
  }
  co_return Result<void>();
}

bool LoopHandle::post(std::function<void(Core&)> function) {
  const std::lock_guard lock(mutex_);
  if (scheduler_ == nullptr) return false;
  scheduler_->post_from_any_thread([core = core_, function = std::move(function)] { function(*core); });
  return true;
}

Core* LoopHandle::core_here() const {
  const std::lock_guard lock(mutex_);
  return std::this_thread::get_id() == loop_thread_ ? core_ : nullptr;
}

bool LoopHandle::is_inside() const { return inside == this; }

void LoopHandle::open(net::LibuvScheduler& scheduler, Core& core) {
  const std::lock_guard lock(mutex_);
  scheduler_ = &scheduler;
  core_ = &core;
  loop_thread_ = std::this_thread::get_id();
}

void LoopHandle::close() {
  const std::lock_guard lock(mutex_);
  scheduler_ = nullptr;
  core_ = nullptr;
}

void LoopHandle::stop() {
  post([](Core& core) { core.scheduler.stop(); });
}

LoopHandle::Inside::Inside(const LoopHandle& handle) : outer_(std::exchange(inside, &handle)) {}
LoopHandle::Inside::~Inside() { inside = outer_; }

void throw_error(const Error& error) { throw Exception(error.code, error.message); }

void refuse_inside(const LoopHandle& handle, const char* call) {
  if (!handle.is_inside()) return;
  throw Exception(ErrorCode::refused,
                  std::string(call) +
                      " was called from a callback or a model of the same node, and would "
                      "wait for itself; call it from another thread");
}

}  // namespace testudo::face
