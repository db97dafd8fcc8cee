#include "crypto/base/spare_buffers.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace testudo;

namespace {
constexpr std::size_t large = 256 * 1024;
}

TEST_CASE("memory that went comes back, for sizes a little smaller only") {
  SpareBuffers spare(4 * large);
  Buffer first = spare.take(large);
  const std::uint8_t* const memory = first.data();
  spare.give(std::move(first));
  CHECK(spare.take(large + 1).data() != memory);
  CHECK(spare.take(large / 2).data() != memory);
  Buffer again = spare.take(large - 100);
  CHECK(again.data() == memory);
  CHECK(again.size() == large - 100);
  CHECK(again.capacity() == large);
  spare.give(std::move(again));
  CHECK(spare.take(large).data() == memory);  // no smaller than it was
  CHECK(again.empty());                       // NOLINT(bugprone-use-after-move): what move leaves behind
}

TEST_CASE("no more is kept than the limit, the oldest goes first") {
  SpareBuffers spare(2 * large);
  std::vector<Buffer> buffers;
  std::vector<const std::uint8_t*> memory;
  for (int i = 0; i < 3; ++i) {
    buffers.push_back(spare.take(large));
    memory.push_back(buffers.back().data());
    buffers.back().data()[0] = static_cast<std::uint8_t>(i);
  }
  for (Buffer& buffer : buffers) spare.give(std::move(buffer));
  Buffer second = spare.take(large);
  Buffer third = spare.take(large);
  CHECK(second.data() == memory[1]);
  CHECK(third.data() == memory[2]);
  spare.give(Buffer(3 * large));  // larger than all that may be kept
  CHECK(spare.take(3 * large).capacity() == 3 * large);
}

TEST_CASE("a blob gives its memory back when its last holder lets go, on whatever thread") {
  const auto spare = std::make_shared<SpareBuffers>(4 * large);
  Buffer buffer = take_buffer(spare, large);
  const std::uint8_t* const memory = buffer.data();
  Blob blob = share(std::move(buffer), spare);
  {
    const Blob other = blob;
    blob = nullptr;
    CHECK(take_buffer(spare, large).data() != memory);
  }
  CHECK(spare->take(large).data() == memory);
  blob = share(Buffer(large), spare);
  std::thread([last = std::move(blob)]() mutable { last = nullptr; }).join();
  CHECK(spare->take(large).size() == large);
  CHECK(take_buffer(nullptr, 3).size() == 3);
  CHECK(share(Buffer(3), nullptr)->size() == 3);
}

TEST_CASE("a large buffer holds what is written to its first and last byte") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, (std::size_t{2} << 20) - 1,
                                 std::size_t{2} << 20, (std::size_t{5} << 20) + 3}) {
    Buffer buffer(size);
    CHECK(buffer.size() == size);
    if (size == 0) continue;
    buffer.data()[0] = 1;
    buffer.data()[size - 1] = 2;
    CHECK(buffer.data()[size - 1] == 2);
    const Buffer copy = Buffer::copy_of(buffer);
    CHECK(equal(copy, buffer));
  }
}
