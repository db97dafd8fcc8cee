// Steps from one donor, chunk by chunk.
#include <algorithm>

#include "net/async/combinators.h"
#include "swarm/sync.h"
#include "swarm/sync_messages.h"

namespace testudo::swarm {

using net::Task;

namespace {

// Enough to keep a line of 100 ms and 100 Mbit/s busy.
constexpr std::size_t chunks_at_once = 8;

sync::Request request_for(sync::Kind kind, const RunId& run, const Digest& root, std::uint64_t from) {
  return {.kind = static_cast<std::uint8_t>(kind), .run = run, .root = root, .from = from};
}

}  // namespace

Task<Result<StatePath>> fetch_path(net::Host& host, PeerId donor, RunId run, Digest root) {
  auto reply = co_await sync::ask<sync::PathReply>(host, donor, request_for(sync::Kind::path, run, root, 0),
                                                   64 + 40 * path_limit);
  if (!reply) co_return fail(std::move(reply).error());
  if (reply->roots.empty() || reply->roots.size() > path_limit || reply->roots.back() != root ||
      reply->whole >= reply->roots.size()) {
    co_return fail(ErrorCode::protocol,
                   "donor " + donor.to_text() + ": a path that does not end where it was asked");
  }
  co_return StatePath{std::move(reply->roots), static_cast<std::size_t>(reply->whole)};
}

Task<Result<Bytes>> download_step(net::Host& host, PeerId donor, RunId run, Digest root,
                                  std::size_t max_bytes, OnBytes on_bytes) {
  const auto ask = [&host, donor, run, root](std::uint64_t index) {
    return sync::ask<sync::StepReply>(host, donor, request_for(sync::Kind::step, run, root, index),
                                      state_chunk_bytes + 64);
  };
  const auto wrong = [donor](const std::string& what) {
    return fail(ErrorCode::protocol, "donor " + donor.to_text() + ": " + what);
  };
  auto first = co_await ask(0);
  if (!first) co_return fail(std::move(first).error());
  const std::uint64_t size = first->size;
  if (size > max_bytes) {
    co_return wrong("a step of " + std::to_string(size) + " bytes, at most " + std::to_string(max_bytes) +
                    " are expected");
  }
  const std::uint64_t count = sync::chunk_count(size, state_chunk_bytes);
  Bytes step;
  std::vector<Result<sync::StepReply>> replies;
  replies.push_back(std::move(first));
  for (std::uint64_t index = 0; index < count;) {
    for (auto& reply : replies) {
      if (!reply) co_return fail(std::move(reply).error());
      const std::size_t due = std::min<std::uint64_t>(state_chunk_bytes, size - step.size());
      if (reply->size != size || reply->chunk.size() != due) co_return wrong("a malformed step");
      append(step, reply->chunk);
      if (on_bytes) on_bytes(due);
      ++index;
    }
    std::vector<Task<Result<sync::StepReply>>> asked;
    for (std::uint64_t i = index; i < std::min(count, index + chunks_at_once); ++i) asked.push_back(ask(i));
    replies = co_await net::when_all(host.scheduler(), std::move(asked));
  }
  if (step.empty()) co_return wrong("an empty step");
  co_return step;
}

}  // namespace testudo::swarm
