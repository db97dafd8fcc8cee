// Yamux: a session that a stranger feeds with anything while we open, write, read, close and reset; and two
// sessions of ours with each other, whose bytes arrive whole and in order whatever the pieces.
//
// Held throughout: nobody can be made to buffer more than was granted; we never send more than we were
// granted; the number of streams stays within its limits.
#include "net/mux/yamux.h"

#include "tests/fuzz/fuzz.h"

namespace testudo::fuzz {
namespace {

using net::Yamux;
using net::YamuxStream;
using Streams = std::vector<std::shared_ptr<YamuxStream>>;
using namespace std::chrono_literals;

constexpr std::size_t header_size = 12;

// Byte `at` of what is written on a stream.
std::uint8_t pattern(std::uint32_t stream, std::size_t at) {
  return static_cast<std::uint8_t>(stream * 31 + at * 7 + at / 251);
}

// One end: its session, its streams, and what it sent, read from its own frames.
struct End : Yamux::Output, Yamux::Events {
  explicit End(Yamux::Role role, Yamux::Limits limits = {}) : session(role, *this, *this, limits) {}

  void send_frame(ByteView header, ByteView payload) override {
    TESTUDO_CHECK(header.size() == header_size && payload.size() <= Yamux::max_payload);
    const auto stream = static_cast<std::uint32_t>(read_be(header.subspan(4, 4)));
    if (header[1] == 0) sent[stream] += payload.size();
    if (header[1] == 1) granted[stream] += read_be(header.subspan(8, 4));
    append(out, header);
    append(out, payload);
  }
  bool has_room() const override { return room; }
  void on_unread(std::int64_t change) override {
    unread += change;
    TESTUDO_CHECK(unread >= 0);
  }
  void on_inbound_stream(std::shared_ptr<YamuxStream> stream) override {
    streams.push_back(std::move(stream));
  }

  // As a connection does: what a reader waits for goes straight to it, the rest through receive().
  Result<void> receive(ByteView bytes) {
    const std::size_t head_size = std::min(session.head_size(), bytes.size());
    const MutableByteView target = session.direct_target(bytes.first(head_size), bytes.size() - head_size);
    if (target.empty()) return session.receive(now, bytes);
    TESTUDO_CHECK(target.size() <= bytes.size() - head_size);
    std::ranges::copy(bytes.subspan(head_size, target.size()), target.begin());
    return session.receive_direct(now, bytes.first(head_size), target.size(),
                                  bytes.subspan(head_size + target.size()));
  }
  // What has come, at most `size` bytes; a wait for more is over.
  Bytes read(YamuxStream& stream, std::size_t size) {
    Bytes got(size);
    const auto waiting = targets.find(stream.id());
    if (waiting != targets.end()) {
      const std::size_t filled = stream.clear_target();
      TESTUDO_CHECK(filled <= waiting->second.size());
      got = std::move(waiting->second);
      got.resize(filled);
      targets.erase(waiting);
    } else if (size > 0) {
      got.resize(stream.take(now, got));
      TESTUDO_CHECK(got.size() <= size);
    }
    taken[stream.id()] += got.size();
    TESTUDO_CHECK(taken[stream.id()] <= may_receive(stream.id()));
    return got;
  }
  // Arriving bytes go into a buffer of the reader's from now on. REQUIRES: everything was read.
  void wait(YamuxStream& stream, std::size_t size) {
    Bytes& target = targets[stream.id()];
    target.resize(size);
    stream.set_target(target);
  }
  void release(const std::shared_ptr<YamuxStream>& stream) {
    read(*stream, 0);
    stream->clear_pending();
    stream->release();
    std::erase(streams, stream);
  }

  std::uint64_t may_receive(std::uint32_t stream) { return Yamux::initial_window + granted[stream]; }

  Bytes out;
  bool room = true;
  std::int64_t unread = 0;
  net::TimePoint now{1s};
  Streams streams;  // inbound and our own
  std::map<std::uint32_t, std::uint64_t> sent, granted, taken;
  std::map<std::uint32_t, Bytes> targets;
  Yamux session;
};

Bytes frame(std::uint8_t type, std::uint16_t flags, std::uint32_t stream, std::uint32_t length) {
  Bytes out{0, type};
  append_be(out, flags, 2);
  append_be(out, stream, 4);
  append_be(out, length, 4);
  if (type == 0) out.resize(out.size() + std::min<std::uint32_t>(length, 300'000));
  return out;
}

void stranger(Script& script) {
  static const Bytes data(300'000, 9);
  constexpr Yamux::Limits limits{
      .max_inbound = 8, .max_outbound = 8, .max_unacknowledged = 6, .max_half_closed = 4};
  End end(script.flag() ? Yamux::Role::listener : Yamux::Role::dialler, limits);
  std::uint64_t granted_to_us = 0;  // to all streams together: an upper bound
  bool alive = true;
  while (alive && !script.done()) {
    const std::uint8_t action = script.byte();
    YamuxStream* stream = end.streams.empty() ? nullptr : end.streams[script.below(end.streams.size())].get();
    switch (action % 15) {
      case 0:
      case 1:
      case 2: {
        const auto type = static_cast<std::uint8_t>(script.below(4) % 3);
        const auto flags = static_cast<std::uint16_t>(script.below(16));
        const auto id = static_cast<std::uint32_t>(script.below(24));
        const auto length = static_cast<std::uint32_t>(script.number(2) << script.below(8));
        if (type == 1) granted_to_us += length;
        alive = end.receive(frame(type, flags, id, length)).has_value();
        break;
      }
      case 3: {
        const ByteView raw = script.bytes(script.below(64));
        granted_to_us += raw.size() / 4 * std::uint64_t{0xffffffff};  // whatever it was
        alive = end.receive(raw).has_value();
        break;
      }
      case 4:
        if (auto opened = end.session.open()) end.streams.push_back(*opened);
        break;
      case 5:
        if (stream != nullptr && !stream->write_closed() && stream->pending().empty() && !stream->error()) {
          stream->set_pending(ByteView(data).first(script.number(2) * 4 % data.size()));
        }
        break;
      case 6:
        if (stream != nullptr) end.read(*stream, script.number(2) * 2);
        break;
      case 7:
        if (stream != nullptr && stream->pending().empty()) stream->close_write();
        break;
      case 8:
        if (stream != nullptr) stream->reset();
        break;
      case 9:
        if (stream != nullptr) {
          end.release(*std::ranges::find(end.streams, stream, &std::shared_ptr<YamuxStream>::get));
        }
        break;
      case 10:
        end.room = !end.room;
        if (end.room) end.session.pump();
        break;
      case 11:
        end.now += std::chrono::milliseconds(script.number(2));
        break;
      case 12:
        end.session.ping(end.now);
        break;
      case 13:
        if (stream != nullptr) {
          while (!end.read(*stream, 100'000).empty()) {
          }
          end.wait(*stream, 1 + script.number(2));
        }
        break;
      default:
        if (stream != nullptr) stream->clear_pending();
    }
    TESTUDO_CHECK(end.session.stream_count() <=
                  limits.max_inbound + limits.max_outbound + limits.max_half_closed);
    for (const auto& [id, bytes] : end.sent) TESTUDO_CHECK(bytes <= Yamux::initial_window + granted_to_us);
    end.out.clear();
  }
  // Whatever was buffered had been granted.
  for (const auto& stream : end.streams) {
    while (!end.read(*stream, 100'000).empty()) {
    }
  }
  end.session.fail_all(Error{ErrorCode::closed, "over"});
  while (!end.streams.empty()) end.release(end.streams.back());
  TESTUDO_CHECK(end.session.stream_count() == 0);
}

// Time may stand still while friends talk: their rates are those of eternity.
constexpr Yamux::Limits unhurried{.control_frames_per_second = 1'000'000'000,
                                  .pings_per_second = 1'000'000'000};

struct Pair {
  End dialler{Yamux::Role::dialler, unhurried}, listener{Yamux::Role::listener, unhurried};
  std::map<std::uint32_t, std::size_t> read;  // at the listener
  std::map<std::uint32_t, Bytes> written;     // at the dialler, lives until the end

  void deliver(End& from, End& to, std::size_t size) {
    Bytes piece = std::exchange(from.out, {});
    size = std::min(size, piece.size());
    from.out.assign(piece.begin() + static_cast<std::ptrdiff_t>(size), piece.end());
    piece.resize(size);
    TESTUDO_CHECK(to.receive(piece).has_value());
    for (const auto& [id, bytes] : from.sent) TESTUDO_CHECK(bytes <= to.may_receive(id));
  }
  std::size_t read_some(YamuxStream& stream, std::size_t size) {
    const Bytes bytes = listener.read(stream, size);
    std::size_t& at = read[stream.id()];
    for (const std::uint8_t byte : bytes) TESTUDO_CHECK(byte == pattern(stream.id(), at++));
    return bytes.size();
  }
};

void friends(Script& script) {
  Pair pair;
  while (!script.done()) {
    switch (script.byte() % 8) {
      case 0:
        if (pair.written.size() < 6) {
          const auto stream = *pair.dialler.session.open();
          Bytes& data = pair.written[stream->id()];
          data.resize(script.number(2) * 8);
          for (std::size_t i = 0; i < data.size(); ++i) data[i] = pattern(stream->id(), i);
          stream->set_pending(data);
          stream->close_write();
          pair.dialler.streams.push_back(stream);
        }
        break;
      case 1:
        pair.deliver(pair.dialler, pair.listener, script.number(2) * 4);
        break;
      case 2:
        pair.deliver(pair.listener, pair.dialler, script.below(256));
        break;
      case 3:
        if (!pair.listener.streams.empty()) {
          pair.read_some(*pair.listener.streams[script.below(pair.listener.streams.size())],
                         script.number(2) * 4);
        }
        break;
      case 4:
        pair.dialler.room = !pair.dialler.room;
        if (pair.dialler.room) pair.dialler.session.pump();
        break;
      case 5:
        pair.listener.now += std::chrono::milliseconds(script.below(256));
        pair.dialler.now = pair.listener.now;
        break;
      case 6:
        if (!pair.listener.streams.empty()) {
          YamuxStream& stream = *pair.listener.streams[script.below(pair.listener.streams.size())];
          while (pair.read_some(stream, 100'000) > 0) {
          }
          pair.listener.wait(stream, 1 + script.number(2) * 2);
        }
        break;
      default:
        pair.listener.session.ping(pair.listener.now);
    }
  }
  // Let everything arrive.
  pair.dialler.room = true;
  pair.dialler.session.pump();
  for (bool moving = true; moving;) {
    moving = !pair.dialler.out.empty() || !pair.listener.out.empty();
    pair.deliver(pair.dialler, pair.listener, pair.dialler.out.size());
    for (const auto& stream : pair.listener.streams) moving = pair.read_some(*stream, 100'000) > 0 || moving;
    pair.deliver(pair.listener, pair.dialler, pair.listener.out.size());
  }
  for (const auto& stream : pair.listener.streams) {
    TESTUDO_CHECK(stream->read_closed() && !stream->error());
    TESTUDO_CHECK(pair.read[stream->id()] == pair.written.at(stream->id()).size());
  }
  TESTUDO_CHECK(pair.listener.streams.size() == pair.written.size());
  for (End* end : {&pair.dialler, &pair.listener}) {
    while (!end->streams.empty()) end->release(end->streams.back());
  }
}

void run(ByteView input) {
  Script script(input);
  if (script.flag()) {
    friends(script);
  } else {
    stranger(script);
  }
}

std::vector<Bytes> seeds() {
  return {
      // Two streams of some data, read in pieces.
      {1, 0,   20,  0, 0,   0, 200, 1, 200, 0,  2, 255, 3,   0,   90, 0, 1, 255, 255, 3,
       0, 255, 255, 2, 255, 5, 9,   6, 0,   40, 0, 1,   255, 255, 7,  3, 1, 90,  0},
      // A stream is opened, takes data, is answered and closed.
      {0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 200, 0, 6, 0, 1, 0, 5, 0, 0, 100, 7, 0},
      // Streams of ours, with windows and resets.
      {0, 0, 4, 4, 4, 0, 5, 0, 40, 0, 0, 1, 2, 1, 2, 100, 3, 10, 10, 8, 0, 9, 1, 12},
      // Raw bytes: a ping and half a frame.
      {0, 1, 3, 24, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0},
  };
}

const Registered target({"yamux", run, seeds, 10});

}  // namespace
}  // namespace testudo::fuzz
