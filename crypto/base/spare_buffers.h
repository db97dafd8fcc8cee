// SpareBuffers: the memory of large buffers that went, for the next ones: fresh pages cost more than most of
// what is done with the bytes. Keeps at most `limit` bytes, those that came last. Shared by whoever makes
// buffers of about the same sizes again and again; any thread.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "crypto/base/buffer.h"

namespace testudo {

class SpareBuffers {
 public:
  explicit SpareBuffers(std::size_t limit) : limit_(limit) {}

  Buffer take(std::size_t size);
  void give(Buffer buffer);

 private:
  const std::size_t limit_;
  std::mutex mutex_;  // guards what follows
  std::deque<Buffer> buffers_;
  std::size_t held_ = 0;
};

// `spare` may be null in both.
Buffer take_buffer(const std::shared_ptr<SpareBuffers>& spare, std::size_t size);
// Its memory comes back to `spare` when nobody holds it any more.
Blob share(Buffer buffer, std::shared_ptr<SpareBuffers> spare);

}  // namespace testudo
