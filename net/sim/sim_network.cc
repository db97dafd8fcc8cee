#include "net/sim/sim_network.h"

#include <algorithm>
#include <cmath>

#include "net/sim/sim_stream.h"

namespace testudo::net {

namespace {
constexpr std::size_t packet_size = 1400;
constexpr int max_retransmissions = 8;

std::string endpoint(const std::string& ip, std::uint16_t port) { return ip + ":" + std::to_string(port); }

Duration transmission_time(std::size_t size, double bytes_per_second) {
  return from_seconds(static_cast<double>(size) / bytes_per_second);
}
}  // namespace

SimNetwork::SimNetwork(SimScheduler& scheduler, SimOptions options)
    : scheduler_(scheduler), options_(options), rng_(options.seed) {}

SimNetwork::~SimNetwork() {
  // Streams that their owners keep a little longer must find out that there is nobody to tell.
  for (auto& host : hosts_) host->tasks_.cancel_all();
  for (SimConnection* connection : connections_) connection->network_ = nullptr;
  parked_.clear();
  events_.clear();
}

SimHost& SimNetwork::add_host(SimHostOptions options) {
  auto identity = crypto::KeyPair::generate(rng_);
  return add_host(std::move(options), std::move(identity));
}

SimHost& SimNetwork::add_host(SimHostOptions options, crypto::KeyPair identity) {
  const std::size_t index = hosts_.size();
  if (options.ip.empty()) {
    const std::size_t number = index + 1;
    options.ip = "10." + std::to_string(number >> 16 & 255) + "." + std::to_string(number >> 8 & 255) + "." +
                 std::to_string(number & 255);
  }
  while (options.listening && by_endpoint_.contains(endpoint(options.ip, options.port))) ++options.port;
  Digest seed;
  rng_.fill(seed);
  hosts_.push_back(std::make_unique<SimHost>(*this, index, std::move(options), std::move(identity),
                                             crypto::SeededRng(seed)));
  SimHost& host = *hosts_.back();
  if (host.options_.listening) by_endpoint_[endpoint(host.options_.ip, host.options_.port)] = &host;
  return host;
}

void SimNetwork::crash(SimHost& host) {
  if (!host.up_) return;
  host.up_ = false;
  const Error why{ErrorCode::unreachable, "host crashed"};
  auto connections = host.connections_;
  for (auto& [peer, connection] : connections) connection->close(connection->side_of(host), why);
  host.handlers_.clear();
  host.connection_observers_.clear();
  host.identify_observers_.clear();
  host.tasks_.cancel_all();
  for (auto& [peer, dial] : host.dials_) host.abandon(*dial);
  host.dials_.clear();
}

void SimNetwork::restart(SimHost& host) { host.up_ = true; }

void SimNetwork::partition(const std::vector<std::vector<SimHost*>>& groups, Across across) {
  across_ = across;
  for (auto& host : hosts_) host->group_ = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (SimHost* host : groups[i]) host->group_ = i + 1;
  }
  if (across == Across::stalls) return;
  const Error why{ErrorCode::unreachable, "network partition"};
  for (auto& host : hosts_) {
    auto connections = host->connections_;
    for (auto& [peer, connection] : connections) {
      if (!reachable(connection->host(0), connection->host(1))) connection->break_now(why);
    }
  }
}

void SimNetwork::heal() {
  for (auto& host : hosts_) host->group_ = 0;
  std::deque<Parked> parked;
  parked.swap(parked_);
  for (auto& segment : parked) {
    transmit(std::move(segment.connection), segment.from, segment.size, std::move(segment.deliver));
  }
}

bool SimNetwork::reachable(const SimHost& a, const SimHost& b) const { return a.group_ == b.group_; }

SimHost* SimNetwork::find(const std::string& ip, std::uint16_t port) const {
  auto it = by_endpoint_.find(endpoint(ip, port));
  return it == by_endpoint_.end() ? nullptr : it->second;
}

void SimNetwork::schedule(TimePoint when, std::function<void()> function) {
  events_.push_back({when, next_order_++, std::move(function)});
  std::push_heap(events_.begin(), events_.end());
  if (!running_) arm();
}

void SimNetwork::arm() {
  if (events_.empty()) return;
  if (armed_for_ && *armed_for_ <= events_.front().when) return;
  armed_for_ = events_.front().when;
  timer_ = scheduler_.at(*armed_for_, [this] { run_due(); });
}

void SimNetwork::run_due() {
  armed_for_.reset();
  running_ = true;
  // Only what was there before: what these events cause comes in a turn of its own.
  const std::uint64_t first_new = next_order_;
  while (!events_.empty() && events_.front().when <= scheduler_.now() && events_.front().order < first_new) {
    std::pop_heap(events_.begin(), events_.end());
    Event event = std::move(events_.back());
    events_.pop_back();
    event.function();
  }
  running_ = false;
  arm();
}

void SimNetwork::note(std::uint64_t value) {
  trace_ = (trace_ ^ value) * 0x100000001b3;
  trace_ ^= trace_ >> 29;
}

Duration SimNetwork::one_way(const SimHost& from, const SimHost& to) {
  Duration way = from.options_.latency + to.options_.latency;
  if (options_.jitter > 0ns) {
    way += Duration(
        static_cast<Duration::rep>(rng_.below(static_cast<std::uint64_t>(options_.jitter.count()) + 1)));
  }
  return way;
}

Duration SimNetwork::loss_delay(std::size_t size) {
  if (options_.loss <= 0) return 0ns;
  const double packets = static_cast<double>(size / packet_size + 1);
  const double any_lost = 1.0 - std::pow(1.0 - options_.loss, packets);
  Duration delay = 0ns;
  Duration timeout = options_.retransmission_delay;
  double probability = any_lost;
  for (int i = 0; i < max_retransmissions && rng_.unit() < probability; ++i) {
    delay += timeout;
    timeout *= 2;
    probability = options_.loss;  // the retransmission is one packet
  }
  return delay;
}

void SimNetwork::transmit(std::shared_ptr<SimConnection> connection, int from_side, std::size_t size,
                          std::function<void()> deliver) {
  SimHost& from = connection->host(from_side);
  SimHost& to = connection->host(1 - from_side);
  if (!reachable(from, to)) {
    if (across_ == Across::stalls) {
      parked_.push_back({std::move(connection), from_side, size, std::move(deliver)});
    }
    return;
  }
  TimePoint when = scheduler_.now();
  if (from.options_.upload > 0) {
    from.upload_free_ = std::max(when, from.upload_free_) + transmission_time(size, from.options_.upload);
    when = from.upload_free_;
  }
  when += one_way(from, to) + loss_delay(size);
  when = std::max(when, connection->last_arrival_[from_side]);
  connection->last_arrival_[from_side] = when;
  from.traffic_.bytes_sent += size;
  connection->traffic_[from_side]->bytes_sent += size;
  ++segments_;
  note(static_cast<std::uint64_t>(when.time_since_epoch().count()));
  note(from.index_ << 40 ^ to.index_ << 20 ^ size);

  auto arrive = [connection = std::move(connection), to_side = 1 - from_side, size,
                 deliver = std::move(deliver)] {
    if (!connection->is_open(to_side)) return;
    connection->host(to_side).traffic_.bytes_received += size;
    connection->traffic_[to_side]->bytes_received += size;
    deliver();
  };
  if (to.options_.download <= 0) {
    schedule(when, std::move(arrive));
    return;
  }
  // The downlink is shared in the order of arrival, which is known only then.
  schedule(when, [this, &to, size, arrive = std::move(arrive)]() mutable {
    to.download_free_ =
        std::max(scheduler_.now(), to.download_free_) + transmission_time(size, to.options_.download);
    schedule(to.download_free_, std::move(arrive));
  });
}

void SimNetwork::establish(SimHost& dialer, SimHost& listener) {
  // The listener may still hold a connection that the dialer has already left.
  if (auto it = listener.connections_.find(dialer.id()); it != listener.connections_.end()) {
    auto old = it->second;
    old->close(old->side_of(listener), Error{ErrorCode::unreachable, "replaced by a newer connection"});
  }
  auto connection = std::make_shared<SimConnection>(*this, dialer, listener);
  note(dialer.index_ << 32 | listener.index_);
  dialer.add_connection(listener.id(), connection);
  listener.add_connection(dialer.id(), connection);
  dialer.identified(listener);
  listener.identified(dialer);
}

}  // namespace testudo::net
