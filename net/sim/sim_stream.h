// SimConnection and SimStream: what is between two SimHosts. Internal to net/sim. Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/async/event.h"
#include "net/host/host.h"
#include "net/host/stream.h"
#include "net/mux/receive_window.h"

namespace testudo::net {

class SimNetwork;
class SimHost;

// One end of a stream. Bytes travel as segments; credit for what was read travels back by the rules of a
// Yamux window, so that short exchanges need none and long links fill.
struct SimStreamEnd {
  SimStreamEnd(Scheduler& scheduler, std::uint32_t initial_window)
      : window(initial_window),
        send_window(initial_window),
        opened(scheduler),
        readable(scheduler),
        writable(scheduler) {}

  std::deque<Bytes> received;
  std::size_t offset = 0;  // read of received.front()
  bool end_received = false;
  bool end_sent = false;
  std::optional<Error> broken;
  ReceiveWindow window;
  std::size_t send_window;
  Event opened;
  Event readable;
  Event writable;

  void break_with(const Error& error);
};

class SimConnection : public std::enable_shared_from_this<SimConnection> {
 public:
  SimConnection(SimNetwork& network, SimHost& dialer, SimHost& listener);
  ~SimConnection();
  SimConnection(const SimConnection&) = delete;
  SimConnection& operator=(const SimConnection&) = delete;

  // A new stream from `side`; the far end exists once the open segment has arrived.
  std::shared_ptr<SimStreamEnd> open(int side, const std::string& protocol, std::uint64_t& id);
  // The side lets go at once, the other when it hears of it.
  void close(int side, const Error& why);
  // Both sides at once.
  void break_now(const Error& why);
  void send(int side, std::size_t size, std::function<void()> deliver);

  SimHost& host(int side) const { return *hosts_[side]; }
  bool is_open(int side) const { return open_[side]; }
  std::size_t streams(int side) const;
  int side_of(const SimHost& host) const { return &host == hosts_[0] ? 0 : 1; }

 private:
  friend class SimNetwork;
  friend class SimStream;
  using EndKey = std::pair<std::uint64_t, int>;  // stream, side

  std::shared_ptr<SimStreamEnd> end(std::uint64_t id, int side) const;
  void accept(int side, std::uint64_t id, const std::string& protocol);
  std::shared_ptr<SimStreamEnd> new_end(std::uint64_t id, int side);
  Duration round_trip() const;

  SimNetwork* network_;  // nothing once the network is gone
  SimHost* hosts_[2];
  bool open_[2] = {true, true};
  TimePoint last_arrival_[2]{};
  Traffic* traffic_[2];  // each side's account with the other
  ReceiveWindow::Budget tuning_[2];
  std::uint64_t next_stream_ = 0;
  std::map<EndKey, std::weak_ptr<SimStreamEnd>> ends_;
};

class SimStream final : public Stream {
 public:
  SimStream(std::shared_ptr<SimConnection> connection, std::shared_ptr<SimStreamEnd> end, int side,
            std::uint64_t id, std::string protocol);
  ~SimStream() override;

  const PeerId& peer() const override { return peer_; }
  const std::string& protocol() const override { return protocol_; }
  Task<Result<std::size_t>> read_some(MutableByteView out) override;
  Task<Result<void>> write(ByteView data) override;
  void close_write() override;
  void reset() override;

 private:
  void to_other_end(std::size_t size, std::function<void(SimStreamEnd&)> deliver);

  std::shared_ptr<SimConnection> connection_;
  std::shared_ptr<SimStreamEnd> end_;
  int side_;
  std::uint64_t id_;
  std::string protocol_;
  PeerId peer_;
};

}  // namespace testudo::net
