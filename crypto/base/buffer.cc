#include "crypto/base/buffer.h"

#include <sys/mman.h>

#include <new>

namespace testudo {

namespace {
constexpr std::size_t large_page = std::size_t{2} << 20;  // of x86-64, and of ARM with pages of 4 KiB
}

std::uint8_t* Buffer::allocate(std::size_t size) {
  void* memory = nullptr;
  if (size < large_page) {
    memory = std::malloc(size);
  } else if (::posix_memalign(&memory, large_page, size) == 0) {
#ifdef MADV_HUGEPAGE
    // A wish: where it is not granted the pages are small. Never for the end of it, which fills no page.
    (void)::madvise(memory, size / large_page * large_page, MADV_HUGEPAGE);
#endif
  }
  if (memory == nullptr && size > 0) throw std::bad_alloc();
  return static_cast<std::uint8_t*>(memory);
}

}  // namespace testudo
