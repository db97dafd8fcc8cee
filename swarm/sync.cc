#include "swarm/sync.h"

#include <deque>
#include <map>

#include "crypto/hash.h"
#include "crypto/merkle.h"
#include "net/async/combinators.h"
#include "swarm/sync_messages.h"

namespace testudo::swarm {

using net::Task;

std::vector<Digest> state_leaves(ByteView state) {
  return state.empty() ? std::vector<Digest>() : state_leaves(crypto::tree_leaves(state));
}

std::vector<Digest> state_leaves(std::span<const Digest> pieces) {
  static_assert(state_chunk_bytes % crypto::tree_leaf_bytes == 0);  // no piece lies in two chunks
  constexpr std::size_t chunk_pieces = state_chunk_bytes / crypto::tree_leaf_bytes;
  std::vector<Digest> leaves;
  leaves.reserve(pieces.size() / chunk_pieces + 1);
  for (std::size_t at = 0; at < pieces.size(); at += chunk_pieces) {
    leaves.push_back(crypto::tree_top(pieces.subspan(at, std::min(chunk_pieces, pieces.size() - at))));
  }
  return leaves;
}

Digest state_root(std::uint64_t size, std::span<const Digest> leaves) {
  return crypto::Hasher("testudo/state/1").bytes(crypto::merkle_root(leaves)).integer(size).finish();
}

Digest state_root(ByteView state) { return state_root(state.size(), state_leaves(state)); }

struct SyncServer::Core {
  // The leaves of a state, computed once on the pool however many ask. Several, because members serve the
  // state of the last round while a newcomer still downloads the one before.
  struct Leaves {
    Leaves(net::Scheduler& scheduler, const Digest& r) : root(r), ready(scheduler) {}
    Digest root;
    std::vector<Digest> digests;
    net::Event ready;
  };
  static constexpr std::size_t kept_leaves = 8;  // more than states are served at a time

  Core(net::Host& h, const RunId& r, const Ledger& l, StateSource& s)
      : host(h), run(r), ledger(l), states(s), tasks(h.scheduler()) {
    service = net::serve(
        host, sync::protocol, sync::max_request, sync::request_timeout,
        [this](PeerId from, Bytes message) { return answer(*this, from, std::move(message)); },
        sync::requests_per_second);
  }

  static Task<Result<Bytes>> answer(Core& core, PeerId from, Bytes message) {
    auto request = net::unpack<sync::Request>(message);
    if (!request) co_return fail(std::move(request).error());
    const bool ours = request->run == core.run;
    switch (static_cast<sync::Kind>(request->kind)) {
      case sync::Kind::head:
        co_return core.head(ours);
      case sync::Kind::certificates:
        co_return core.certificates(ours, from, request->from);
      case sync::Kind::leaves: {
        auto reply = co_await leaves(core, ours, *request);
        co_return reply;
      }
      case sync::Kind::chunk: {
        auto reply = co_await chunk(core, ours, from, *request);
        co_return reply;
      }
      case sync::Kind::path:
        co_return core.path(ours, *request);
      case sync::Kind::step: {
        auto reply = co_await step(core, ours, from, *request);
        co_return reply;
      }
      case sync::Kind::evidence:
        co_return core.evidence(ours, from, *request);
    }
    co_return fail(ErrorCode::protocol, "unknown kind of request");
  }

  static std::uint8_t status(bool ours, bool known = true) {
    return static_cast<std::uint8_t>(!ours    ? sync::Status::other_run
                                     : !known ? sync::Status::unknown
                                              : sync::Status::ok);
  }

  Bytes head(bool ours) const {
    sync::HeadReply reply{.status = status(ours)};
    if (ours) {
      reply.height = ledger.chain().height();
      reply.head = ledger.chain().head();
    }
    return net::pack(reply);
  }

  Result<Bytes> certificates(bool ours, const PeerId& asker, std::uint64_t from) {
    sync::CertificatesReply reply{.status = status(ours)};
    std::size_t size = 0;
    while (ours && reply.certificates.size() < sync::certificates_per_reply &&
           size < sync::certificate_bytes_per_reply) {
      TRY(auto next, ledger.read(from, 1));
      if (next.empty()) break;
      ++from;
      size += next[0].size();
      reply.certificates.push_back(std::move(next[0]));
    }
    // Each was looked up on the loop: whoever asks for the same ones again and again waits longer for them.
    service.charge(asker, static_cast<double>(reply.certificates.size()));
    return net::pack(reply);
  }

  // Megabytes at a time, on the loop: so few a second that neither time nor memory matters, and strangers
  // take none of what members get. Who gets nothing asks another member.
  Result<Bytes> evidence(bool ours, const PeerId& from, const sync::Request& request) {
    std::optional<Bytes> bytes;
    const bool member = ledger.chain().roster().contains(from);
    net::TimePoint& next = member ? next_for_members : next_for_strangers;
    if (ours && host.scheduler().now() >= next) {
      next =
          host.scheduler().now() + (member ? sync::evidence_interval : sync::evidence_interval_of_strangers);
      TRY(bytes, ledger.read_evidence(request.from, request.root));
    }
    return net::pack(
        sync::EvidenceReply{status(ours, bytes.has_value()), std::move(bytes).value_or(Bytes{})});
  }

  static Task<Bytes> leaves(Core& core, bool ours, sync::Request request) {
    const auto value = ours ? core.shared(sync::Kind::leaves, request.root) : nullptr;
    sync::LeavesReply reply{.status = status(ours, value != nullptr)};
    if (value) {
      const auto entry = core.leaves_of(request.root, value);
      co_await entry->ready.wait();
      reply.size = value->size();
      const std::uint64_t count = entry->digests.size();
      if (count != sync::chunk_count(reply.size, state_chunk_bytes)) {
        co_return net::pack(sync::LeavesReply{.status = status(ours, false)});  // it cannot be read any more
      }
      for (std::uint64_t i = request.from; i < count && reply.leaves.size() < sync::leaves_per_reply; ++i) {
        reply.leaves.push_back(entry->digests[i]);
      }
    }
    co_return net::pack(reply);
  }

  std::shared_ptr<Leaves> leaves_of(const Digest& root, StateSource::Value value) {
    for (const auto& entry : kept) {
      if (entry->root == root) return entry;
    }
    auto entry = std::make_shared<Leaves>(host.scheduler(), root);
    kept.push_back(entry);
    if (kept.size() > kept_leaves) kept.pop_front();
    // Not the asker's task: others wait for the same leaves when the asker has gone.
    tasks.spawn(compute(*this, entry, std::move(value)));
    return entry;
  }

  static Task<void> compute(Core& core, std::shared_ptr<Leaves> entry, StateSource::Value value) {
    entry->digests = co_await net::offload(core.host.scheduler(), [value] {
      std::vector<Digest> digests;
      for (std::size_t at = 0; at < value->size(); at += state_chunk_bytes) {
        const auto bytes = value->read(at, std::min(state_chunk_bytes, value->size() - at));
        if (!bytes) return std::vector<Digest>();
        digests.push_back(crypto::tree_hash(*bytes));
      }
      return digests;
    });
    if (entry->digests.empty()) std::erase(core.kept, entry);  // the next one tries again
    entry->ready.set();
  }

  // Opened once, however many read it: descriptors are few.
  StateSource::Value shared(sync::Kind kind, const Digest& root) {
    std::erase_if(open, [](const auto& entry) { return entry.second.expired(); });
    const bool of_step = kind == sync::Kind::step;
    const std::pair key(of_step, root);
    if (const auto found = open.find(key); found != open.end()) return found->second.lock();
    auto value = of_step ? states.step(root) : states.state(root);
    if (value) open.emplace(key, value);
    return value;
  }

  void give_way(bool parts_move) {
    if (parts_move && !giving_way) {
      sent_before = host.traffic().bytes_sent;
      given = 0;
    }
    giving_way = parts_move;
  }

  bool may_give() const {
    return !giving_way || sync::line_share * given <= host.traffic().bytes_sent - sent_before ||
           host.scheduler().now() >= gives_in_any_case_from;
  }

  // Members are behind for the others, who wait for them: theirs go at once.
  static Task<void> wait_for_way(Core& core, PeerId from, std::size_t size) {
    net::Scheduler& scheduler = core.host.scheduler();
    const net::TimePoint limit = scheduler.now() + sync::longest_wait;
    while (!core.may_give() && scheduler.now() < limit && !core.ledger.chain().roster().contains(from)) {
      co_await net::sleep_for(scheduler, sync::look_again);
    }
    core.gives_in_any_case_from =
        scheduler.now() +
        net::from_seconds(static_cast<double>(size) / static_cast<double>(sync::bytes_in_any_case));
    core.given += size;
  }

  // Files are read on the pool: a disk may take its time.
  static Task<std::optional<Bytes>> piece(Core& core, PeerId from, StateSource::Value value, std::uint64_t at,
                                          std::size_t most) {
    if (!value || at >= value->size() || most == 0 || most > sync::max_piece) co_return std::nullopt;
    const std::size_t size = std::min<std::uint64_t>(most, value->size() - at);
    co_await wait_for_way(core, from, size);
    auto bytes =
        co_await net::offload(core.host.scheduler(), [value, at, size] { return value->read(at, size); });
    if (!bytes) co_return std::nullopt;
    co_return std::move(*bytes);
  }

  static Task<Bytes> chunk(Core& core, bool ours, PeerId from, sync::Request request) {
    const auto value = ours ? core.shared(static_cast<sync::Kind>(request.kind), request.root) : nullptr;
    auto bytes = co_await piece(core, from, value, request.from, request.bytes);
    sync::ChunkReply reply{.status = status(ours, bytes.has_value())};
    if (bytes) reply.piece = std::move(*bytes);
    co_return net::pack(reply);
  }

  Bytes path(bool ours, const sync::Request& request) const {
    sync::PathReply reply;
    if (ours) {
      StatePath path = states.path(request.root);
      reply.roots = std::move(path.roots);
      reply.whole = path.whole;
    }
    reply.status = status(ours, !reply.roots.empty());
    return net::pack(reply);
  }

  static Task<Bytes> step(Core& core, bool ours, PeerId from, sync::Request request) {
    const auto value = ours ? core.shared(static_cast<sync::Kind>(request.kind), request.root) : nullptr;
    auto bytes = co_await piece(core, from, value, request.from, request.bytes);
    sync::StepReply reply{.status = status(ours, bytes.has_value())};
    if (bytes) {
      reply.size = value->size();
      reply.piece = std::move(*bytes);
    }
    co_return net::pack(reply);
  }

  net::Host& host;
  RunId run;
  const Ledger& ledger;
  StateSource& states;
  std::map<std::pair<bool, Digest>, std::weak_ptr<const net::Storage::Value>> open;
  std::deque<std::shared_ptr<Leaves>> kept;
  net::TimePoint next_for_members{};  // evidence
  net::TimePoint next_for_strangers{};
  bool giving_way = false;
  std::uint64_t sent_before = 0;  // all that this member had sent when its parts began to move
  std::uint64_t given = 0;        // in pieces since then
  net::TimePoint gives_in_any_case_from{};
  net::TaskGroup tasks;
  net::Service service;  // last: its answers use the rest
};

SyncServer::SyncServer(net::Host& host, const RunId& run, const Ledger& ledger, StateSource& states)
    : core_(std::make_unique<Core>(host, run, ledger, states)) {}

SyncServer::~SyncServer() = default;

void SyncServer::give_way(bool parts_move) { core_->give_way(parts_move); }

Task<Result<Head>> fetch_head(net::Host& host, PeerId donor, RunId run) {
  const sync::Request request{.kind = static_cast<std::uint8_t>(sync::Kind::head), .run = run};
  auto reply = co_await sync::ask<sync::HeadReply>(host, donor, request, 1024);
  if (!reply) co_return fail(std::move(reply).error());
  co_return Head{reply->height, reply->head};
}

Task<Result<std::vector<Certificate>>> fetch_certificates(net::Host& host, PeerId donor, RunId run,
                                                          std::uint64_t from) {
  // A reply ends with the certificate that crosses its bound in bytes.
  constexpr std::size_t max_reply =
      sync::certificate_bytes_per_reply + Certificate::max_bytes + 8 * sync::certificates_per_reply + 64;
  const std::string who = "donor " + donor.to_text();
  const sync::Request request{
      .kind = static_cast<std::uint8_t>(sync::Kind::certificates), .run = run, .from = from};
  auto reply = co_await sync::ask<sync::CertificatesReply>(host, donor, request, max_reply);
  if (!reply) co_return fail(std::move(reply).error());
  if (reply->certificates.size() > sync::certificates_per_reply) {
    co_return fail(ErrorCode::protocol, who + ": more certificates in a reply than the protocol allows");
  }
  std::vector<Certificate> certificates;
  for (const Bytes& encoded : reply->certificates) {
    auto certificate = Certificate::decode(encoded);
    if (!certificate) co_return fail(std::move(certificate).error().in(who));
    certificates.push_back(std::move(*certificate));
  }
  co_return certificates;
}

Task<Result<Evidence>> fetch_evidence(net::Host& host, PeerId donor, RunId run, std::uint64_t height,
                                      Digest name) {
  const sync::Request request{
      .kind = static_cast<std::uint8_t>(sync::Kind::evidence), .run = run, .root = name, .from = height};
  auto reply = co_await sync::ask<sync::EvidenceReply>(host, donor, request, evidence_max_bytes + 64);
  if (!reply) co_return fail(std::move(reply).error());
  auto evidence = Evidence::decode(reply->evidence);
  if (!evidence) co_return fail(std::move(evidence).error().in("donor " + donor.to_text()));
  co_return std::move(*evidence);
}

Task<Result<std::uint64_t>> catch_up(net::Host& host, PeerId donor, RunId run, Ledger& ledger,
                                     std::size_t replies) {
  const std::string who = "donor " + donor.to_text();
  std::uint64_t appended = 0;
  for (; replies > 0; --replies) {
    const std::uint64_t from = ledger.chain().height();
    auto certificates = co_await fetch_certificates(host, donor, run, from);
    if (!certificates) co_return fail(std::move(certificates).error());
    if (certificates->empty()) co_return appended;
    for (std::uint64_t i = 0; i < certificates->size(); ++i) {
      // The member may have appended some itself meanwhile.
      if (from + i < ledger.chain().height()) continue;
      auto verified = ledger.append((*certificates)[i]);
      if (!verified) co_return fail(std::move(verified).error().in(who));
      ++appended;
      co_await net::yield(host.scheduler());  // many signatures were checked: let the others run
    }
  }
  co_return appended;
}

}  // namespace testudo::swarm
