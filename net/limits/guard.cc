#include "net/limits/guard.h"

#include <arpa/inet.h>

#include <algorithm>

#include "crypto/base/encoding.h"

namespace testudo::net {
namespace {
// Addresses whose arrivals are remembered: beyond it those with nothing open and a full bucket go.
constexpr std::size_t kMaxSources = 8192;
constexpr double kPenalty = 10;

constexpr std::string_view kLoopback = "loopback ";
bool is_spared(const std::string& source) { return source.empty() || source.starts_with(kLoopback); }
}  // namespace

void Guard::protect(const std::string& who, std::set<PeerId> peers) {
  if (peers.empty()) {
    protected_.erase(who);
  } else {
    protected_.insert_or_assign(who, std::move(peers));
  }
}

bool Guard::is_protected(const PeerId& peer) const {
  return std::ranges::any_of(protected_, [&](const auto& entry) { return entry.second.contains(peer); });
}

std::string Guard::source_of(const Multiaddr& address) {
  const auto endpoint = address.tcp_endpoint();
  if (!endpoint) return {};
  if (address.is_loopback()) return std::string(kLoopback) + endpoint->ip;
  if (endpoint->ip.find(':') == std::string::npos) return endpoint->ip;
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET6, endpoint->ip.c_str(), bytes.data()) != 1) return endpoint->ip;
  return to_hex(ByteView(bytes).first(8));
}

Guard::Source& Guard::source(const std::string& name, TimePoint now) {
  if (sources_.size() >= kMaxSources && !sources_.contains(name)) {
    std::erase_if(sources_, [now](auto& entry) {
      return entry.second.connections == 0 && entry.second.arrivals.full(now);
    });
  }
  return sources_.try_emplace(name, limits_[Limit::connection_rate_per_address]).first->second;
}

std::optional<Limit> Guard::admit_connection(const std::string& name, TimePoint now) {
  if (is_spared(name)) return std::nullopt;
  Source& from = source(name, now);
  if (from.connections >= limits_[Limit::connections_per_address]) return Limit::connections_per_address;
  if (from.handshakes >= limits_[Limit::handshakes_per_address]) return Limit::handshakes_per_address;
  if (from.arrivals.take(now) == Duration(0)) return std::nullopt;
  connection_refused(name, now);
  return Limit::connection_rate_per_address;
}

// Who is refused owes nothing: it may come when there is room again.
void Guard::connection_refused(const std::string& name, TimePoint now) {
  if (!is_spared(name)) source(name, now).arrivals.take(now, -1);
}

void Guard::connection_opened(const std::string& name) {
  if (name.empty()) return;
  Source& from = source(name, TimePoint{});
  ++from.connections;
  ++from.handshakes;
}

void Guard::handshake_ended(const std::string& name) {
  if (const auto from = sources_.find(name); from != sources_.end()) --from->second.handshakes;
}

void Guard::connection_closed(const std::string& name) {
  if (const auto from = sources_.find(name); from != sources_.end()) --from->second.connections;
}

void Guard::penalize(const std::string& name, TimePoint now) {
  if (is_spared(name)) return;
  TokenBucket& arrivals = source(name, now).arrivals;
  if (!arrivals.hopeless()) arrivals.take(now, kPenalty);
}

std::size_t Guard::connections_of(const std::string& name) const {
  const auto from = sources_.find(name);
  return from == sources_.end() ? 0 : from->second.connections;
}

std::string Guard::most_crowded() const {
  const auto most =
      std::ranges::max_element(sources_, {}, [](const auto& entry) { return entry.second.connections; });
  return most == sources_.end() || most->second.connections == 0 ? std::string() : most->first;
}

std::optional<Limit> Guard::admit_stream(const PeerId& peer) const {
  if (streams_ >= limits_[Limit::streams]) return Limit::streams;
  const auto held = peers_.find(peer);
  if (held != peers_.end() && held->second.streams >= limits_[Limit::streams_per_peer]) {
    return Limit::streams_per_peer;
  }
  return std::nullopt;
}

void Guard::stream_opened(const PeerId& peer) {
  ++streams_;
  ++peers_[peer].streams;
}

void Guard::stream_closed(const PeerId& peer) {
  const auto held = peers_.find(peer);
  if (held == peers_.end() || held->second.streams == 0) return;
  --streams_;
  --held->second.streams;
  drop_if_idle(held);
}

std::optional<Limit> Guard::count_unread(const PeerId& peer, std::int64_t change) {
  const auto held = peers_.try_emplace(peer).first;
  held->second.unread += static_cast<std::uint64_t>(change);
  unread_ += static_cast<std::uint64_t>(change);
  if (change > 0) {
    if (held->second.unread > limits_[Limit::unread_bytes_per_peer]) return Limit::unread_bytes_per_peer;
    if (unread_ > limits_[Limit::unread_bytes]) return Limit::unread_bytes;
  }
  drop_if_idle(held);
  return std::nullopt;
}

void Guard::drop_if_idle(std::map<PeerId, Peer>::iterator peer) {
  if (peer->second.streams == 0 && peer->second.unread == 0) peers_.erase(peer);
}

std::optional<PeerId> Guard::greediest() const {
  const auto most =
      std::ranges::max_element(peers_, {}, [](const auto& entry) { return entry.second.unread; });
  if (most == peers_.end()) return std::nullopt;
  return most->first;
}

std::uint64_t Guard::used(Limit limit) const {
  const auto most = [](const auto& map, auto member) {
    std::uint64_t result = 0;
    for (const auto& [key, value] : map) result = std::max<std::uint64_t>(result, value.*member);
    return result;
  };
  const auto most_of_source = [this](auto member) {
    std::uint64_t result = 0;
    for (const auto& [name, value] : sources_) {
      if (!is_spared(name)) result = std::max<std::uint64_t>(result, value.*member);
    }
    return result;
  };
  switch (limit) {
    case Limit::connections_per_address:
      return most_of_source(&Source::connections);
    case Limit::handshakes_per_address:
      return most_of_source(&Source::handshakes);
    case Limit::streams:
      return streams_;
    case Limit::streams_per_peer:
      return most(peers_, &Peer::streams);
    case Limit::unread_bytes:
      return unread_;
    case Limit::unread_bytes_per_peer:
      return most(peers_, &Peer::unread);
    case Limit::requests:
      return most(protocols_, &Protocol::open);
    case Limit::requests_per_peer:
      return most(protocols_, &Protocol::most_of_peer);
    default:
      return used_[static_cast<std::size_t>(limit)];
  }
}

}  // namespace testudo::net
