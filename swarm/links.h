// Links: frames to and from the members of a run. One long-lived outgoing stream a peer and protocol; a frame
// is a small header and, for parts, a blob that travels raw behind it. Nothing here is trusted: whoever
// handles a frame checks it. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "crypto/base/spare_buffers.h"
#include "net/async/task_group.h"
#include "net/host/host.h"
#include "net/host/peer_rates.h"
#include "net/messages/misbehaviour.h"
#include "swarm/types.h"

namespace testudo::swarm {

class Links {
 public:
  struct Limits {
    std::size_t header_bytes = 0;
    std::size_t blob_bytes = 0;
    // Frames that wait for one peer; more are dropped, oldest first (the agreed broadcast lives with losses).
    std::size_t queued_frames = 1024;
    // Peers with a queue: anybody can make a new name and ask something. Idle ones make room first.
    std::size_t peers = 512;
  };
  struct Frame {
    std::shared_ptr<const Bytes> header;
    Blob blob;  // may be null
  };
  using Handler = std::function<void(const PeerId& from, Bytes header, Buffer blob)>;
  // The greatest header that is read from this peer, at most the limit; 0 refuses its streams.
  using Gate = std::function<std::size_t(const PeerId& from)>;

  // `spare`, where there is one, lends the memory of blobs that arrive.
  Links(net::Host& host, std::string protocol, Limits limits, Gate gate, Handler handler,
        std::shared_ptr<SpareBuffers> spare = nullptr);
  ~Links();

  // Queues the frame; it is sent when the peer is connected, and again after a broken stream if it was not
  // handed over. A peer that is not connected keeps its queue until forget().
  void send(const PeerId& to, Frame frame);
  void forget(const PeerId& peer);
  // Whether a stream to it is open: what is sent now is on its way at once.
  bool is_open(const PeerId& to) const;
  // Frames dropped because a queue was full, and streams ended because of a malformed frame: for metrics.
  std::uint64_t dropped() const { return dropped_; }
  std::uint64_t malformed() const { return misbehaviour_.total(); }

 private:
  struct Outgoing;
  net::Task<void> send_loop(std::shared_ptr<Outgoing> peer);
  void try_again(const PeerId& peer);
  static net::Task<void> admit(std::weak_ptr<Links*> links, std::unique_ptr<net::Stream> stream);
  net::Task<void> receive(std::unique_ptr<net::Stream> stream);

  net::Host& host_;
  std::string protocol_;
  Limits limits_;
  Gate gate_;
  Handler handler_;
  std::shared_ptr<SpareBuffers> spare_;
  std::uint64_t dropped_ = 0;
  net::Misbehaviour misbehaviour_;
  net::Guard::Protocol& use_;
  net::PeerRates rates_;
  std::map<PeerId, std::shared_ptr<Outgoing>> outgoing_;
  // What the host's handler finds empty once this object is gone.
  std::shared_ptr<Links*> alive_ = std::make_shared<Links*>(this);
  // One inbound stream a peer: a newer one takes the place of the older.
  std::map<PeerId, std::unique_ptr<net::TaskGroup>> incoming_;
  net::TaskGroup tasks_;
};

}  // namespace testudo::swarm
