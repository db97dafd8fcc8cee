#include "tests/attack/private_network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace testudo::attack {
namespace {

bool write_to(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  return static_cast<bool>(file << text << std::flush);
}

// `name` is lo or an alias of it, lo:7.
bool set_address(int descriptor, const std::string& name, const std::string& ip) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  auto& address = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
  address.sin_family = AF_INET;
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return ioctl(descriptor, SIOCSIFADDR, &request) == 0;
}

}  // namespace

PrivateNetwork enter_private_network() {
  const uid_t user = getuid();
  const gid_t group = getgid();
  if (unshare(CLONE_NEWNET) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return {};
    write_to("/proc/self/setgroups", "deny");
    if (!write_to("/proc/self/uid_map", "0 " + std::to_string(user) + " 1") ||
        !write_to("/proc/self/gid_map", "0 " + std::to_string(group) + " 1")) {
      return {};
    }
  }
  const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  PrivateNetwork network{.node = "10.66.0.1", .attackers = {}};
  bool good = set_address(descriptor, "lo", "127.0.0.1");
  ifreq up{};
  std::strcpy(up.ifr_name, "lo");
  up.ifr_flags = IFF_UP;
  good = good && ioctl(descriptor, SIOCSIFFLAGS, &up) == 0;
  good = good && set_address(descriptor, "lo:1", network.node);
  for (int i = 2; good && i < 18; ++i) {
    network.attackers.push_back("10.66.0." + std::to_string(i));
    good = set_address(descriptor, "lo:" + std::to_string(i), network.attackers.back());
  }
  close(descriptor);
  return good ? network : PrivateNetwork{};
}

}  // namespace testudo::attack
