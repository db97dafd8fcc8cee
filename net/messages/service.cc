#include "net/messages/service.h"

#include <map>

#include "net/async/combinators.h"
#include "net/host/peer_rates.h"

namespace testudo::net {

namespace {
Task<Result<Bytes>> exchange(Host& host, PeerId peer, std::string protocol, Bytes message,
                             std::size_t max_reply) {
  auto stream = co_await host.open_stream(peer, std::move(protocol));
  if (!stream) co_return fail(std::move(stream).error());
  auto written = co_await write_prefixed(**stream, message);
  if (!written) co_return fail(std::move(written).error());
  (*stream)->close_write();
  auto reply = co_await read_prefixed(**stream, max_reply);
  if (!reply) co_return fail(std::move(reply).error());
  if (!reply->has_value()) co_return fail(ErrorCode::protocol, "closed the stream without an answer");
  co_return std::move(**reply);
}
}  // namespace

Task<Result<Bytes>> request(Host& host, PeerId peer, std::string protocol, Bytes message,
                            std::size_t max_reply, Duration timeout) {
  auto reply = co_await with_timeout(
      host.scheduler(), timeout, exchange(host, peer, protocol, std::move(message), max_reply), "the answer");
  if (!reply) co_return fail(std::move(reply).error().in("request " + protocol + " to " + peer.to_text()));
  co_return std::move(*reply);
}

struct Service::State {
  State(Host& h, std::string name, std::size_t limit, Duration time, Answer a,
        std::optional<std::uint64_t> rate)
      : host(h),
        protocol(std::move(name)),
        max_request(limit),
        timeout(time),
        answer(std::move(a)),
        misbehaviour(protocol),
        use(h.guard().protocol(protocol)),
        rates(h, Limit::request_rate_per_peer, protocol, rate),
        streams(h.scheduler()) {}

  void note(const PeerId& peer, const Error& error) {
    const std::uint64_t before = misbehaviour.total();
    misbehaviour.note(peer, error);
    use.offences += misbehaviour.total() - before;
  }

  Host& host;
  std::string protocol;
  std::size_t max_request;
  Duration timeout;
  Answer answer;
  Misbehaviour misbehaviour;
  Guard::Protocol& use;
  PeerRates rates;
  std::map<PeerId, std::size_t> streams_of;
  TaskGroup streams;
};

Service::Service(Host& host, std::string protocol, std::size_t max_request, Duration timeout, Answer answer,
                 std::optional<std::uint64_t> rate)
    : state_(
          std::make_shared<State>(host, std::move(protocol), max_request, timeout, std::move(answer), rate)) {
  host.set_handler(state_->protocol, [weak = std::weak_ptr(state_)](std::unique_ptr<Stream> stream) {
    return admit(weak, std::move(stream));
  });
}

Service& Service::operator=(Service&& other) noexcept {
  if (this != &other) {
    // A new service for the same protocol has already replaced our handler: that one must stay.
    if (state_ && other.state_ && &state_->host == &other.state_->host &&
        state_->protocol == other.state_->protocol) {
      state_->streams.cancel_all();
    } else {
      stop();
    }
    state_ = std::move(other.state_);
  }
  return *this;
}

Service::~Service() { stop(); }

void Service::stop() {
  if (!state_) return;
  state_->host.remove_handler(state_->protocol);
  state_->streams.cancel_all();
  state_.reset();
}

const Misbehaviour& Service::misbehaviour() const { return state_->misbehaviour; }

void Service::charge(const PeerId& peer, double weight) { state_->rates.charge(peer, weight); }

// The host owns this task; the stream's own work belongs to the service, and ends with it.
Task<void> Service::admit(std::weak_ptr<State> weak, std::unique_ptr<Stream> stream) {
  auto state = weak.lock();
  if (!state) co_return;
  Guard& guard = state->host.guard();
  auto count = state->streams_of.find(stream->peer());
  const bool peer_full =
      count != state->streams_of.end() && count->second >= guard.limit(Limit::requests_per_peer);
  if (peer_full || state->streams.size() >= guard.limit(Limit::requests)) {
    guard.refused(peer_full ? Limit::requests_per_peer : Limit::requests);
    co_return;  // destroying the stream resets it
  }
  state->streams.spawn(answer_all(*state, std::move(stream)));
}

Task<void> Service::answer_all(State& state, std::unique_ptr<Stream> stream) {
  const PeerId peer = stream->peer();
  struct Count {
    Count(State& s, const PeerId& p) : state(s), peer(p) {
      const std::size_t of_peer = ++state.streams_of[peer];
      ++state.use.open;
      state.use.most_of_peer = std::max(state.use.most_of_peer, of_peer);
    }
    Count(const Count&) = delete;
    ~Count() {
      --state.use.open;
      auto it = state.streams_of.find(peer);
      if (--it->second == 0) state.streams_of.erase(it);
    }
    State& state;
    const PeerId& peer;
  } counted(state, peer);

  Scheduler& scheduler = state.host.scheduler();
  while (true) {
    Timer deadline = scheduler.after(state.timeout, [&stream] { stream->reset(); });
    auto request = co_await read_prefixed(*stream, state.max_request);
    if (!request) {
      state.note(peer, request.error());
      co_return;
    }
    if (!request->has_value()) break;
    deadline = Timer();
    ++state.use.requests;
    state.use.bytes_received += (*request)->size();
    const bool admitted = co_await state.rates.admit(peer);
    if (!admitted) co_return;
    auto reply = co_await with_timeout(scheduler, state.timeout, state.answer(peer, std::move(**request)),
                                       state.protocol);
    if (!reply) {
      state.note(peer, reply.error());
      stream->reset();
      co_return;
    }
    deadline = scheduler.after(state.timeout, [&stream] { stream->reset(); });
    if (reply->empty()) continue;
    auto written = co_await write_prefixed(*stream, *reply);
    if (!written) co_return;
    ++state.use.answers;
    state.use.bytes_sent += reply->size();
  }
  stream->close_write();
}

Task<Result<void>> write_raw(Stream& stream, Bytes header, ByteView raw) {
  auto written = co_await write_prefixed(stream, header);
  if (!written) co_return fail(std::move(written).error());
  auto body = co_await stream.write(raw);
  co_return body;
}

Task<Result<void>> read_raw(Stream& stream, MutableByteView raw) {
  auto filled = co_await read_exactly(stream, raw);
  co_return filled;
}

}  // namespace testudo::net
