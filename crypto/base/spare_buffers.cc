#include "crypto/base/spare_buffers.h"

#include <algorithm>

namespace testudo {

namespace {

constexpr std::size_t worth_keeping = 64 * 1024;  // less comes from pages that the process has anyway

// Parts of one round differ in size by a little; memory for much more would be wasted.
bool fits(const Buffer& buffer, std::size_t size) {
  return buffer.capacity() >= size && buffer.capacity() - size <= size / 8;
}

}  // namespace

Buffer SpareBuffers::take(std::size_t size) {
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::ranges::find_if(buffers_, [size](const Buffer& buffer) { return fits(buffer, size); });
    if (found != buffers_.end()) {
      Buffer buffer = std::move(*found);
      buffers_.erase(found);
      held_ -= buffer.capacity();
      buffer.set_size(size);
      return buffer;
    }
  }
  return Buffer(size);
}

void SpareBuffers::give(Buffer buffer) {
  if (buffer.capacity() < worth_keeping || buffer.capacity() > limit_) return;
  std::deque<Buffer> gone;  // freed without the lock
  const std::lock_guard lock(mutex_);
  held_ += buffer.capacity();
  buffers_.push_back(std::move(buffer));
  while (held_ > limit_) {
    held_ -= buffers_.front().capacity();
    gone.push_back(std::move(buffers_.front()));
    buffers_.pop_front();
  }
}

Buffer take_buffer(const std::shared_ptr<SpareBuffers>& spare, std::size_t size) {
  return spare ? spare->take(size) : Buffer(size);
}

Blob share(Buffer buffer, std::shared_ptr<SpareBuffers> spare) {
  return {new Buffer(std::move(buffer)), [spare = std::move(spare)](Buffer* gone) {
            if (spare) spare->give(std::move(*gone));
            delete gone;
          }};
}

}  // namespace testudo
