#include "tools/bench/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace testudo::bench {
namespace {

constexpr int backlog = 64;

tl::unexpected<Error> system_error(const char* doing) {
  return fail(ErrorCode::io, std::string("plain TCP: ") + doing + ": " + std::strerror(errno));
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Result<Socket> make_socket() {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.descriptor() < 0) return system_error("socket");
  return socket;
}

void send_at_once(const Socket& socket) {
  const int on = 1;
  (void)setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<Socket> Socket::connect(std::uint16_t port) {
  TRY(Socket socket, make_socket());
  const sockaddr_in address = loopback(port);
  if (::connect(socket.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return system_error("connect");
  }
  send_at_once(socket);
  return socket;
}

Result<void> Socket::write_all(ByteView data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(descriptor_, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return system_error("send");
    data = data.subspan(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::size_t> Socket::read_some(MutableByteView out) {
  for (;;) {
    const ssize_t size = ::recv(descriptor_, out.data(), out.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_error("recv");
    return static_cast<std::size_t>(size);
  }
}

Result<void> Socket::read_all(MutableByteView out) {
  while (!out.empty()) {
    TRY(const std::size_t size, read_some(out));
    if (size == 0) return fail(ErrorCode::closed, "plain TCP: the other side ended early");
    out = out.subspan(size);
  }
  return {};
}

void Socket::close_write() { (void)::shutdown(descriptor_, SHUT_WR); }

Result<Listener> Listener::open() {
  TRY(Socket socket, make_socket());
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.descriptor(), generic, size) != 0) return system_error("bind");
  if (::listen(socket.descriptor(), backlog) != 0) return system_error("listen");
  if (::getsockname(socket.descriptor(), generic, &size) != 0) return system_error("getsockname");
  return Listener(std::move(socket), ntohs(address.sin_port));
}

Result<Socket> Listener::accept() {
  for (;;) {
    const int descriptor = ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0 && errno == EINTR) continue;
    if (descriptor < 0) return system_error("accept");
    Socket socket(descriptor);
    send_at_once(socket);
    return socket;
  }
}

}  // namespace testudo::bench
