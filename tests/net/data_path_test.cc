// The way of bytes between socket and reader: sealed from where they lie, read once a turn, opened straight
// into the buffer that waits for them. Whatever way they take, they are the same bytes.
#include "net/mux/yamux.h"
#include "net/security/noise_frames.h"
#include "tests/net/network_testing.h"

using namespace testudo;
using namespace testudo::net;
using namespace testudo::net::testing;

namespace {

crypto::CipherState cipher() { return crypto::CipherState(Digest{5}); }

Bytes random_bytes(crypto::Rng& rng, std::size_t size) {
  Bytes bytes(size);
  rng.fill(bytes);
  return bytes;
}

}  // namespace

TEST_CASE("a frame is the same wherever its head ends, and opens in steps into any place") {
  crypto::SeededRng rng(1);
  const Bytes plain = random_bytes(rng, 200);
  Bytes whole;
  REQUIRE(FrameSealer(cipher()).append_frame(whole, plain, {}).has_value());
  for (std::size_t cut = 0; cut <= plain.size(); ++cut) {
    CAPTURE(cut);
    Bytes sealed(FrameSealer::frame_size(plain.size()));
    const auto head = ByteView(plain).first(cut), body = ByteView(plain).subspan(cut);
    REQUIRE(FrameSealer(cipher()).seal_frame(sealed, head, body).has_value());
    CHECK(sealed == whole);
    FrameOpener opener(cipher());
    const auto frame = FrameOpener::find_frame(sealed);
    REQUIRE((frame.has_value() && frame->has_value()));
    CHECK((*frame)->consumed == sealed.size());
    const auto opened = opener.open_head(**frame, cut);
    REQUIRE(opened.has_value());
    CHECK(equal(*opened, head));
    Bytes target(static_cast<std::size_t>(rng.below(body.size() + 1)));
    const auto rest = opener.open_rest(**frame, cut, target);
    REQUIRE(rest.has_value());
    CHECK(equal(target, body.first(target.size())));
    CHECK(equal(*rest, body.subspan(target.size())));
  }
}

TEST_CASE("a frame changed at any byte is refused in steps as in one, and nothing of it is left") {
  crypto::SeededRng rng(2);
  Bytes whole;
  REQUIRE(FrameSealer(cipher()).append_frame(whole, random_bytes(rng, 64), {}).has_value());
  for (std::size_t at = 2; at < whole.size(); ++at) {
    CAPTURE(at);
    Bytes changed = whole;
    changed[at] ^= 0x40;
    FrameOpener opener(cipher());
    const auto frame = FrameOpener::find_frame(changed);
    REQUIRE((frame.has_value() && frame->has_value()));
    REQUIRE(opener.open_head(**frame, 12).has_value());
    Bytes target(at % 52 + 1, 9);
    const auto opened = opener.open_rest(**frame, 12, target);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == ErrorCode::authentication);
    CHECK(target == Bytes(target.size()));
  }
}

namespace {

struct Wire : Yamux::Output, Yamux::Events {
  Bytes out;
  std::vector<std::shared_ptr<YamuxStream>> inbound;
  void send_frame(ByteView header, ByteView payload) override {
    append(out, header);
    append(out, payload);
  }
  bool has_room() const override { return out.size() < 100'000; }
  void on_inbound_stream(std::shared_ptr<YamuxStream> stream) override {
    inbound.push_back(std::move(stream));
  }
};

// Reads in buffers of random size, as MuxedStream does, and keeps what it got.
struct Reader {
  std::shared_ptr<YamuxStream> stream;
  Bytes buffer;
  Bytes got;
  bool lent = false;

  void turn(crypto::Rng& rng) {
    if (lent) {
      if (stream->filled() == 0) return;
      append(got, ByteView(buffer).first(stream->clear_target()));
      lent = false;
    }
    buffer.assign(1 + rng.below(5000), 0xee);
    if (const std::size_t size = stream->take({}, buffer); size > 0) {
      append(got, ByteView(buffer).first(size));
    } else {
      stream->set_target(buffer);
      lent = true;
    }
  }
};

// A message of the secure channel, the way a connection takes it.
Result<bool> receive(Yamux& mux, ByteView message) {
  const ByteView head = message.first(std::min(mux.head_size(), message.size()));
  const ByteView rest = message.subspan(head.size());
  const MutableByteView target = mux.direct_target(head, rest.size());
  if (target.empty()) {
    TRY_VOID(mux.receive({}, message));
    return false;
  }
  REQUIRE(target.size() <= rest.size());
  std::ranges::copy(rest.first(target.size()), target.begin());
  TRY_VOID(mux.receive_direct({}, head, target.size(), rest.subspan(target.size())));
  return true;
}

}  // namespace

TEST_CASE("readers get the bytes of their streams, opened in place or copied, however messages cut frames") {
  crypto::SeededRng rng(3);
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    Wire a, b;
    Yamux dialler(Yamux::Role::dialler, a, a, {}), listener(Yamux::Role::listener, b, b, {});
    constexpr std::size_t streams = 3;
    std::vector<Bytes> sent;
    std::vector<std::shared_ptr<YamuxStream>> writers;
    for (std::size_t i = 0; i < streams; ++i) {
      sent.push_back(random_bytes(rng, 300'000 + rng.below(100'000)));
      writers.push_back(*dialler.open());
    }
    for (std::size_t i = 0; i < streams; ++i) writers[i]->set_pending(sent[i]);
    std::vector<Reader> readers;
    std::size_t direct = 0, copied = 0;
    const std::size_t largest = round % 2 == 0 ? 70'000 : 3000;
    for (int idle = 0; idle < 20; ++idle) {
      dialler.pump();
      const Bytes arrived = std::exchange(a.out, {});
      for (ByteView rest = arrived; !rest.empty(); idle = 0) {
        const ByteView message = rest.first(std::min<std::size_t>(1 + rng.below(largest), rest.size()));
        rest = rest.subspan(message.size());
        const auto placed = receive(listener, message);
        REQUIRE(placed.has_value());
        ++(*placed ? direct : copied);
        while (readers.size() < b.inbound.size())
          readers.push_back({b.inbound[readers.size()], {}, {}, false});
        if (!readers.empty()) readers[rng.below(readers.size())].turn(rng);
      }
      for (auto& reader : readers) {
        for (int i = 0; i < 100; ++i) reader.turn(rng);
      }
      REQUIRE(dialler.receive({}, std::exchange(b.out, {})).has_value());
    }
    REQUIRE(readers.size() == streams);
    for (std::size_t i = 0; i < streams; ++i) CHECK(readers[i].got == sent[i]);
    CHECK(copied > 0);
    CHECK(direct > 0);
  }
}

TEST_CASE("asking where bytes belong changes nothing, whatever a stranger's head says") {
  crypto::SeededRng rng(4);
  Wire wire;
  Yamux mux(Yamux::Role::listener, wire, wire, {});
  REQUIRE(mux.receive({}, Bytes{0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}).has_value());
  Bytes buffer(1000);
  wire.inbound.at(0)->set_target(buffer);
  std::size_t placed = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes head = random_bytes(rng, mux.head_size());
    // Often nearly right: data for stream 1.
    if (i % 2 == 0) head = Bytes{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 88};
    if (i % 4 == 0) head[rng.below(head.size())] ^= static_cast<std::uint8_t>(1 << rng.below(8));
    const MutableByteView target = mux.direct_target(head, rng.below(1500));
    CHECK(wire.inbound[0]->filled() == 0);
    if (target.empty()) continue;
    ++placed;
    REQUIRE(target.data() == buffer.data());
    REQUIRE(target.size() <= read_be(ByteView(head).last(4)));  // the frame's length
  }
  CHECK(placed > 0);
  // More than the window: refused, with nothing put anywhere.
  const Bytes huge{0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 0, 0, 0};
  CHECK(mux.direct_target(huge, 100).empty());
  CHECK_FALSE(mux.receive({}, huge).has_value());
}

namespace {

struct CountingSink : TcpSocket::Sink {
  explicit CountingSink(Scheduler& s) : scheduler(s) {}
  Scheduler& scheduler;
  std::size_t bytes = 0, reads_in_turn = 0, most_reads_in_turn = 0, largest_read = 0;
  std::size_t on_bytes(MutableByteView arrived) override {
    bytes += arrived.size();
    largest_read = std::max(largest_read, arrived.size());
    most_reads_in_turn = std::max(most_reads_in_turn, ++reads_in_turn);
    scheduler.post([this] { reads_in_turn = 0; });
    return arrived.size();
  }
  void on_writable() override {}
  void on_closed(Error) override {}
};

}  // namespace

TEST_CASE("a socket is read once a turn, so that its readers take what came before more comes") {
  LibuvScheduler scheduler;
  TcpTransport transport(scheduler);
  CountingSink receiver(scheduler), sender(scheduler);
  std::unique_ptr<TcpSocket> accepted;
  const auto listener = TcpListener::listen(transport, *Multiaddr::from_text("/ip4/127.0.0.1/tcp/0"),
                                            [&](std::unique_ptr<TcpSocket> socket) {
                                              accepted = std::move(socket);
                                              accepted->start(receiver);
                                            });
  REQUIRE(listener.has_value());
  auto socket = wait_for(scheduler, transport.connect((*listener)->address(), 5s));
  REQUIRE(socket.has_value());
  (*socket)->start(sender);
  constexpr std::size_t total = 8 * 1024 * 1024;
  std::ranges::fill((*socket)->output().extend(total), std::uint8_t{7});
  REQUIRE(run_until(scheduler, [&] { return receiver.bytes == total; }));
  CHECK(receiver.most_reads_in_turn == 1);
  CHECK(receiver.largest_read > 64 * 1024);  // else the bound was never tried
}
