// Download of a state from many donors at once.
//
// 1. The list of leaves is fetched whole and checked against the root, from two donors at a time until one
//    gives it right. The root fixes the size as well, so that memory for the state is taken only for a size
//    that is certified.
// 2. Every donor has two requests in flight; each takes the next chunk that nobody has. A chunk is checked
// against
//    its leaf on arrival, so a wrong one names its sender.
// 3. A donor that errs is dropped for good and its chunks go back to the others. One that sends nothing errs
//    after ten seconds: hostile donors, all of them together, delay the download by that at most once each.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "crypto/base/encoding.h"
#include "crypto/merkle.h"
#include "net/async/task_group.h"
#include "swarm/sync.h"
#include "swarm/sync_messages.h"

namespace testudo::swarm {
namespace {

using net::Task;

constexpr std::size_t requests_per_donor = 2;
constexpr std::size_t leaf_lists_at_once = 2;
constexpr std::size_t max_donors = 64;  // more make nothing faster

struct Donor {
  PeerId id;
  std::optional<Error> fault;  // what dropped it
};

struct Download {
  Download(net::Host& h, const RunId& r, const Digest& wanted_root, std::size_t limit, OnBytes arrived)
      : host(h),
        run(r),
        root(wanted_root),
        max_bytes(limit),
        on_bytes(std::move(arrived)),
        leaf_turn(h.scheduler()),
        changed(h.scheduler()),
        over(h.scheduler()) {}

  net::Host& host;
  RunId run;
  Digest root;
  std::size_t max_bytes;
  OnBytes on_bytes;

  bool have_leaves = false;
  std::size_t fetching_leaves = 0;
  std::vector<Digest> leaves;

  Buffer state;
  std::deque<std::uint64_t> wanted;  // chunks that nobody is asked for
  std::uint64_t missing = 0;         // chunks that are not here yet

  std::size_t workers = 0;
  net::Event leaf_turn;  // pulsed: look again whether there are leaves, or a turn to fetch them
  net::Event changed;    // pulsed: a chunk arrived or came back
  net::Event over;
};

sync::Request request_for(const Download& download, sync::Kind kind, std::uint64_t from) {
  return {.kind = static_cast<std::uint8_t>(kind), .run = download.run, .root = download.root, .from = from};
}

tl::unexpected<Error> fault(const Donor& donor, const std::string& what) {
  return fail(ErrorCode::protocol, "donor " + donor.id.to_text() + ": " + what);
}

struct LeafList {
  std::uint64_t size = 0;
  std::vector<Digest> leaves;
};

// The whole list, checked against the root.
Task<Result<LeafList>> fetch_leaves(Download& download, const Donor& donor) {
  LeafList list;
  std::uint64_t count = 0;
  bool first = true;
  while (first || list.leaves.size() < count) {
    const auto request = request_for(download, sync::Kind::leaves, list.leaves.size());
    auto reply = co_await sync::ask<sync::LeavesReply>(download.host, donor.id, request,
                                                       64 + 40 * sync::leaves_per_reply);
    if (!reply) co_return fail(std::move(reply).error());
    if (first) {
      list.size = reply->size;
      if (list.size > download.max_bytes) {
        co_return fault(donor, "a state of " + std::to_string(list.size) + " bytes, at most " +
                                   std::to_string(download.max_bytes) + " are expected");
      }
      count = sync::chunk_count(list.size, state_chunk_bytes);
      first = false;
    }
    const std::uint64_t due = std::min<std::uint64_t>(sync::leaves_per_reply, count - list.leaves.size());
    if (reply->size != list.size || reply->leaves.size() != due)
      co_return fault(donor, "a malformed list of leaves");
    list.leaves.insert(list.leaves.end(), reply->leaves.begin(), reply->leaves.end());
  }
  if (state_root(list.size, list.leaves) != download.root) {
    co_return fault(donor, "its list of leaves does not belong to state " + to_hex(download.root));
  }
  co_return list;
}

void start_chunks(Download& download, LeafList list) {
  download.have_leaves = true;
  download.leaves = std::move(list.leaves);
  download.state = Buffer(list.size);
  download.missing = download.leaves.size();
  for (std::uint64_t i = 0; i < download.missing; ++i) download.wanted.push_back(i);
  if (download.missing == 0) download.over.set();
}

// Until there are leaves, from this donor or another; or the donor is dropped.
Task<void> obtain_leaves(Download& download, Donor& donor) {
  while (!download.have_leaves && !donor.fault) {
    if (download.fetching_leaves >= leaf_lists_at_once) {
      co_await download.leaf_turn.wait();
      continue;
    }
    ++download.fetching_leaves;
    auto list = co_await fetch_leaves(download, donor);
    --download.fetching_leaves;
    if (!list) {
      donor.fault = std::move(list).error();
    } else if (!download.have_leaves) {
      start_chunks(download, std::move(*list));
    }
    download.leaf_turn.pulse();
  }
}

Task<Result<void>> fetch_chunk(Download& download, const Donor& donor, std::uint64_t index) {
  const auto request = request_for(download, sync::Kind::chunk, index);
  auto reply = co_await sync::ask<sync::ChunkReply>(download.host, donor.id, request, state_chunk_bytes + 64);
  if (!reply) co_return fail(std::move(reply).error());
  const std::size_t at = index * state_chunk_bytes;
  const std::size_t size = std::min(state_chunk_bytes, download.state.size() - at);
  if (reply->chunk.size() != size || crypto::tree_hash(reply->chunk) != download.leaves[index]) {
    co_return fault(donor, "chunk " + std::to_string(index) + " does not match its leaf");
  }
  std::ranges::copy(reply->chunk, download.state.data() + at);
  if (download.on_bytes) download.on_bytes(size);
  co_return Result<void>{};
}

Task<void> fetch_chunks(Download& download, Donor& donor) {
  while (download.missing > 0 && !donor.fault) {
    if (download.wanted.empty()) {  // others have the rest in flight, and may yet fail
      co_await download.changed.wait();
      continue;
    }
    const std::uint64_t index = download.wanted.front();
    download.wanted.pop_front();
    auto fetched = co_await fetch_chunk(download, donor, index);
    if (fetched) {
      --download.missing;
    } else {
      donor.fault = std::move(fetched).error();
      download.wanted.push_front(index);
    }
    download.changed.pulse();
  }
}

Task<void> work(Download& download, Donor& donor, bool first) {
  if (first) {
    co_await obtain_leaves(download, donor);
  } else {
    while (!download.have_leaves && !donor.fault) co_await download.leaf_turn.wait();
  }
  if (download.have_leaves) co_await fetch_chunks(download, donor);
  if (--download.workers == 0 || (download.have_leaves && download.missing == 0)) download.over.set();
}

}  // namespace

Task<Result<Buffer>> download_state(net::Host& host, std::vector<PeerId> donor_ids, RunId run, Digest root,
                                    std::size_t max_bytes, OnBytes on_bytes) {
  std::set<PeerId> seen{host.id()};
  std::deque<Donor> donors;  // stays put: the workers refer to them
  for (const PeerId& id : donor_ids) {
    if (donors.size() < max_donors && seen.insert(id).second) donors.push_back({id, std::nullopt});
  }
  if (donors.empty())
    co_return fail(ErrorCode::not_found, "state " + to_hex(root) + ": nobody to ask for it");

  Download download(host, run, root, max_bytes, std::move(on_bytes));
  {
    net::TaskGroup tasks(host.scheduler());
    for (Donor& donor : donors) {
      for (std::size_t i = 0; i < requests_per_donor; ++i) {
        ++download.workers;
        tasks.spawn(work(download, donor, i == 0));
      }
    }
    co_await download.over.wait();
  }
  if (download.have_leaves && download.missing == 0) co_return std::move(download.state);
  std::string message = "state " + to_hex(root) + ": no donor is left";
  for (const Donor& donor : donors) {
    if (donor.fault) message += "; " + donor.fault->message;
  }
  co_return fail(ErrorCode::unreachable, std::move(message));
}

}  // namespace testudo::swarm
