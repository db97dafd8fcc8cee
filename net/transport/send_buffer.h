// SendBuffer: bytes that wait for the kernel, in one piece. It grows without being zeroed, so that a cipher
// writes straight into it. One owner, one thread; movable.
#pragma once

#include <cstring>
#include <memory>
#include <utility>

#include "crypto/base/bytes.h"
#include "crypto/base/check.h"

namespace testudo::net {

class SendBuffer {
 public:
  SendBuffer() = default;
  SendBuffer(SendBuffer&& other) noexcept
      : storage_(std::move(other.storage_)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  SendBuffer& operator=(SendBuffer&& other) noexcept {
    storage_ = std::move(other.storage_);
    capacity_ = std::exchange(other.capacity_, 0);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  // `size` more bytes at the end, with anything in them: the caller writes them all, or drops them.
  MutableByteView extend(std::size_t size) {
    if (size > capacity_ - size_) grow(size_ + size);
    size_ += size;
    return {storage_.get() + size_ - size, size};
  }
  void drop_last(std::size_t size) {
    TESTUDO_CHECK(size <= size_);
    size_ -= size;
  }
  void append(ByteView bytes) {
    if (!bytes.empty()) std::memcpy(extend(bytes.size()).data(), bytes.data(), bytes.size());
  }

  std::uint8_t* data() { return storage_.get(); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }
  void clear() { size_ = 0; }  // keeps its memory

 private:
  void grow(std::size_t needed) {
    const std::size_t capacity = std::max(needed, 2 * capacity_);
    auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), storage_.get(), size_);
    storage_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint8_t[]> storage_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

}  // namespace testudo::net
