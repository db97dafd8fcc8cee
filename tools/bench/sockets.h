// Plain blocking TCP over loopback, for the baselines: nothing but the system calls. A socket has one owner;
// one thread may read while another writes.
#pragma once

#include <cstdint>
#include <utility>

#include "crypto/base/bytes.h"
#include "crypto/base/result.h"

namespace testudo::bench {

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();

  static Result<Socket> connect(std::uint16_t port);

  Result<void> write_all(ByteView data);
  // 0 at the end.
  Result<std::size_t> read_some(MutableByteView out);
  Result<void> read_all(MutableByteView out);
  void close_write();
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// On a free port of 127.0.0.1.
class Listener {
 public:
  static Result<Listener> open();
  std::uint16_t port() const { return port_; }
  Result<Socket> accept();

 private:
  Listener(Socket socket, std::uint16_t port) : socket_(std::move(socket)), port_(port) {}
  Socket socket_;
  std::uint16_t port_;
};

}  // namespace testudo::bench
