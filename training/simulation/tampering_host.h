// TamperingHost: a host that changes, drops or doubles the round's frames on their way out: how a simulated
// member lies on the wire while everything else of it is production code. Loop thread only; the host below
// outlives it.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "crypto/base/encoding.h"
#include "net/host/host.h"

namespace testudo::training {

struct TamperedFrame {
  Bytes header;
  Bytes blob;
};
// What goes out instead of this frame to that peer; nothing drops it.
using Tamper = std::function<std::optional<TamperedFrame>(const net::PeerId& to, const std::string& protocol,
                                                          TamperedFrame frame)>;

class TamperingStream final : public net::Stream {
 public:
  TamperingStream(std::unique_ptr<net::Stream> inner, Tamper tamper)
      : inner_(std::move(inner)), tamper_(std::move(tamper)) {}
  const net::PeerId& peer() const override { return inner_->peer(); }
  const std::string& protocol() const override { return inner_->protocol(); }
  net::Task<Result<std::size_t>> read_some(MutableByteView out) override { return inner_->read_some(out); }
  net::Task<Result<void>> write(ByteView data) override {
    append(pending_, data);
    Bytes out;
    while (auto frame = take_frame()) {
      auto changed = tamper_(peer(), protocol(), std::move(*frame));
      if (!changed) continue;
      append_varint(out, changed->header.size());
      append(out, changed->header);
      append_varint(out, changed->blob.size());
      append(out, changed->blob);
    }
    if (out.empty()) co_return Result<void>{};
    auto written = co_await inner_->write(out);
    co_return written;
  }
  void close_write() override { inner_->close_write(); }
  void reset() override { inner_->reset(); }

 private:
  std::optional<TamperedFrame> take_frame() {
    ByteView rest(pending_);
    TamperedFrame frame;
    for (Bytes* field : {&frame.header, &frame.blob}) {
      const auto length = read_varint(rest);
      if (!length || !length->has_value()) return std::nullopt;
      const auto size = static_cast<std::size_t>((*length)->value);
      if (rest.size() < (*length)->size + size) return std::nullopt;
      *field = to_bytes(rest.subspan((*length)->size, size));
      rest = rest.subspan((*length)->size + size);
    }
    pending_ = to_bytes(rest);
    return frame;
  }

  std::unique_ptr<net::Stream> inner_;
  Tamper tamper_;
  Bytes pending_;
};

class TamperingHost final : public net::Host {
 public:
  TamperingHost(net::Host& inner, net::Scheduler& scheduler, Tamper tamper)
      : Host(inner.id()), inner_(inner), scheduler_(scheduler), tamper_(std::move(tamper)) {}
  net::Scheduler& scheduler() override { return scheduler_; }
  crypto::Rng& rng() override { return inner_.rng(); }
  const crypto::KeyPair& identity() const override { return inner_.identity(); }
  net::PeerStore& peer_store() override { return inner_.peer_store(); }
  net::Task<Result<net::Multiaddr>> listen(net::Multiaddr address) override {
    return inner_.listen(std::move(address));
  }
  std::vector<net::Multiaddr> addresses() const override { return inner_.addresses(); }
  void set_handler(std::string protocol, net::StreamHandler handler) override {
    inner_.set_handler(std::move(protocol), std::move(handler));
  }
  void remove_handler(const std::string& protocol) override { inner_.remove_handler(protocol); }
  std::vector<std::string> protocols() const override { return inner_.protocols(); }
  net::Task<Result<void>> connect(net::PeerId peer, std::vector<net::Multiaddr> addresses) override {
    return inner_.connect(std::move(peer), std::move(addresses));
  }
  net::Task<Result<std::unique_ptr<net::Stream>>> open_stream(net::PeerId peer,
                                                              std::string protocol) override {
    const bool ours = protocol.starts_with("/testudo/round/") || protocol.starts_with("/testudo/part/");
    auto opened = co_await inner_.open_stream(std::move(peer), std::move(protocol));
    if (!opened) co_return fail(std::move(opened).error());
    if (ours)
      co_return std::unique_ptr<net::Stream>(std::make_unique<TamperingStream>(std::move(*opened), tamper_));
    co_return std::move(*opened);
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
  net::Host& inner_;
  net::Scheduler& scheduler_;
  Tamper tamper_;
};

}  // namespace testudo::training
