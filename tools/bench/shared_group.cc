#include "tools/bench/shared_group.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

namespace testudo::bench {

struct SharedGroup::Page {
  pthread_mutex_t mutex;
  pthread_cond_t released;
  std::size_t members;
  std::size_t arrived;  // guarded by the mutex
  std::size_t releases;
  std::array<std::atomic<std::uint16_t>, max_members> ports;
};

Result<std::unique_ptr<SharedGroup>> SharedGroup::map(const std::string& path, int flags) {
  const int file = ::open(path.c_str(), flags, 0600);
  if (file < 0) return fail(ErrorCode::io, "cannot open " + path + ": " + std::strerror(errno));
  void* memory = MAP_FAILED;
  if (::ftruncate(file, sizeof(Page)) == 0) {
    memory = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  ::close(file);
  if (memory == MAP_FAILED) return fail(ErrorCode::io, "cannot map " + path + ": " + std::strerror(errno));
  return std::unique_ptr<SharedGroup>(new SharedGroup(static_cast<Page*>(memory)));
}

Result<std::unique_ptr<SharedGroup>> SharedGroup::create(const std::string& path, std::size_t members) {
  if (members == 0 || members > max_members) return fail(ErrorCode::invalid_argument, "too many processes");
  TRY(auto group, map(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC));
  Page* page = new (group->page_) Page{};
  pthread_mutexattr_t mutex;
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&page->mutex, &mutex);
  pthread_mutexattr_destroy(&mutex);
  pthread_condattr_t condition;
  pthread_condattr_init(&condition);
  pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  pthread_condattr_setclock(&condition, CLOCK_MONOTONIC);
  pthread_cond_init(&page->released, &condition);
  pthread_condattr_destroy(&condition);
  page->members = members;
  return group;
}

Result<std::unique_ptr<SharedGroup>> SharedGroup::open(const std::string& path) {
  return map(path, O_RDWR | O_CLOEXEC);
}

SharedGroup::~SharedGroup() { ::munmap(page_, sizeof(Page)); }

std::size_t SharedGroup::members() const { return page_->members; }

Result<void> SharedGroup::wait_for_all(std::chrono::seconds limit) {
  timespec until{};
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += limit.count();
  pthread_mutex_lock(&page_->mutex);
  const std::size_t before = page_->releases;
  if (++page_->arrived == page_->members) {
    page_->arrived = 0;
    ++page_->releases;
    pthread_cond_broadcast(&page_->released);
  }
  int status = 0;
  while (page_->releases == before && status == 0) {
    status = pthread_cond_timedwait(&page_->released, &page_->mutex, &until);
  }
  const bool released = page_->releases != before;
  pthread_mutex_unlock(&page_->mutex);
  if (!released) return fail(ErrorCode::timeout, "the other processes of the measurement did not come");
  return {};
}

void SharedGroup::set_port(std::size_t member, std::uint16_t port) { page_->ports.at(member) = port; }
std::uint16_t SharedGroup::port(std::size_t member) const { return page_->ports.at(member); }

}  // namespace testudo::bench
