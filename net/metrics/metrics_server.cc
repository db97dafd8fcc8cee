#include "net/metrics/metrics_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <vector>

namespace testudo::net {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kMaxRequest = 2048;
constexpr auto kDeadline = std::chrono::seconds(2);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Result<SocketAddress> parse(const std::string& text) {
  const auto malformed = [&text] {
    return fail(ErrorCode::invalid_argument,
                "metrics address " + text + ": write it as 127.0.0.1:9464 or [::1]:9464");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return malformed();
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return malformed();
  std::string host = text.substr(0, colon);
  SocketAddress address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    address.size = sizeof six;
    if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six.sin6_addr) != 1) return malformed();
  } else {
    auto& four = reinterpret_cast<sockaddr_in&>(address.storage);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    address.size = sizeof four;
    if (inet_pton(AF_INET, host.c_str(), &four.sin_addr) != 1) return malformed();
  }
  return address;
}

std::string response(const std::string& status, const std::string& type, const std::string& body,
                     const std::string& more = {}) {
  return "HTTP/1.1 " + status + "\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n" + more + "\r\n" +
         body;
}

}  // namespace

struct MetricsServer::Client {
  int descriptor = -1;
  Clock::time_point deadline;
  std::string request;
  std::string answer;
  std::size_t sent = 0;
};

Result<void> MetricsServer::check_address(const std::string& address) {
  TRY_VOID(parse(address));
  return {};
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& address) {
  TRY(SocketAddress bound, parse(address));
  const int listener = socket(bound.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  std::array<int, 2> wake{-1, -1};
  const auto failed = [&](const char* what) {
    const std::string why = std::strerror(errno);
    for (const int descriptor : {listener, wake[0], wake[1]}) {
      if (descriptor >= 0) close(descriptor);
    }
    return fail(ErrorCode::io, "metrics on " + address + ": " + what + ": " + why);
  };
  if (listener < 0) return failed("socket");
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, bound.get(), bound.size) != 0) return failed("cannot bind");
  if (listen(listener, static_cast<int>(kMaxClients)) != 0) return failed("cannot listen");
  if (getsockname(listener, bound.get(), &bound.size) != 0) return failed("no address");
  if (pipe2(wake.data(), O_CLOEXEC | O_NONBLOCK) != 0) return failed("pipe");
  const auto port = bound.storage.ss_family == AF_INET6
                        ? reinterpret_cast<const sockaddr_in6&>(bound.storage).sin6_port
                        : reinterpret_cast<const sockaddr_in&>(bound.storage).sin_port;
  std::string url =
      "http://" + address.substr(0, address.rfind(':')) + ":" + std::to_string(ntohs(port)) + "/metrics";
  return std::unique_ptr<MetricsServer>(new MetricsServer(listener, wake[0], wake[1], std::move(url)));
}

MetricsServer::MetricsServer(int listener, int wake_read, int wake_write, std::string url)
    : listener_(listener), wake_read_(wake_read), wake_write_(wake_write), url_(std::move(url)) {
  thread_ = std::thread([this] { run(); });
}

MetricsServer::~MetricsServer() {
  close(wake_write_);
  thread_.join();
  close(wake_read_);
  close(listener_);
}

void MetricsServer::publish(std::string text) {
  const std::lock_guard lock(mutex_);
  text_ = std::move(text);
}

std::string MetricsServer::answer(const std::string& request) {
  const std::string line = request.substr(0, request.find("\r\n"));
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string::npos ? first : line.find(' ', first + 1);
  if (second == std::string::npos || !line.substr(second + 1).starts_with("HTTP/1.")) {
    return response("400 Bad Request", "text/plain", "malformed request\n");
  }
  if (line.substr(0, first) != "GET") {
    return response("405 Method Not Allowed", "text/plain", "only GET is answered\n", "Allow: GET\r\n");
  }
  if (line.substr(first + 1, second - first - 1) != "/metrics") {
    return response("404 Not Found", "text/plain", "only /metrics is here\n");
  }
  const std::lock_guard lock(mutex_);
  return response("200 OK", "text/plain; version=0.0.4; charset=utf-8", text_);
}

// Reads or writes what goes at once; false when it is done with.
bool MetricsServer::serve(Client& client) {
  if (client.answer.empty()) {
    std::array<char, kMaxRequest> buffer{};
    const ssize_t size = recv(client.descriptor, buffer.data(), buffer.size() - client.request.size(), 0);
    if (size == 0) return false;
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    client.request.append(buffer.data(), static_cast<std::size_t>(size));
    if (client.request.find("\r\n\r\n") != std::string::npos) {
      client.answer = answer(client.request);
    } else if (client.request.size() >= kMaxRequest) {
      client.answer = response("431 Request Header Fields Too Large", "text/plain", "request too large\n");
    } else {
      return true;
    }
  }
  const ssize_t sent = send(client.descriptor, client.answer.data() + client.sent,
                            client.answer.size() - client.sent, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  client.sent += static_cast<std::size_t>(sent);
  if (client.sent < client.answer.size()) return true;
  shutdown(client.descriptor, SHUT_WR);
  return false;
}

void MetricsServer::run() {
  std::vector<Client> clients;
  std::vector<pollfd> polled;
  while (true) {
    polled.assign({{wake_read_, POLLIN, 0}, {listener_, POLLIN, 0}});
    for (const Client& client : clients) {
      polled.push_back({client.descriptor, static_cast<short>(client.answer.empty() ? POLLIN : POLLOUT), 0});
    }
    if (poll(polled.data(), polled.size(), clients.empty() ? -1 : 100) < 0 && errno != EINTR) break;
    if (polled[0].revents != 0) break;
    const auto now = Clock::now();
    for (std::size_t i = clients.size(); i-- > 0;) {
      const bool goes_on = polled[i + 2].revents == 0 || serve(clients[i]);
      if (goes_on && now < clients[i].deadline) continue;
      close(clients[i].descriptor);
      clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if ((polled[1].revents & POLLIN) == 0) continue;
    const int accepted = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) {
      if (errno == EMFILE || errno == ENFILE) poll(nullptr, 0, 100);  // it stays readable: no busy waiting
      continue;
    }
    if (clients.size() >= kMaxClients) {
      close(accepted);
    } else {
      clients.push_back({.descriptor = accepted, .deadline = now + kDeadline, .request = {}, .answer = {}});
    }
  }
  for (const Client& client : clients) close(client.descriptor);
}

}  // namespace testudo::net
