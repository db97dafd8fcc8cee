#include "swarm/links.h"

#include <algorithm>
#include <deque>

#include "crypto/base/check.h"
#include "crypto/base/encoding.h"
#include "crypto/base/log.h"

namespace testudo::swarm {

using net::Stream;
using net::Task;
using namespace std::chrono_literals;

namespace {
// A stream that could not be opened is tried again after this; connecting itself is the directory's business.
constexpr net::Duration retry_delay = 200ms;
constexpr net::Duration longest_retry_delay = 3s;
// A frame that broke its stream so often is dropped: the peer will not have it.
constexpr int frame_attempts = 3;
constexpr std::uint64_t offences_per_connection = 16;
// Buffers grow as bytes arrive, not as lengths are claimed.
constexpr std::size_t read_step = 256 * 1024;
}  // namespace

struct Links::Outgoing {
  Outgoing(net::Scheduler& scheduler, PeerId id)
      : peer(std::move(id)), changed(scheduler), retry(scheduler) {}
  PeerId peer;
  std::deque<Frame> queue;
  net::Event changed;
  net::Event retry;  // it may be reached now
  bool open = false;
  bool forgotten = false;

  net::Task<void> pause(net::Scheduler& scheduler, net::Duration time) {
    const net::Timer timer = scheduler.at(scheduler.now() + time, [this] { retry.pulse(); });
    co_await retry.wait();
  }
};

Links::Links(net::Host& host, std::string protocol, Limits limits, Gate gate, Handler handler,
             std::shared_ptr<SpareBuffers> spare)
    : host_(host),
      protocol_(std::move(protocol)),
      limits_(limits),
      gate_(std::move(gate)),
      handler_(std::move(handler)),
      spare_(std::move(spare)),
      misbehaviour_(protocol_),
      use_(host.guard().protocol(protocol_)),
      rates_(host, net::Limit::frame_rate_per_peer, protocol_),
      tasks_(host.scheduler()) {
  host_.set_handler(protocol_, [links = std::weak_ptr<Links*>(alive_)](std::unique_ptr<Stream> stream) {
    return admit(links, std::move(stream));
  });
  host_.observe_connections([links = std::weak_ptr<Links*>(alive_)](const PeerId& peer, bool connected) {
    if (const auto alive = links.lock(); alive && connected) (*alive)->try_again(peer);
  });
}

Links::~Links() { host_.remove_handler(protocol_); }

void Links::send(const PeerId& to, Frame frame) {
  const bool fits = frame.header->size() <= limits_.header_bytes &&
                    (!frame.blob || frame.blob->size() <= limits_.blob_bytes);
  TESTUDO_CHECK(fits);  // what is sent is bounded where it is made
  if (!outgoing_.contains(to) && outgoing_.size() >= limits_.peers) {
    const auto idle =
        std::ranges::find_if(outgoing_, [](const auto& entry) { return entry.second->queue.empty(); });
    if (idle == outgoing_.end()) {
      ++dropped_;
      return;
    }
    forget(PeerId(idle->first));
  }
  auto& outgoing = outgoing_[to];
  if (!outgoing) {
    outgoing = std::make_shared<Outgoing>(host_.scheduler(), to);
    tasks_.spawn(send_loop(outgoing));
  }
  if (outgoing->queue.size() >= limits_.queued_frames) {
    outgoing->queue.pop_front();
    ++dropped_;
  }
  outgoing->queue.push_back(std::move(frame));
  outgoing->changed.pulse();
}

void Links::forget(const PeerId& peer) {
  const auto found = outgoing_.find(peer);
  if (found == outgoing_.end()) return;
  found->second->forgotten = true;
  found->second->queue.clear();
  found->second->changed.pulse();
  outgoing_.erase(found);
}

bool Links::is_open(const PeerId& to) const {
  const auto found = outgoing_.find(to);
  return found != outgoing_.end() && found->second->open;
}

// Whoever connects, or speaks this protocol to us, need not be waited for any longer.
void Links::try_again(const PeerId& peer) {
  if (const auto found = outgoing_.find(peer); found != outgoing_.end()) found->second->retry.pulse();
}

Task<void> Links::send_loop(std::shared_ptr<Outgoing> peer) {
  std::unique_ptr<Stream> stream;
  net::Duration delay = retry_delay;
  int failures = 0;
  while (!peer->forgotten) {
    if (peer->queue.empty()) {
      co_await peer->changed.wait();
      continue;
    }
    if (!stream) {
      auto opened = co_await host_.open_stream(peer->peer, protocol_);
      if (!opened) {
        log::debug("{} to {}: {}", protocol_, peer->peer.short_text(), opened.error().message);
        co_await peer->pause(host_.scheduler(), delay);
        delay = std::min(delay * 2, longest_retry_delay);
        continue;
      }
      stream = std::move(*opened);
      peer->open = true;
      continue;  // the queue may have changed meanwhile
    }
    // Small frames that wait together leave in one write.
    Bytes batch;
    Blob blob;
    std::deque<Frame> taken;
    while (!peer->queue.empty() && !blob && batch.size() < 64 * 1024) {
      Frame frame = std::move(peer->queue.front());
      peer->queue.pop_front();
      append_varint(batch, frame.header->size());
      append(batch, *frame.header);
      append_varint(batch, frame.blob ? frame.blob->size() : 0);
      blob = frame.blob;
      taken.push_back(std::move(frame));
    }
    auto written = co_await stream->write(batch);
    if (written && blob && !blob->empty()) written = co_await stream->write(*blob);
    if (!written && !peer->forgotten) {
      log::debug("{} to {}: {}", protocol_, peer->peer.short_text(), written.error().message);
      stream.reset();
      peer->open = false;
      if (++failures >= frame_attempts) {
        dropped_ += taken.size();
        failures = 0;
      } else {
        while (!taken.empty()) {
          peer->queue.push_front(std::move(taken.back()));
          taken.pop_back();
        }
      }
      co_await peer->pause(host_.scheduler(), delay);
      delay = std::min(delay * 2, longest_retry_delay);
    } else {
      failures = 0;
      delay = retry_delay;
      use_.bytes_sent += batch.size() + (blob ? blob->size() : 0);
    }
  }
}

namespace {

// A length within `limit`; nothing at the end of the stream.
Task<Result<std::optional<std::size_t>>> read_length(Stream& stream, std::size_t limit) {
  std::array<std::uint8_t, 10> prefix{};
  for (std::size_t used = 0; used < prefix.size();) {
    auto read = co_await stream.read_some(MutableByteView(prefix).subspan(used, 1));
    if (!read) co_return fail(std::move(read).error());
    if (*read == 0) {
      if (used == 0) co_return std::optional<std::size_t>{};
      co_return fail(ErrorCode::protocol, "stream ended within a length");
    }
    ++used;
    auto length = read_varint(ByteView(prefix).first(used));
    if (!length) co_return fail(std::move(length).error());
    if (!length->has_value()) continue;
    if ((*length)->value > limit) {
      co_return fail(ErrorCode::limit, "frame of " + std::to_string((*length)->value) + " bytes, " +
                                           std::to_string(limit) + " are allowed");
    }
    co_return std::optional<std::size_t>(static_cast<std::size_t>((*length)->value));
  }
  co_return fail(ErrorCode::protocol, "length too long");
}

Task<Result<void>> read_growing(Stream& stream, std::size_t length, Bytes& out) {
  while (out.size() < length) {
    const std::size_t filled = out.size();
    out.resize(filled + std::min(read_step, length - filled));
    auto read = co_await net::read_exactly(stream, MutableByteView(out).subspan(filled));
    if (!read) co_return fail(std::move(read).error());
  }
  co_return Result<void>{};
}

struct ReceivedFrame {
  Bytes header;
  Buffer blob;
};

Task<Result<std::optional<ReceivedFrame>>> read_frame(Stream& stream, Links::Limits limits,
                                                      std::shared_ptr<SpareBuffers> spare) {
  ReceivedFrame frame;
  auto header_length = co_await read_length(stream, limits.header_bytes);
  if (!header_length) co_return fail(std::move(header_length).error());
  if (!header_length->has_value()) co_return std::optional<ReceivedFrame>{};
  auto header = co_await read_growing(stream, **header_length, frame.header);
  if (!header) co_return fail(std::move(header).error());
  auto blob_length = co_await read_length(stream, limits.blob_bytes);
  if (!blob_length) co_return fail(std::move(blob_length).error());
  if (!blob_length->has_value()) co_return fail(ErrorCode::protocol, "stream ended within a frame");
  // Whole at once, straight from the cipher: a buffer takes memory as bytes arrive, not as lengths are
  // claimed.
  frame.blob = take_buffer(spare, **blob_length);
  auto blob = co_await net::read_exactly(stream, frame.blob);
  if (!blob) co_return fail(std::move(blob).error());
  co_return std::optional<ReceivedFrame>(std::move(frame));
}

}  // namespace

// The host owns the task of a handler, so it must not be one of this object's: it hands the stream over.
Task<void> Links::admit(std::weak_ptr<Links*> links, std::unique_ptr<Stream> stream) {
  const auto alive = links.lock();
  if (!alive) co_return;
  Links& self = **alive;
  const PeerId from = stream->peer();
  if (self.gate_(from) == 0) co_return;
  if (!self.incoming_.contains(from) && self.incoming_.size() >= self.limits_.peers) {
    std::erase_if(self.incoming_, [](const auto& entry) { return entry.second->size() == 0; });
    if (self.incoming_.size() >= self.limits_.peers) co_return;
  }
  auto& group = self.incoming_[from];
  group = std::make_unique<net::TaskGroup>(self.host_.scheduler());
  group->spawn(self.receive(std::move(stream)));
  self.try_again(from);
}

Task<void> Links::receive(std::unique_ptr<Stream> stream) {
  const PeerId from = stream->peer();
  while (true) {
    Limits limits = limits_;
    limits.header_bytes = std::min(limits.header_bytes, gate_(from));
    if (limits.header_bytes == 0) {
      stream->reset();
      co_return;
    }
    auto frame = co_await read_frame(*stream, limits, spare_);
    if (!frame) {
      const std::uint64_t before = misbehaviour_.total();
      misbehaviour_.note(from, frame.error());
      use_.offences += misbehaviour_.total() - before;
      // Whoever goes on like that loses its connection, and pays for a handshake each time.
      if (misbehaviour_.count(from) % offences_per_connection == 0 && misbehaviour_.count(from) > 0) {
        host_.scheduler().post([links = std::weak_ptr<Links*>(alive_), from] {
          if (const auto alive = links.lock()) (*alive)->host_.disconnect(from);
        });
      }
      stream->reset();
      co_return;
    }
    if (!frame->has_value()) co_return;
    ++use_.requests;
    use_.bytes_received += (*frame)->header.size() + (*frame)->blob.size();
    const bool admitted = co_await rates_.admit(from);
    if (!admitted) co_return;
    handler_(from, std::move((*frame)->header), std::move((*frame)->blob));
  }
}

}  // namespace testudo::swarm
