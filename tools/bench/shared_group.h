// SharedGroup: a page of memory that the processes of one measurement share: a barrier, so that all begin at
// the same moment, and a place for each one's port. Any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "crypto/base/result.h"

namespace testudo::bench {

class SharedGroup {
 public:
  static constexpr std::size_t max_members = 64;

  // In the file `path`, for `members` processes.
  static Result<std::unique_ptr<SharedGroup>> create(const std::string& path, std::size_t members);
  static Result<std::unique_ptr<SharedGroup>> open(const std::string& path);
  ~SharedGroup();
  SharedGroup(const SharedGroup&) = delete;
  SharedGroup& operator=(const SharedGroup&) = delete;

  std::size_t members() const;
  // Returns when all members are here; an error when they are not within `limit`.
  Result<void> wait_for_all(std::chrono::seconds limit);
  void set_port(std::size_t member, std::uint16_t port);
  std::uint16_t port(std::size_t member) const;

 private:
  struct Page;
  explicit SharedGroup(Page* page) : page_(page) {}
  static Result<std::unique_ptr<SharedGroup>> map(const std::string& path, int flags);
  Page* page_;
};

}  // namespace testudo::bench
