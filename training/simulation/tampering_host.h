// TamperingHost: a host that changes, drops, doubles or holds back the round's frames on their way out, and
// what it answers newcomers, and listens to frames that come in: how a simulated member lies on the wire
// while everything else of it is production code. Loop thread only; the host below outlives it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "crypto/base/encoding.h"
#include "net/async/event.h"
#include "net/host/host.h"

namespace testudo::training {

struct TamperedFrame {
  Bytes header;
  Bytes blob;
  net::Duration hold{};  // before it goes out; what the stream carries later waits behind it
};
// What goes out instead of this frame to that peer, in this order; nothing drops it.
using Tamper = std::function<std::vector<TamperedFrame>(const net::PeerId& to, const std::string& protocol,
                                                        TamperedFrame frame)>;
// A frame that came in from this peer; the member gets it all the same.
using Hear = std::function<void(const net::PeerId& from, const std::string& protocol, TamperedFrame frame)>;

struct TamperedAnswer {
  Bytes bytes;
  net::Duration hold{};  // before it goes out
};
// What goes out instead of this answer of `/testudo/sync/` to what that peer asked.
using TamperAnswer =
    std::function<TamperedAnswer(const net::PeerId& to, const Bytes& question, Bytes answer)>;

// The first message with its length in front, which it takes out of the bytes.
inline std::optional<Bytes> take_message(ByteView& bytes) {
  const auto length = read_varint(bytes);
  if (!length || !length->has_value()) return std::nullopt;
  const auto size = static_cast<std::size_t>((*length)->value);
  if (bytes.size() < (*length)->size + size) return std::nullopt;
  Bytes message = to_bytes(bytes.subspan((*length)->size, size));
  bytes = bytes.subspan((*length)->size + size);
  return message;
}

// The same of a whole frame.
inline std::optional<TamperedFrame> take_frame(Bytes& pending) {
  ByteView rest(pending);
  auto header = take_message(rest);
  auto blob = header ? take_message(rest) : std::nullopt;
  if (!blob) return std::nullopt;
  pending = to_bytes(rest);
  return TamperedFrame{std::move(*header), std::move(*blob), {}};
}

class TamperingStream final : public net::Stream {
 public:
  TamperingStream(std::unique_ptr<net::Stream> inner, net::Scheduler& scheduler, Tamper tamper)
      : inner_(std::move(inner)), scheduler_(scheduler), tamper_(std::move(tamper)) {}
  const net::PeerId& peer() const override { return inner_->peer(); }
  const std::string& protocol() const override { return inner_->protocol(); }
  net::Task<Result<std::size_t>> read_some(MutableByteView out) override { return inner_->read_some(out); }
  net::Task<Result<void>> write(ByteView data) override {
    append(pending_, data);
    while (auto frame = take_frame(pending_)) {
      for (const TamperedFrame& changed : tamper_(peer(), protocol(), std::move(*frame))) {
        if (changed.hold > net::Duration{}) co_await net::sleep_for(scheduler_, changed.hold);
        Bytes out;
        append_varint(out, changed.header.size());
        append(out, changed.header);
        append_varint(out, changed.blob.size());
        append(out, changed.blob);
        CO_TRY_VOID(co_await inner_->write(out));
      }
    }
    co_return Result<void>{};
  }
  void close_write() override { inner_->close_write(); }
  void reset() override { inner_->reset(); }

 private:
  std::unique_ptr<net::Stream> inner_;
  net::Scheduler& scheduler_;
  Tamper tamper_;
  Bytes pending_;
};

class ListeningStream final : public net::Stream {
 public:
  ListeningStream(std::unique_ptr<net::Stream> inner, Hear hear)
      : inner_(std::move(inner)), hear_(std::move(hear)) {}
  const net::PeerId& peer() const override { return inner_->peer(); }
  const std::string& protocol() const override { return inner_->protocol(); }
  net::Task<Result<std::size_t>> read_some(MutableByteView out) override {
    auto size = co_await inner_->read_some(out);
    if (!size) co_return size;
    append(pending_, ByteView(out).first(*size));
    while (auto frame = take_frame(pending_)) hear_(peer(), protocol(), std::move(*frame));
    co_return size;
  }
  net::Task<Result<void>> write(ByteView data) override { return inner_->write(data); }
  void close_write() override { inner_->close_write(); }
  void reset() override { inner_->reset(); }

 private:
  std::unique_ptr<net::Stream> inner_;
  Hear hear_;
  Bytes pending_;
};

// The inbound stream of a service: one question after another, each with its answer.
class AnsweringStream final : public net::Stream {
 public:
  AnsweringStream(std::unique_ptr<net::Stream> inner, net::Scheduler& scheduler, TamperAnswer tamper)
      : inner_(std::move(inner)), scheduler_(scheduler), tamper_(std::move(tamper)) {}
  const net::PeerId& peer() const override { return inner_->peer(); }
  const std::string& protocol() const override { return inner_->protocol(); }
  net::Task<Result<std::size_t>> read_some(MutableByteView out) override {
    auto size = co_await inner_->read_some(out);
    if (size) append(asked_, ByteView(out).first(*size));
    co_return size;
  }
  net::Task<Result<void>> write(ByteView data) override {
    append(pending_, data);
    ByteView answers(pending_);
    ByteView questions(asked_);
    Bytes out;
    while (auto answer = take_message(answers)) {
      const auto question = take_message(questions);
      auto changed = tamper_(peer(), question.value_or(Bytes()), std::move(*answer));
      if (changed.hold > net::Duration{}) co_await net::sleep_for(scheduler_, changed.hold);
      append_varint(out, changed.bytes.size());
      append(out, changed.bytes);
    }
    pending_ = to_bytes(answers);
    asked_ = to_bytes(questions);
    auto written = co_await inner_->write(out);
    co_return written;
  }
  void close_write() override { inner_->close_write(); }
  void reset() override { inner_->reset(); }

 private:
  std::unique_ptr<net::Stream> inner_;
  net::Scheduler& scheduler_;
  TamperAnswer tamper_;
  Bytes asked_;
  Bytes pending_;
};

class TamperingHost final : public net::Host {
 public:
  // All functions may be empty.
  TamperingHost(net::Host& inner, net::Scheduler& scheduler, Tamper tamper, Hear hear = {},
                TamperAnswer answer = {})
      : Host(inner.id()),
        inner_(inner),
        scheduler_(scheduler),
        tamper_(std::move(tamper)),
        hear_(std::move(hear)),
        answer_(std::move(answer)) {}
  net::Scheduler& scheduler() override { return scheduler_; }
  crypto::Rng& rng() override { return inner_.rng(); }
  const crypto::KeyPair& identity() const override { return inner_.identity(); }
  net::PeerStore& peer_store() override { return inner_.peer_store(); }
  net::Task<Result<net::Multiaddr>> listen(net::Multiaddr address) override {
    return inner_.listen(std::move(address));
  }
  std::vector<net::Multiaddr> addresses() const override { return inner_.addresses(); }
  void set_handler(std::string protocol, net::StreamHandler handler) override {
    if (hear_ && is_ours(protocol)) {
      handler = [hear = hear_, handler = std::move(handler)](std::unique_ptr<net::Stream> stream) {
        return handler(std::make_unique<ListeningStream>(std::move(stream), hear));
      };
    }
    if (answer_ && protocol.starts_with("/testudo/sync/")) {
      handler = [&scheduler = scheduler_, answer = answer_,
                 handler = std::move(handler)](std::unique_ptr<net::Stream> stream) {
        return handler(std::make_unique<AnsweringStream>(std::move(stream), scheduler, answer));
      };
    }
    inner_.set_handler(std::move(protocol), std::move(handler));
  }
  void remove_handler(const std::string& protocol) override { inner_.remove_handler(protocol); }
  std::vector<std::string> protocols() const override { return inner_.protocols(); }
  net::Task<Result<void>> connect(net::PeerId peer, std::vector<net::Multiaddr> addresses) override {
    return inner_.connect(std::move(peer), std::move(addresses));
  }
  net::Task<Result<std::unique_ptr<net::Stream>>> open_stream(net::PeerId peer,
                                                              std::string protocol) override {
    const bool ours = is_ours(protocol);
    auto opened = co_await inner_.open_stream(std::move(peer), std::move(protocol));
    if (!opened) co_return fail(std::move(opened).error());
    if (!ours || !tamper_) co_return std::move(*opened);
    co_return std::unique_ptr<net::Stream>(
        std::make_unique<TamperingStream>(std::move(*opened), scheduler_, tamper_));
  }
  void disconnect(const net::PeerId& peer) override { inner_.disconnect(peer); }
  bool is_connected(const net::PeerId& peer) const override { return inner_.is_connected(peer); }
  std::vector<net::PeerId> connected_peers() const override { return inner_.connected_peers(); }
  void ban(const net::PeerId& peer) override { inner_.ban(peer); }
  bool is_banned(const net::PeerId& peer) const override { return inner_.is_banned(peer); }
  net::Traffic traffic() const override { return inner_.traffic(); }
  net::Traffic traffic_with(const net::PeerId& peer) const override { return inner_.traffic_with(peer); }
  void observe_connections(ConnectionObserver observer) override {
    inner_.observe_connections(std::move(observer));
  }
  void observe_identified(IdentifyObserver observer) override {
    inner_.observe_identified(std::move(observer));
  }

 private:
  static bool is_ours(const std::string& protocol) {
    return protocol.starts_with("/testudo/round/") || protocol.starts_with("/testudo/part/");
  }

  net::Host& inner_;
  net::Scheduler& scheduler_;
  Tamper tamper_;
  Hear hear_;
  TamperAnswer answer_;
};

}  // namespace testudo::training
