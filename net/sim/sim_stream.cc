#include "net/sim/sim_stream.h"

#include <algorithm>

#include "net/mux/yamux.h"
#include "net/sim/sim_network.h"

namespace testudo::net {

namespace {
constexpr std::size_t control_size = 12;  // a Yamux header
}

void SimStreamEnd::break_with(const Error& error) {
  if (!broken) broken = error;
  opened.set();
  readable.pulse();
  writable.pulse();
}

SimConnection::SimConnection(SimNetwork& network, SimHost& dialer, SimHost& listener)
    : network_(&network), hosts_{&dialer, &listener} {
  for (auto& budget : tuning_) budget.limit = Yamux::Limits{}.tuning_budget;
  traffic_[0] = &dialer.traffic_with_[listener.id()];
  traffic_[1] = &listener.traffic_with_[dialer.id()];
  network.connections_.insert(this);
}

SimConnection::~SimConnection() {
  if (network_ != nullptr) network_->connections_.erase(this);
}

std::shared_ptr<SimStreamEnd> SimConnection::end(std::uint64_t id, int side) const {
  auto it = ends_.find({id, side});
  return it == ends_.end() ? nullptr : it->second.lock();
}

std::size_t SimConnection::streams(int side) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(ends_, [side](const auto& entry) { return entry.first.second == side; }));
}

std::shared_ptr<SimStreamEnd> SimConnection::new_end(std::uint64_t id, int side) {
  const std::uint32_t initial = std::min(Yamux::initial_window, network_->options().stream_window);
  auto made = std::make_shared<SimStreamEnd>(network_->scheduler(), initial);
  ends_[{id, side}] = made;
  return made;
}

Duration SimConnection::round_trip() const {
  return 2 * (hosts_[0]->options_.latency + hosts_[1]->options_.latency);
}

void SimConnection::send(int side, std::size_t size, std::function<void()> deliver) {
  if (network_ == nullptr) return;
  network_->transmit(shared_from_this(), side, size, std::move(deliver));
}

std::shared_ptr<SimStreamEnd> SimConnection::open(int side, const std::string& protocol, std::uint64_t& id) {
  id = next_stream_++;
  auto local = new_end(id, side);
  send(side, control_size + protocol.size(),
       [this, side, stream = id, protocol] { accept(1 - side, stream, protocol); });
  return local;
}

void SimConnection::accept(int side, std::uint64_t id, const std::string& protocol) {
  SimHost& host = *hosts_[side];
  auto handler = host.handlers_.find(protocol);
  if (handler == host.handlers_.end()) {
    const Error error{ErrorCode::not_found, "peer " + host.id().to_text() + " does not speak " + protocol};
    send(side, control_size, [this, id, side, error] {
      if (auto opener = end(id, 1 - side)) opener->break_with(error);
    });
    return;
  }
  auto local = new_end(id, side);
  local->opened.set();
  send(side, control_size + protocol.size(), [this, id, side] {
    if (auto opener = end(id, 1 - side)) opener->opened.set();
  });
  auto stream = std::make_unique<SimStream>(shared_from_this(), std::move(local), side, id, protocol);
  host.tasks_.spawn(handler->second(std::move(stream)));
}

void SimConnection::close(int side, const Error& why) {
  if (!open_[side]) return;
  open_[side] = false;
  for (auto& [key, weak] : ends_) {
    if (key.second != side) continue;
    if (auto local = weak.lock()) local->break_with(why);
  }
  if (network_ == nullptr) return;
  SimHost& here = *hosts_[side];
  const SimHost& there = *hosts_[1 - side];
  here.lost_connection(there.id(), this);
  const Error told{ErrorCode::unreachable, "connection closed by " + here.id().to_text()};
  send(side, control_size, [this, side, told] { close(1 - side, told); });
}

void SimConnection::break_now(const Error& why) {
  for (int side : {0, 1}) close(side, why);
}

SimStream::SimStream(std::shared_ptr<SimConnection> connection, std::shared_ptr<SimStreamEnd> end, int side,
                     std::uint64_t id, std::string protocol)
    : connection_(std::move(connection)),
      end_(std::move(end)),
      side_(side),
      id_(id),
      protocol_(std::move(protocol)),
      peer_(connection_->host(1 - side).id()) {}

SimStream::~SimStream() {
  if (!end_->end_sent || !end_->end_received) reset();
  end_->window.give_back(connection_->tuning_[side_]);
  connection_->ends_.erase({id_, side_});
}

void SimStream::to_other_end(std::size_t size, std::function<void(SimStreamEnd&)> deliver) {
  SimConnection* connection = connection_.get();  // the segment keeps it alive
  connection->send(side_, size, [connection, id = id_, to = 1 - side_, deliver = std::move(deliver)] {
    if (auto other = connection->end(id, to)) deliver(*other);
  });
}

Task<Result<std::size_t>> SimStream::read_some(MutableByteView out) {
  TESTUDO_CHECK(!out.empty());
  while (end_->received.empty() && !end_->end_received && !end_->broken) co_await end_->readable.wait();
  // What the peer finished writing can still be read after it reset its own reading.
  if (end_->broken && !end_->end_received) co_return fail(*end_->broken);
  if (end_->received.empty()) co_return std::size_t{0};
  std::size_t done = 0;
  while (done < out.size() && !end_->received.empty()) {
    const Bytes& front = end_->received.front();
    const std::size_t count = std::min(out.size() - done, front.size() - end_->offset);
    std::copy_n(front.begin() + static_cast<std::ptrdiff_t>(end_->offset), count,
                out.begin() + static_cast<std::ptrdiff_t>(done));
    done += count;
    end_->offset += count;
    if (end_->offset == front.size()) {
      end_->received.pop_front();
      end_->offset = 0;
    }
  }
  if (connection_->network_ == nullptr) co_return done;
  const SimNetwork& network = *connection_->network_;
  const std::uint32_t grant =
      end_->window.read(network.scheduler_.now(), static_cast<std::uint32_t>(done), connection_->round_trip(),
                        network.options().stream_window, connection_->tuning_[side_]);
  if (grant > 0) {
    to_other_end(control_size, [grant](SimStreamEnd& other) {
      other.send_window += grant;
      other.writable.pulse();
    });
  }
  co_return done;
}

Task<Result<void>> SimStream::write(ByteView data) {
  if (end_->end_sent) co_return fail(ErrorCode::closed, "write after close_write");
  while (!data.empty()) {
    if (end_->broken) co_return fail(*end_->broken);
    if (connection_->network_ == nullptr) co_return fail(ErrorCode::closed, "the network is gone");
    const SimOptions& options = connection_->network_->options();
    if (end_->send_window == 0) {
      co_await end_->writable.wait();
      continue;
    }
    const std::size_t count = std::min({data.size(), options.segment_size, end_->send_window});
    end_->send_window -= count;
    auto segment = std::make_shared<Bytes>(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(count));
    to_other_end(count, [segment](SimStreamEnd& other) {
      if (other.broken) return;
      other.window.arrived(static_cast<std::uint32_t>(segment->size()));
      other.received.push_back(std::move(*segment));
      other.readable.pulse();
    });
    data = data.subspan(count);
  }
  if (end_->broken) co_return fail(*end_->broken);
  co_return Result<void>{};
}

void SimStream::close_write() {
  if (end_->end_sent || end_->broken) return;
  end_->end_sent = true;
  to_other_end(control_size, [](SimStreamEnd& other) {
    other.end_received = true;
    other.readable.pulse();
  });
}

void SimStream::reset() {
  if (end_->broken) return;
  if (connection_->network_ != nullptr) {  // else the other host is gone, too
    const Error told{ErrorCode::closed, "stream reset by " + connection_->host(side_).id().to_text()};
    to_other_end(control_size, [told](SimStreamEnd& other) { other.break_with(told); });
  }
  end_->end_received = false;
  end_->break_with(Error{ErrorCode::closed, "stream was reset"});
}

}  // namespace testudo::net
