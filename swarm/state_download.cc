// Download of a state from many donors at once.
//
// 1. The list of leaves is fetched whole and checked against the root, from two donors at a time until one
//    gives it right. The root fixes the size as well, so that memory for the state is taken only for a size
//    that is certified.
// 2. Every donor has two chunks in work, the next that nobody has. A chunk comes in as many requests as the
//    line wants it to (download_window.h), all of the same donor, and is checked against its leaf when it is
//    whole: a wrong one names its sender.
// 3. A donor that errs is dropped for good and its chunks go back to the others. One that sends nothing errs
//    after ten seconds: hostile donors, all of them together, delay the download by that at most once each.
// 4. A donor may send each piece in just under ten seconds, and not be to blame. When no chunk is left that
//    nobody has in work, and the line has room, those whose piece is on its way for a second more than twice
//    what the next donor's last piece took are asked of that one as well: whoever is first counts. So slow
//    donors delay the end of a download by chunks of faster ones.
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

constexpr std::size_t chunks_per_donor = 2;
constexpr std::size_t leaf_lists_at_once = 2;
constexpr std::size_t max_donors = 64;  // more make nothing faster
constexpr net::Duration slower_than_oneself = std::chrono::seconds(1);
constexpr net::Duration look_again_every = std::chrono::seconds(1);

struct Donor {
  PeerId id;
  std::optional<Error> fault;               // what dropped it
  std::optional<net::Duration> piece_time;  // what its last one took

  // For the pieces of others.
  net::Duration patience() const {
    return piece_time ? 2 * *piece_time + slower_than_oneself : DownloadWindow::overdue_after;
  }
};

// Whose piece of a chunk is on its way, and since when.
using InWork = std::map<const Donor*, net::TimePoint>;

struct Download {
  Download(net::Host& h, DownloadWindow& w, const RunId& r, const Digest& wanted_root, std::size_t limit,
           OnBytes arrived)
      : host(h),
        window(w),
        run(r),
        root(wanted_root),
        max_bytes(limit),
        on_bytes(std::move(arrived)),
        leaf_turn(h.scheduler()),
        changed(h.scheduler()),
        over(h.scheduler()) {}

  net::Host& host;
  DownloadWindow& window;
  RunId run;
  Digest root;
  std::size_t max_bytes;
  OnBytes on_bytes;

  bool have_leaves = false;
  std::size_t fetching_leaves = 0;
  std::vector<Digest> leaves;

  Buffer state;
  std::deque<std::uint64_t> wanted;         // chunks that nobody is asked for
  std::map<std::uint64_t, InWork> in_work;  // the others that are not here yet
  std::uint64_t missing = 0;                // both

  std::size_t workers = 0;
  net::Event leaf_turn;  // pulsed: look again whether there are leaves, or a turn to fetch them
  net::Event changed;    // pulsed: a chunk arrived or came back, or it is time to look again
  net::Event over;
};

sync::Request request_for(const Download& download, sync::Kind kind, std::uint64_t from,
                          std::size_t bytes = 0) {
  return {.kind = static_cast<std::uint8_t>(kind),
          .run = download.run,
          .root = download.root,
          .from = from,
          .bytes = static_cast<std::uint32_t>(bytes)};
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

// The whole chunk, checked; nothing of use once it came from another donor.
Task<Result<Bytes>> fetch_chunk(Download& download, Donor& donor, std::uint64_t index) {
  const net::Scheduler& scheduler = download.host.scheduler();
  const std::size_t at = index * state_chunk_bytes;
  const std::size_t size = std::min(state_chunk_bytes, download.state.size() - at);
  Bytes chunk;
  while (chunk.size() < size) {
    const auto work = download.in_work.find(index);
    if (work == download.in_work.end()) break;
    const net::TimePoint asked = work->second[&donor] = scheduler.now();
    const std::size_t bytes = std::min(download.window.request_bytes(download.workers), size - chunk.size());
    const auto request = request_for(download, sync::Kind::chunk, at + chunk.size(), bytes);
    auto reply = co_await download.window.ask_for(
        bytes, sync::ask<sync::ChunkReply>(download.host, donor.id, request, bytes + 64));
    if (!reply) co_return fail(std::move(reply).error());
    if (reply->piece.size() != bytes) {
      co_return fault(donor, "another piece of chunk " + std::to_string(index) + " than was asked for");
    }
    donor.piece_time = scheduler.now() - asked;
    append(chunk, reply->piece);
    if (download.on_bytes) download.on_bytes(bytes);
  }
  if (chunk.size() == size && crypto::tree_hash(chunk) != download.leaves[index]) {
    co_return fault(donor, "chunk " + std::to_string(index) + " does not match its leaf");
  }
  co_return chunk;
}

// What this donor is asked for next.
std::optional<std::uint64_t> next_chunk(Download& download, const Donor& donor) {
  if (!download.wanted.empty()) {
    const std::uint64_t index = download.wanted.front();
    download.wanted.pop_front();
    return index;
  }
  if (!download.window.has_room()) return std::nullopt;
  const net::TimePoint before = download.host.scheduler().now() - donor.patience();
  for (const auto& [index, work] : download.in_work) {
    const bool late =
        std::ranges::all_of(work, [before](const auto& asked) { return asked.second < before; });
    if (late && !work.contains(&donor)) return index;
  }
  return std::nullopt;
}

// A chunk has come, or not, from a donor that was asked for it.
void finish_chunk(Download& download, Donor& donor, std::uint64_t index, Result<Bytes> chunk) {
  if (!chunk) donor.fault = std::move(chunk).error();
  const auto work = download.in_work.find(index);
  if (work == download.in_work.end()) return;  // another was first
  if (chunk) {
    std::ranges::copy(*chunk, download.state.data() + index * state_chunk_bytes);
    --download.missing;
  } else {
    work->second.erase(&donor);
    if (!work->second.empty()) return;
    download.wanted.push_front(index);
  }
  download.in_work.erase(work);
}

Task<void> fetch_chunks(Download& download, Donor& donor) {
  net::Scheduler& scheduler = download.host.scheduler();
  while (download.missing > 0 && !donor.fault) {
    const auto index = next_chunk(download, donor);
    if (!index) {  // others have the rest in work, and may yet fail
      const net::Timer look_again =
          scheduler.after(look_again_every, [&download] { download.changed.pulse(); });
      co_await download.changed.wait();
      continue;
    }
    download.in_work[*index].emplace(&donor, scheduler.now());
    auto chunk = co_await fetch_chunk(download, donor, *index);
    finish_chunk(download, donor, *index, std::move(chunk));
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

Task<Result<Buffer>> download_state(net::Host& host, DownloadWindow& window, std::vector<PeerId> donor_ids,
                                    RunId run, Digest root, std::size_t max_bytes, OnBytes on_bytes) {
  std::set<PeerId> seen{host.id()};
  std::deque<Donor> donors;  // stays put: the workers refer to them
  for (const PeerId& id : donor_ids) {
    if (donors.size() < max_donors && seen.insert(id).second) donors.push_back({id, {}, {}});
  }
  if (donors.empty())
    co_return fail(ErrorCode::not_found, "state " + to_hex(root) + ": nobody to ask for it");

  Download download(host, window, run, root, max_bytes, std::move(on_bytes));
  {
    net::TaskGroup tasks(host.scheduler());
    for (std::size_t i = 0; i < chunks_per_donor; ++i) {
      for (Donor& donor : donors) {  // each once before anybody twice
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
