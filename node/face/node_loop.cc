#include <cstdio>
#include <cstdlib>

#include "net/async/cpu_pool.h"
#include "node/addresses.h"
#include "node/face/loop.h"
#include "node/face/run_state.h"

namespace testudo::face {
namespace {

Result<std::unique_ptr<Core>> open_core(net::LibuvScheduler& scheduler, const NodeOptions& options,
                                        std::vector<net::PeerAddress> bootstrap) {
  crypto::SystemRng rng;
  if (options.data_directory.empty()) {
    return std::make_unique<Core>(scheduler, std::nullopt, crypto::KeyPair::generate(rng),
                                  std::move(bootstrap), options);
  }
  TRY(auto data, node::DataDirectory::open(options.data_directory));
  TRY(auto identity, data.identity(rng));
  return std::make_unique<Core>(scheduler, std::move(data), std::move(identity), std::move(bootstrap),
                                options);
}

net::Task<void> listen_into(Core& core, std::vector<net::Multiaddr> addresses,
                            std::optional<Result<void>>& result) {
  auto listening = co_await core.node.listen(std::move(addresses));
  result.emplace(std::move(listening));
}

Result<void> listen_on(Core& core, std::vector<net::Multiaddr> addresses) {
  std::optional<Result<void>> result;
  net::TaskGroup group(core.scheduler);
  group.spawn(listen_into(core, std::move(addresses), result));
  core.scheduler.run_until([&] { return result.has_value(); });
  return std::move(*result);
}

template <typename T>
T or_throw(Result<T> result) {
  if (!result) throw_error(result.error());
  return std::move(*result);
}

}  // namespace

// What the loop thread begins with.
struct NodeLoop::Start {
  std::vector<net::Multiaddr> listen;
  std::vector<net::PeerAddress> bootstrap;
  std::shared_ptr<Answer<std::string>::Giver> giver;  // gets the peer id
};

NodeLoop::NodeLoop(const NodeOptions& options) : options_(options) {
  Answer<std::string> started;
  Start start{.listen = or_throw(node::parse_listen_addresses(options.listen)),
              .bootstrap = or_throw(node::parse_peer_addresses(options.bootstrap)),
              .giver = started.giver()};
  thread_ = net::start_thread("testudo-loop", [this, start]() mutable { run(std::move(start)); });
  start.giver.reset();
  auto id = started.wait();
  if (!id) {
    thread_.join();
    throw_error(id.error());
  }
  id_ = std::move(*id);
}

NodeLoop::~NodeLoop() {
  if (handle_->is_inside()) {
    std::fputs("testudo: a Node was destroyed by one of its own threads, which cannot wait for itself\n",
               stderr);
    std::abort();
  }
  handle_->stop();
  thread_.join();
}

void NodeLoop::run(Start start) {
  const LoopHandle::Inside inside(*handle_);
  const log::Sink sink(options_.log ? options_.log_level : LogLevel::off,
                       [this](LogLevel level, const std::string& line) { log_line(level, line); });
  net::LibuvScheduler scheduler;
  auto core = open_core(scheduler, options_, std::move(start.bootstrap));
  Result<void> listening =
      core ? listen_on(**core, std::move(start.listen)) : Result<void>(fail(core.error()));
  if (!listening) {
    start.giver->give(fail(listening.error()));
    return;
  }
  for (const std::string& address : (*core)->node.addresses()) log::info("listening on {}", address);
  (*core)->go_online();
  handle_->open(scheduler, **core);
  start.giver->give((*core)->node.host().id().to_text());
  start.giver.reset();
  scheduler.run();
  handle_->close();
  core->reset();
}

void NodeLoop::log_line(LogLevel level, const std::string& line) const {
  try {
    options_.log(level, line);
  } catch (...) {  // there is nobody else to tell
  }
}

}  // namespace testudo::face
