// Numbers of things in messages for people: "1 member", "2 members". Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace testudo {

// `noun` in the singular, of those that take an s.
inline std::string counted(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace testudo
