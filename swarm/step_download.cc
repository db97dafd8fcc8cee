// Steps from one donor, piece by piece.
#include <algorithm>

#include "net/async/combinators.h"
#include "swarm/sync.h"
#include "swarm/sync_messages.h"

namespace testudo::swarm {

using net::Task;

namespace {

// Enough to keep a line of 100 ms and 100 Mbit/s busy.
constexpr std::size_t requests_at_once = 8;

}  // namespace

Task<Result<StatePath>> fetch_path(net::Host& host, PeerId donor, RunId run, Digest root) {
  const sync::Request request{.kind = static_cast<std::uint8_t>(sync::Kind::path), .run = run, .root = root};
  auto reply = co_await sync::ask<sync::PathReply>(host, donor, request, 64 + 40 * path_limit);
  if (!reply) co_return fail(std::move(reply).error());
  if (reply->roots.empty() || reply->roots.size() > path_limit || reply->roots.back() != root ||
      reply->whole >= reply->roots.size()) {
    co_return fail(ErrorCode::protocol,
                   "donor " + donor.to_text() + ": a path that does not end where it was asked");
  }
  co_return StatePath{std::move(reply->roots), static_cast<std::size_t>(reply->whole)};
}

Task<Result<Bytes>> download_step(net::Host& host, DownloadWindow& window, PeerId donor, RunId run,
                                  Digest root, std::size_t max_bytes, OnBytes on_bytes) {
  const auto ask = [&host, &window, donor, run, root](std::uint64_t from, std::size_t bytes) {
    const sync::Request request{.kind = static_cast<std::uint8_t>(sync::Kind::step),
                                .run = run,
                                .root = root,
                                .from = from,
                                .bytes = static_cast<std::uint32_t>(bytes)};
    return window.ask_for(bytes, sync::ask<sync::StepReply>(host, donor, request, bytes + 64));
  };
  const auto wrong = [donor](const std::string& what) {
    return fail(ErrorCode::protocol, "donor " + donor.to_text() + ": " + what);
  };
  // The first piece says how much there is.
  std::vector<std::size_t> asked{std::min(window.request_bytes(1), std::max<std::size_t>(max_bytes, 1))};
  auto first = co_await ask(0, asked.front());
  if (!first) co_return fail(std::move(first).error());
  const std::uint64_t size = first->size;
  if (size > max_bytes) {
    co_return wrong("a step of " + std::to_string(size) + " bytes, at most " + std::to_string(max_bytes) +
                    " are expected");
  }
  Bytes step;
  std::vector<Result<sync::StepReply>> replies;
  replies.push_back(std::move(first));
  while (true) {
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const auto& reply = replies[i];
      if (!reply) co_return fail(reply.error());
      const std::size_t due = std::min<std::uint64_t>(asked[i], size - step.size());
      if (reply->size != size || reply->piece.size() != due) co_return wrong("a malformed step");
      append(step, reply->piece);
      if (on_bytes) on_bytes(due);
    }
    if (step.size() == size) break;
    asked.clear();
    std::vector<Task<Result<sync::StepReply>>> requests;
    for (std::uint64_t at = step.size(); at < size && asked.size() < requests_at_once; at += asked.back()) {
      asked.push_back(std::min<std::uint64_t>(window.request_bytes(requests_at_once), size - at));
      requests.push_back(ask(at, asked.back()));
    }
    replies = co_await net::when_all(host.scheduler(), std::move(requests));
  }
  if (step.empty()) co_return wrong("an empty step");
  co_return step;
}

}  // namespace testudo::swarm
