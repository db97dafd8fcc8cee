// Sync: how a member that is behind, or a newcomer, gets the ledger and the training state from others.
// `/testudo/sync/1.0.0`, one request a stream: head, certificates from a height, the evidence for a ban,
// pieces of a state by its Merkle root, and the steps from that state to later ones. Everything received is
// checked against the chain: donors are not trusted, a bad chunk drops its donor. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "crypto/base/buffer.h"
#include "crypto/base/result.h"
#include "net/async/task.h"
#include "net/host/host.h"
#include "net/storage/storage.h"
#include "swarm/download_window.h"
#include "swarm/ledger.h"

namespace testudo::swarm {

inline constexpr std::size_t state_chunk_bytes = 256 * 1024;
// Root over BLAKE2b leaves of the chunks of `state`, the size mixed in.
Digest state_root(ByteView state);
// The same from the leaves: what the pieces of a download are checked against. And those from the hashes of
// the pieces, crypto::tree_leaves(state), for whoever has them; there is no state of nothing.
std::vector<Digest> state_leaves(ByteView state);
std::vector<Digest> state_leaves(std::span<const Digest> pieces);
Digest state_root(std::uint64_t size, std::span<const Digest> leaves);

// How a state comes from others: the roots of states one after another, each by a step from the one before,
// the wanted one last; the one at `whole` is there as it is. No roots: that cannot be told.
struct StatePath {
  std::vector<Digest> roots;
  std::size_t whole = 0;
  bool operator==(const StatePath&) const = default;
};

// What a member has of the run's training states, for others. Called on the loop thread.
class StateSource {
 public:
  using Value = std::shared_ptr<const net::Storage::Value>;  // null: not here, or not any more

  virtual ~StateSource() = default;
  virtual Value state(const Digest& root) = 0;
  virtual StatePath path(const Digest& root) = 0;
  // What makes the state of this root from the one before it.
  virtual Value step(const Digest& root) = 0;
};

class SyncServer {
 public:
  // All of them outlive it.
  SyncServer(net::Host& host, const RunId& run, const Ledger& ledger, StateSource& states);
  ~SyncServer();

  // While the parts of a round move, those who have no seat get a share of this member's line; otherwise what
  // it gives.
  void give_way(bool parts_move);

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

struct Head {
  std::uint64_t height = 0;
  Digest head{};
};
net::Task<Result<Head>> fetch_head(net::Host& host, PeerId donor, RunId run);
// Certificates from that height on, decoded and not verified: as many as the donor puts into one reply.
net::Task<Result<std::vector<Certificate>>> fetch_certificates(net::Host& host, PeerId donor, RunId run,
                                                               std::uint64_t from);
// The evidence for a ban in the certificate of that height, decoded and not verified. not_found: the donor
// has none. Errors name the donor.
net::Task<Result<Evidence>> fetch_evidence(net::Host& host, PeerId donor, RunId run, std::uint64_t height,
                                           Digest name);
// Replies that one donor gives in a row, some thousand certificates: then the caller may choose another, so
// that nobody, however long its ledger is, has a newcomer to itself.
inline constexpr std::size_t replies_in_a_row = 64;
// Verified appends to `ledger` until it is level with the donor, or the donor has given so many replies.
// Gives the number of certificates appended. What was appended before an error stays: it was verified. Errors
// name the donor. The ledger outlives the task.
net::Task<Result<std::uint64_t>> catch_up(net::Host& host, PeerId donor, RunId run, Ledger& ledger,
                                          std::size_t replies = replies_in_a_row);
// Called within a download with the number of bytes that have arrived; what a donor began and another has to
// send again counts twice. May be empty.
using OnBytes = std::function<void(std::size_t)>;
// The state with `root`, chunks spread over all donors that have it. A donor that lacks it, sends a wrong
// chunk or takes longer than ten seconds for a piece of one is dropped; the rest go on. Errors name what each
// donor did wrong.
net::Task<Result<Buffer>> download_state(net::Host& host, DownloadWindow& window, std::vector<PeerId> donors,
                                         RunId run, Digest root, std::size_t max_bytes,
                                         OnBytes on_bytes = {});

// More states one after another than any member tells.
inline constexpr std::size_t path_limit = 128;
// StateSource::path() of the donor, and one of its steps. Neither is checked: the chain knows the roots, and
// certificates the hashes of what a step consists of. Errors name the donor.
net::Task<Result<StatePath>> fetch_path(net::Host& host, PeerId donor, RunId run, Digest root);
net::Task<Result<Bytes>> download_step(net::Host& host, DownloadWindow& window, PeerId donor, RunId run,
                                       Digest root, std::size_t max_bytes, OnBytes on_bytes = {});

}  // namespace testudo::swarm
