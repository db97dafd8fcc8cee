#include "net/transport/resolve.h"

#include <netdb.h>

#include <array>

#include "net/async/combinators.h"

namespace testudo::net {
namespace {

constexpr std::size_t kMaxAddresses = 4;

Result<std::vector<std::string>> look_up(const std::string& name, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int status = getaddrinfo(name.c_str(), nullptr, &hints, &list); status != 0) {
    return fail(ErrorCode::unreachable, "cannot resolve " + name + ": " + gai_strerror(status));
  }
  std::vector<std::string> ips;
  for (const addrinfo* entry = list; entry != nullptr && ips.size() < kMaxAddresses; entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      ips.emplace_back(text.data());
    }
  }
  freeaddrinfo(list);
  return ips;
}

}  // namespace

Task<Result<std::vector<Multiaddr>>> resolve(Scheduler& scheduler, Multiaddr address) {
  using Protocol = Multiaddr::Protocol;
  const auto& parts = address.components();
  const Protocol first = parts.empty() ? Protocol::ip4 : parts.front().protocol;
  if (first != Protocol::dns && first != Protocol::dns4 && first != Protocol::dns6) {
    co_return std::vector<Multiaddr>{std::move(address)};
  }
  if (parts.size() < 2 || parts[1].protocol != Protocol::tcp) {
    co_return fail(ErrorCode::invalid_argument, address.to_text() + ": only TCP is dialled");
  }
  const int family = first == Protocol::dns4 ? AF_INET : first == Protocol::dns6 ? AF_INET6 : AF_UNSPEC;
  const auto port = static_cast<std::uint16_t>(read_be(parts[1].value));
  auto ips = co_await offload(scheduler, [name = std::string(as_text(parts.front().value)), family] {
    return look_up(name, family);
  });
  if (!ips) co_return fail(std::move(ips).error());
  std::vector<Multiaddr> resolved;
  for (const auto& ip : *ips) {
    auto tcp = Multiaddr::tcp(ip, port);
    if (tcp) resolved.push_back(*std::move(tcp));
  }
  if (resolved.empty()) co_return fail(ErrorCode::unreachable, address.to_text() + " has no address");
  co_return resolved;
}

}  // namespace testudo::net
