// When a peer may send more, and how much: the rules of net/mux/receive_window.h, and a stream of Yamux over
// a long and fast link.
#include "net/mux/receive_window.h"

#include <deque>

#include "net/mux/yamux.h"
#include "tests/net/network_testing.h"

using namespace testudo;
using namespace testudo::net;

namespace {
constexpr std::uint32_t initial = 256 * 1024;
constexpr std::uint32_t largest = 16 * 1024 * 1024;
constexpr std::uint32_t piece = 64 * 1024;

// A reader that takes `piece` every `pause`, and whose peer sends whatever it may.
std::uint32_t largest_open(Duration pause, Duration round_trip, ReceiveWindow::Budget& budget,
                           ReceiveWindow& window, int pieces) {
  TimePoint now{1h};
  std::uint32_t most = window.open();
  for (int i = 0; i < pieces; ++i) {
    now += pause;
    window.arrived(piece);
    window.read(now, piece, round_trip, largest, budget);
    most = std::max(most, window.open());
  }
  return most;
}
}  // namespace

TEST_CASE("a window grows for a fast reader up to the largest, and for a slow one not at all") {
  ReceiveWindow::Budget budget{64 * 1024 * 1024, 0};
  ReceiveWindow fast(initial), slow(initial), unknown(initial);
  CHECK(largest_open(100us, 100ms, budget, fast, 2000) == largest);
  CHECK(budget.used == largest - initial);
  CHECK(largest_open(200ms, 100ms, budget, slow, 2000) == initial);
  fast.give_back(budget);
  CHECK(budget.used == 0);
  // 64 KiB a millisecond over 20 ms are 1.3 MB under way: it stops at a few times that.
  ReceiveWindow fitting(initial);
  const std::uint32_t fits = largest_open(1ms, 20ms, budget, fitting, 20'000);
  CHECK(fits >= 2 * 20 * piece);
  CHECK(fits <= 8 * 20 * piece);
  TimePoint now{1h};
  for (int i = 0; i < 1000; ++i) {
    unknown.arrived(piece);
    unknown.read(now, piece, std::nullopt, largest, budget);
  }
  CHECK(unknown.open() <= initial);
}

TEST_CASE("windows of one connection grow within their common budget") {
  ReceiveWindow::Budget budget{3 * 1024 * 1024, 0};
  std::vector<ReceiveWindow> windows(10, ReceiveWindow(initial));
  std::uint64_t total = 0;
  for (auto& window : windows) total += largest_open(100us, 100ms, budget, window, 2000);
  CHECK(total <= 10 * initial + budget.limit);
  CHECK(budget.used <= budget.limit);
  for (auto& window : windows) window.give_back(budget);
  CHECK(budget.used == 0);
}

TEST_CASE("nothing is granted that was not read, and all of it in the end, but for less than a step") {
  crypto::SeededRng rng(5);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    ReceiveWindow::Budget budget{rng.below(8 * 1024 * 1024), 0};
    ReceiveWindow window(initial);
    std::uint64_t granted = initial, sent = 0, unread = 0;
    TimePoint now{1s};
    for (int i = 0; i < 500; ++i) {
      now += std::chrono::microseconds(rng.below(20'000));
      const auto size = static_cast<std::uint32_t>(rng.below(std::min(window.open(), piece) + 1));
      window.arrived(size);
      sent += size;
      unread += size;
      const auto read = static_cast<std::uint32_t>(rng.below(unread + 1));
      unread -= read;
      if (read > 0) granted += window.read(now, read, 10ms, largest, budget);
      REQUIRE(window.open() == granted - sent);
      REQUIRE(unread + window.open() <= initial + budget.used);
    }
    if (unread > 0) granted += window.read(now, static_cast<std::uint32_t>(unread), 10ms, largest, budget);
    const std::uint64_t size = initial + budget.used;
    CHECK(window.open() > size - std::min<std::uint64_t>(size / 2, ReceiveWindow::grant_step));
  }
}

namespace {

// One direction of a link: a rate, a delay, and a bounded buffer before it.
struct Link {
  static constexpr double rate = 125e6;
  static constexpr Duration delay = 50ms;
  std::deque<std::pair<TimePoint, Bytes>> under_way;
  TimePoint free_at{};
  std::size_t queued(TimePoint now) const {
    return free_at <= now ? 0 : static_cast<std::size_t>(rate * seconds(free_at - now));
  }
  void send(TimePoint now, Bytes bytes) {
    free_at = std::max(now, free_at) + from_seconds(static_cast<double>(bytes.size()) / rate);
    under_way.emplace_back(free_at + delay, std::move(bytes));
  }
};
struct End : Yamux::Output, Yamux::Events {
  Link link;
  TimePoint now{};
  Yamux mux;
  std::shared_ptr<YamuxStream> inbound;
  explicit End(Yamux::Role role) : mux(role, *this, *this, {}) {}
  void send_frame(ByteView header, ByteView payload) override {
    Bytes bytes = to_bytes(header);
    append(bytes, payload);
    link.send(now, std::move(bytes));
  }
  bool has_room() const override { return link.queued(now) < 256 * 1024; }
  void on_inbound_stream(std::shared_ptr<YamuxStream> stream) override { inbound = std::move(stream); }
};

}  // namespace

TEST_CASE("one yamux stream fills a line of 1 Gbit/s with a round trip of 100 ms") {
  End writer(Yamux::Role::dialler), reader(Yamux::Role::listener);
  reader.mux.ping({});
  const auto stream = *writer.mux.open();
  const Bytes data(1024 * 1024, 7);
  Bytes buffer(256 * 1024);
  std::uint64_t after_two_seconds = 0, total = 0;
  for (TimePoint now{}; now < TimePoint{4s}; now += 1ms) {
    for (End* end : {&writer, &reader}) end->now = now;
    const auto deliver = [now](End& from, End& to) {
      for (auto& queue = from.link.under_way; !queue.empty() && queue.front().first <= now;
           queue.pop_front()) {
        REQUIRE(to.mux.receive(now, queue.front().second).has_value());
      }
    };
    deliver(writer, reader);
    deliver(reader, writer);
    if (reader.inbound) {
      while (const std::size_t size = reader.inbound->take(now, buffer)) total += size;
    }
    if (now == TimePoint{2s}) after_two_seconds = total;
    if (stream->pending().empty()) stream->set_pending(data);
    writer.mux.pump();
  }
  CHECK(static_cast<double>(total - after_two_seconds) / 2 > 0.9 * Link::rate);
  stream->clear_pending();
}
