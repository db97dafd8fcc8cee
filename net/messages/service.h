// Request and answer over a stream, and a service that answers. Every message is bounded, every exchange
// has a deadline. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/host/host.h"
#include "net/messages/message.h"
#include "net/messages/misbehaviour.h"

namespace testudo::net {

// Opens a stream, sends one message and returns the one that comes back. The host must outlive it.
Task<Result<Bytes>> request(Host& host, PeerId peer, std::string protocol, Bytes message,
                            std::size_t max_reply, Duration timeout);

// Answers requests on a protocol until it is destroyed, which also cancels what it is answering. Its host
// outlives it. A peer may send several requests on a stream, one after the other. When the answer is an
// error the stream is reset; what the asker should read as an error belongs into the reply. An empty answer
// sends nothing: a notification.
class [[nodiscard]] Service {
 public:
  using Answer = std::function<Task<Result<Bytes>>(PeerId, Bytes)>;

  Service() = default;
  // `timeout` bounds the wait for a request, and again its answer. Streams at a time and requests a second
  // are limited (net/limits/limits.h); `rate` is another one than the limit's, requests a second and peer.
  Service(Host& host, std::string protocol, std::size_t max_request, Duration timeout, Answer answer,
          std::optional<std::uint64_t> rate = std::nullopt);
  Service(Service&&) noexcept = default;
  Service& operator=(Service&& other) noexcept;
  ~Service();

  const Misbehaviour& misbehaviour() const;
  // The request of this peer that is being answered counts for so many more.
  void charge(const PeerId& peer, double weight);

 private:
  struct State;
  static Task<void> admit(std::weak_ptr<State> state, std::unique_ptr<Stream> stream);
  static Task<void> answer_all(State& state, std::unique_ptr<Stream> stream);
  void stop();
  std::shared_ptr<State> state_;
};

inline Service serve(Host& host, std::string protocol, std::size_t max_request, Duration timeout,
                     Service::Answer answer, std::optional<std::uint64_t> rate = std::nullopt) {
  return Service(host, std::move(protocol), max_request, timeout, std::move(answer), rate);
}

// A msgpack header followed by raw bytes whose number the header tells: tensors go from and to the caller's
// memory with no copy in between. `raw` must stay valid until it is done.
Task<Result<void>> write_raw(Stream& stream, Bytes header, ByteView raw);
template <typename Header>
Task<Result<Header>> read_raw_header(Stream& stream, std::size_t max_header) {
  auto message = co_await read_prefixed(stream, max_header);
  if (!message) co_return fail(std::move(message).error());
  if (!message->has_value()) co_return fail(ErrorCode::protocol, "stream ended before a header");
  MessageLimits limits;
  limits.size = max_header;
  co_return unpack<Header>(**message, limits);
}
// Fills `raw`, whose size the caller took from the header after bounding it.
Task<Result<void>> read_raw(Stream& stream, MutableByteView raw);

}  // namespace testudo::net
