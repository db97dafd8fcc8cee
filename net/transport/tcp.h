// TCP on libuv: sockets that push received bytes into a sink and send from a bounded buffer, listeners, and
// connecting with a timeout. One TcpTransport serves all sockets of a host: they share its read buffer, and
// it flushes what a turn has written right before the loop sleeps. Loop thread only; the transport outlives
// its sockets and listeners.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/address/multiaddr.h"
#include "net/async/libuv_scheduler.h"
#include "net/async/task.h"

namespace testudo::net {

class TcpSocket;

class TcpTransport {
 public:
  explicit TcpTransport(LibuvScheduler& scheduler);
  TcpTransport(const TcpTransport&) = delete;
  TcpTransport& operator=(const TcpTransport&) = delete;
  ~TcpTransport();

  LibuvScheduler& scheduler() { return scheduler_; }
  // REQUIRES: address.tcp_endpoint().
  Task<Result<std::unique_ptr<TcpSocket>>> connect(Multiaddr address, Duration timeout);

 private:
  friend class TcpSocket;
  static constexpr std::size_t read_size = 256 * 1024;  // a system call's worth
  static constexpr std::size_t max_carry = 128 * 1024;  // more than the largest frame
  static constexpr std::size_t max_spare_buffers = 8;
  void flush_all();

  LibuvScheduler& scheduler_;
  uv_prepare_t* prepare_;
  std::vector<TcpSocket*> unflushed_;
  Bytes read_buffer_;
  std::vector<Bytes> spare_;  // send buffers of sockets that have nothing to send now
};

class TcpSocket {
 public:
  // More waits for the kernel to take it: enough to keep a fast link busy over a turn of the loop.
  static constexpr std::size_t high_water = 256 * 1024;

  class Sink {
   public:
    virtual ~Sink() = default;
    // How many bytes were taken; the others come again, before those that follow. May be changed in place.
    virtual std::size_t on_bytes(MutableByteView bytes) = 0;
    // There is room again.
    virtual void on_writable() = 0;
    // The end of it, once. The socket is closed.
    virtual void on_closed(Error error) = 0;
  };

  TcpSocket(TcpTransport& transport, uv_tcp_t* handle);  // takes over an open, connected handle
  TcpSocket(const TcpSocket&) = delete;
  TcpSocket& operator=(const TcpSocket&) = delete;
  ~TcpSocket();

  // Begins to read. The sink outlives the socket, or closes it first.
  void start(Sink& sink);
  // To append to. REQUIRES: is_open(). Sent before the loop sleeps.
  Bytes& output();
  bool has_room() const { return queued() < high_water; }
  std::size_t queued() const { return out_.size() + in_flight_; }
  bool is_open() const { return handle_ != nullptr; }
  // Sends what can be sent at once, and closes. The sink hears nothing.
  void close();

  const Multiaddr& remote() const { return remote_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }
  std::uint64_t bytes_received() const { return bytes_received_; }

 private:
  friend class TcpTransport;
  struct Write;
  void mark_unflushed();
  void flush();
  void write_rest(std::size_t from);
  void on_read(ssize_t size, const uv_buf_t* buffer);
  void fail_with(Error error);
  void recycle_output();

  TcpTransport& transport_;
  uv_tcp_t* handle_;
  Sink* sink_ = nullptr;
  Multiaddr remote_;
  Bytes carry_;  // received, not yet taken
  Bytes out_;
  std::size_t in_flight_ = 0;
  Write* write_ = nullptr;
  bool unflushed_ = false;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t bytes_received_ = 0;
};

class TcpListener {
 public:
  using OnAccept = std::function<void(std::unique_ptr<TcpSocket>)>;
  // Errors name the address, the cause and what to do about it.
  static Result<std::unique_ptr<TcpListener>> listen(TcpTransport& transport, const Multiaddr& address,
                                                     OnAccept on_accept);
  ~TcpListener();
  const Multiaddr& address() const { return address_; }  // with the real port

 private:
  TcpListener(TcpTransport& transport, OnAccept on_accept)
      : transport_(transport), on_accept_(std::move(on_accept)) {}
  void accept();

  TcpTransport& transport_;
  OnAccept on_accept_;
  uv_tcp_t* handle_ = nullptr;
  Multiaddr address_;
};

}  // namespace testudo::net
