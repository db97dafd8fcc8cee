// Peers that do not keep to the rules, on loopback beside the host that they trouble: what the tests of
// hostile peers and of limits share. Loop thread only.
#pragma once

#include <string>
#include <vector>

#include "net/services/ping.h"
#include "tests/net/network_testing.h"

namespace testudo::net::testing {

// A raw TCP connection to a host: says what it is told, and keeps what it hears.
struct RawPeer : TcpSocket::Sink {
  TcpTransport& transport;
  std::unique_ptr<TcpSocket> socket;
  Bytes heard;
  bool closed = false;

  explicit RawPeer(TcpTransport& t) : transport(t) {}
  std::size_t on_bytes(MutableByteView bytes) override {
    append(heard, bytes);
    return bytes.size();
  }
  void on_writable() override {}
  void on_closed(Error) override { closed = true; }

  void dial(LibuvScheduler& scheduler, const Multiaddr& address) {
    auto connected = wait_for(scheduler, transport.connect(address, 5s));
    REQUIRE(connected.has_value());
    socket = *std::move(connected);
    socket->start(*this);
  }
  void say(ByteView bytes) {
    if (socket->is_open()) socket->output().append(bytes);
  }
};

struct Scene {
  LibuvScheduler scheduler;
  std::vector<std::string> events;
  TcpTransport transport{scheduler};
  std::unique_ptr<NetworkHost> host;
  std::unique_ptr<NetworkHost> friend_of_it;
  std::unique_ptr<PingService> ping_service;

  explicit Scene(NetworkHostOptions options = {}) {
    options.on_event = [this](const std::string& line) { events.push_back(line); };
    host = make_host(scheduler, 1, std::move(options));
    ping_service = std::make_unique<PingService>(*host);
    friend_of_it = make_host(scheduler, 2);
    friend_of_it->peer_store().add_addresses(host->id(), host->addresses(), PeerStore::Source::user);
  }
  ~Scene() {
    ping_service.reset();
    host.reset();
    friend_of_it.reset();
  }
  bool still_works() { return wait_for(scheduler, ping(*friend_of_it, host->id())).has_value(); }
};

// A peer that is who it says it is, and then speaks Yamux as it likes.
struct RogueMember : RawPeer {
  crypto::KeyPair identity;
  Upgrade upgrade{identity, {.role = crypto::NoiseRole::initiator, .expected = std::nullopt}};
  std::optional<FrameSealer> sealer;
  std::size_t heard_sealed = 0;

  explicit RogueMember(TcpTransport& t, std::uint8_t number = 66) : RawPeer(t), identity(key(number)) {}
  std::size_t on_bytes(MutableByteView bytes) override {
    if (sealer) {
      heard_sealed += bytes.size();
      return bytes.size();
    }
    const auto taken = upgrade.receive(bytes);
    REQUIRE(taken.has_value());
    say(upgrade.take_output());
    if (upgrade.done()) sealer.emplace(upgrade.take().sealer);
    return *taken;
  }
  void join(LibuvScheduler& scheduler, Host& host) {
    dial(scheduler, host.addresses().front());
    say(upgrade.take_output());
    REQUIRE(run_until(scheduler, [&] { return host.is_connected(identity.peer_id()); }));
  }
  void say_sealed(ByteView plain) {
    Bytes out;
    REQUIRE(sealer->append_frame(out, plain, {}).has_value());
    say(out);
  }
};

inline Bytes mux_frame(std::uint8_t type, std::uint16_t flags, std::uint32_t stream, std::uint32_t length) {
  Bytes out{0, type};
  append_be(out, flags, 2);
  append_be(out, stream, 4);
  append_be(out, length, 4);
  return out;
}

}  // namespace testudo::net::testing
