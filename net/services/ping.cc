#include "net/services/ping.h"

#include <array>
#include <map>
#include <memory>

#include "net/async/combinators.h"
#include "net/host/peer_rates.h"

namespace testudo::net {
namespace {

constexpr std::size_t kPayload = 32;
constexpr int kMaxStreamsPerPeer = 2;  // the specification's
constexpr Duration kIdle = 60s;
constexpr Duration kAnswer = 10s;

struct Open {
  explicit Open(Host& host) : rates(host, Limit::request_rate_per_peer, kPingProtocol) {}
  std::map<PeerId, int> streams;
  PeerRates rates;
};
class Counted {
 public:
  Counted(std::shared_ptr<Open> open, PeerId peer) : open_(std::move(open)), peer_(std::move(peer)) {
    ++open_->streams[peer_];
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() {
    if (--open_->streams[peer_] == 0) open_->streams.erase(peer_);
  }
  bool too_many() const { return open_->streams.at(peer_) > kMaxStreamsPerPeer; }

 private:
  std::shared_ptr<Open> open_;
  PeerId peer_;
};

// True when the payload was echoed, false at the end of the stream.
Task<Result<bool>> echo_once(Stream& stream, PeerRates& rates) {
  std::array<std::uint8_t, kPayload> payload{};
  auto first = co_await stream.read_some(payload);
  if (!first) co_return fail(std::move(first).error());
  if (*first == 0) co_return false;
  auto rest = co_await read_exactly(stream, MutableByteView(payload).subspan(*first));
  if (!rest) co_return fail(std::move(rest).error());
  const bool admitted = co_await rates.admit(stream.peer());
  if (!admitted) co_return fail(ErrorCode::limit, "the peer is disconnected");
  auto written = co_await stream.write(payload);
  if (!written) co_return fail(std::move(written).error());
  co_return true;
}

Task<void> answer(Scheduler& scheduler, std::shared_ptr<Open> open, std::unique_ptr<Stream> stream) {
  const Counted counted(open, stream->peer());
  if (counted.too_many()) co_return;  // dropping the stream resets it
  while (true) {
    auto echoed = co_await with_timeout(scheduler, kIdle, echo_once(*stream, open->rates), "ping");
    if (!echoed) co_return;
    if (!*echoed) break;
  }
  stream->close_write();
}

Task<Result<void>> echo_through(Stream& stream, std::array<std::uint8_t, kPayload> payload) {
  auto written = co_await stream.write(payload);
  if (!written) co_return fail(std::move(written).error());
  std::array<std::uint8_t, kPayload> answered{};
  auto read = co_await read_exactly(stream, answered);
  if (!read) co_return fail(std::move(read).error());
  if (answered != payload) co_return fail(ErrorCode::protocol, "other bytes came back than were sent");
  co_return Result<void>{};
}

}  // namespace

PingService::PingService(Host& host) : host_(host) {
  auto open = std::make_shared<Open>(host);
  host.set_handler(kPingProtocol, [&scheduler = host.scheduler(), open](std::unique_ptr<Stream> stream) {
    return answer(scheduler, open, std::move(stream));
  });
}

Task<Result<Duration>> ping(Host& host, PeerId peer) {
  const std::string who = "ping " + peer.to_text();
  auto stream = co_await host.open_stream(peer, kPingProtocol);
  if (!stream) co_return fail(std::move(stream).error().in(who));
  std::array<std::uint8_t, kPayload> payload{};
  host.rng().fill(payload);
  const TimePoint start = host.scheduler().now();
  auto echoed =
      co_await with_timeout(host.scheduler(), kAnswer, echo_through(**stream, payload), "the answer");
  if (!echoed) co_return fail(std::move(echoed).error().in(who));
  const Duration round_trip = host.scheduler().now() - start;
  (*stream)->close_write();
  co_return round_trip;
}

}  // namespace testudo::net
