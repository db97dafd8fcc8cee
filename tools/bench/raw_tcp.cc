#include "tools/bench/raw_tcp.h"

#include <thread>

#include "tools/bench/measure.h"
#include "tools/bench/sockets.h"
#include "tools/bench/worker.h"

namespace testudo::bench {
namespace {

constexpr std::size_t block = std::size_t{128} * 1024;
// The first byte of a connection says what it is for.
constexpr std::uint8_t sink_mode = 's';
constexpr std::uint8_t echo_mode = 'e';

Result<void> serve(Socket socket) {
  Bytes buffer(block);
  TRY_VOID(socket.read_all(MutableByteView(buffer).first(1)));
  const bool echo = buffer[0] == echo_mode;
  for (;;) {
    TRY(const std::size_t size, socket.read_some(buffer));
    if (size == 0) break;
    if (echo) {
      TRY_VOID(socket.write_all(ByteView(buffer).first(size)));
    }
  }
  return socket.write_all(ByteView(buffer).first(1));
}

Result<Socket> connect_for(std::uint16_t port, std::uint8_t mode) {
  TRY(Socket socket, Socket::connect(port));
  TRY_VOID(socket.write_all(ByteView(&mode, 1)));
  return socket;
}

Result<void> send_one(std::uint16_t port, std::size_t bytes) {
  TRY(Socket socket, connect_for(port, sink_mode));
  const Bytes data(block, 1);
  for (std::size_t sent = 0; sent < bytes; sent += block) {
    TRY_VOID(socket.write_all(ByteView(data).first(std::min(block, bytes - sent))));
  }
  socket.close_write();
  std::uint8_t read_all = 0;
  return socket.read_all(MutableByteView(&read_all, 1));
}

}  // namespace

Result<void> raw_server_role(tools::Output& output) {
  TRY(Listener listener, Listener::open());
  output.say({{"event", "ready"}, {"port", listener.port()}}, "");
  for (;;) {
    TRY(Socket socket, listener.accept());
    // A connection that breaks is its client's to report; the process ends with its parent.
    std::thread([](Socket own) { (void)serve(std::move(own)); }, std::move(socket)).detach();
  }
}

Result<void> raw_send(std::uint16_t port, std::size_t connections, std::size_t bytes) {
  std::vector<Result<void>> results(connections);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < connections; ++i) {
    threads.emplace_back([&results, i, port, bytes] { results[i] = send_one(port, bytes); });
  }
  threads.clear();
  for (auto& result : results) {
    TRY_VOID(std::move(result));
  }
  return {};
}

Result<std::vector<double>> raw_round_trips(std::uint16_t port, std::size_t count, std::size_t size) {
  TRY(Socket socket, connect_for(port, echo_mode));
  Bytes data(size, 1);
  std::vector<double> seconds;
  for (std::size_t i = 0; i < count; ++i) {
    const double start = wall_seconds();
    TRY_VOID(socket.write_all(data));
    TRY_VOID(socket.read_all(data));
    seconds.push_back(wall_seconds() - start);
  }
  return seconds;
}

}  // namespace testudo::bench
