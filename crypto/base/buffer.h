// Buffer: bytes of a fixed size that are not cleared first, for what is large and written once right away:
// parts that arrive, encodings, training states. Memory that nobody wrote to costs nothing, so a buffer may
// be made for a size that a peer claims (within a limit) before the bytes are there. What is large lies on
// large pages where the system has them: to make and to give back small ones takes longer than most of what
// is done with the bytes. Movable; a value.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "crypto/base/bytes.h"
#include "crypto/base/check.h"

namespace testudo {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size) : bytes_(allocate(size)), size_(size), capacity_(size) {}
  Buffer(Buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }
  static Buffer copy_of(ByteView bytes) {
    Buffer buffer(bytes.size());
    if (!bytes.empty()) std::memcpy(buffer.data(), bytes.data(), bytes.size());
    return buffer;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }
  // The first bytes stay. REQUIRES: size <= capacity().
  void set_size(std::size_t size) {
    TESTUDO_CHECK(size <= capacity_);
    size_ = size;
  }
  std::uint8_t* data() { return bytes_.get(); }
  const std::uint8_t* data() const { return bytes_.get(); }
  std::uint8_t* begin() { return data(); }
  std::uint8_t* end() { return data() + size_; }
  const std::uint8_t* begin() const { return data(); }
  const std::uint8_t* end() const { return data() + size_; }

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const { std::free(bytes); }
  };
  static std::uint8_t* allocate(std::size_t size);

  std::unique_ptr<std::uint8_t[], Free> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Large bytes that several hold: queues of links, the round, the pool.
using Blob = std::shared_ptr<const Buffer>;

}  // namespace testudo
