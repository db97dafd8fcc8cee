#include "tests/attack/raw_peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "net/negotiation/multistream.h"

namespace testudo::attack {
namespace {

sockaddr_in address_of(const std::string& ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return address;
}

crypto::KeyPair fresh_identity() {
  crypto::SystemRng rng;
  return crypto::KeyPair::generate(rng);
}

}  // namespace

RawPeer::RawPeer(const Target& target, std::size_t number, bool muxer)
    : identity_(fresh_identity()),
      upgrade_(identity_,
               {.role = crypto::NoiseRole::initiator, .expected = std::nullopt, .advertise_muxer = muxer}) {
  descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{2, 0};
  const int on = 1;
  setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!target.sources.empty()) {
    const sockaddr_in from = address_of(target.sources[number % target.sources.size()], 0);
    setsockopt(descriptor_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(descriptor_, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) close();
  }
  const sockaddr_in to = address_of(target.ip, target.port);
  if (is_open() && connect(descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) close();
}

void RawPeer::close() {
  if (is_open()) ::close(std::exchange(descriptor_, -1));
}

void RawPeer::say(ByteView bytes) {
  while (is_open() && !bytes.empty()) {
    const ssize_t sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      close();
    } else {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
}

void RawPeer::drain() {
  std::array<std::uint8_t, 65536> buffer{};
  while (is_open()) {
    const ssize_t size = recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) close();
  }
}

bool RawPeer::hear() {
  std::array<std::uint8_t, 4096> buffer{};
  const ssize_t size = is_open() ? recv(descriptor_, buffer.data(), buffer.size(), 0) : 0;
  if (size <= 0) {
    close();
    return false;
  }
  append(heard_, ByteView(buffer).first(static_cast<std::size_t>(size)));
  const auto taken = upgrade_.receive(heard_);
  if (!taken) {
    close();
    return false;
  }
  heard_.erase(heard_.begin(), heard_.begin() + static_cast<std::ptrdiff_t>(*taken));
  return true;
}

Bytes RawPeer::third_message() {
  say(opening());
  Bytes first;
  while (first.empty() && hear()) first = opening();
  say(first);
  Bytes third;
  while (third.empty() && hear()) third = opening();
  return third;
}

bool RawPeer::join() {
  say(opening());
  while (is_open() && !upgrade_.done()) {
    if (!hear()) return false;
    say(opening());
  }
  if (!is_open()) return false;
  sealer_.emplace(upgrade_.take().sealer);
  return true;
}

void RawPeer::say_sealed(ByteView plain) {
  if (!is_open()) return;
  Bytes sealed;
  if (sealer_->append_frame(sealed, plain, {})) say(sealed);
}

Bytes RawPeer::header(Type type, std::uint16_t flags, std::uint32_t stream, std::uint32_t length) {
  Bytes out{0, type};
  append_be(out, flags, 2);
  append_be(out, stream, 4);
  append_be(out, length, 4);
  return out;
}

void RawPeer::open(std::uint32_t id, const std::string& protocol, ByteView more, std::uint16_t flags) {
  Bytes payload = net::Multistream::propose(protocol).take_output();
  append(payload, more);
  Bytes both = header(data, flags, id, static_cast<std::uint32_t>(payload.size()));
  append(both, payload);
  say_sealed(both);
}

}  // namespace testudo::attack
