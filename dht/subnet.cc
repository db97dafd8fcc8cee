#include "dht/subnet.h"

namespace testudo::dht {

namespace {
bool is_private_ip4(const Bytes& ip) {
  return ip[0] == 10 || ip[0] == 127 || ip[0] == 0 || (ip[0] == 172 && ip[1] >= 16 && ip[1] < 32) ||
         (ip[0] == 192 && ip[1] == 168) || (ip[0] == 169 && ip[1] == 254) ||
         (ip[0] == 100 && ip[1] >= 64 && ip[1] < 128);
}
bool is_private_ip6(const Bytes& ip) {
  return (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || ip[0] == 0;
}
}  // namespace

std::string subnet_of(const std::vector<net::Multiaddr>& addresses) {
  using Protocol = net::Multiaddr::Protocol;
  for (const auto& address : addresses) {
    if (address.empty()) continue;
    const auto& first = address.components().front();
    if (first.protocol == Protocol::ip4 && first.value.size() == 4 && !is_private_ip4(first.value)) {
      return std::string(as_text(ByteView(first.value).first(3)));
    }
    if (first.protocol == Protocol::ip6 && first.value.size() == 16 && !is_private_ip6(first.value)) {
      return std::string(as_text(ByteView(first.value).first(6)));
    }
  }
  return {};
}

}  // namespace testudo::dht
