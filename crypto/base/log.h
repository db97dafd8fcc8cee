// Log: what the library tells people while it works. A line goes to the sink of the thread that says it, and
// nowhere when that has none: a node's loop thread has its node's, a program's main thread has stderr. So
// several nodes in one process keep their lines apart, and no logger of somebody else's is touched.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>
#include <utility>

#include "testudo/log.h"

namespace testudo::log {

// The sink of the calling thread from its making to its end, which is on the same thread; the one before
// comes back then.
class Sink {
 public:
  Sink(LogLevel least, LogFunction write);
  // The one before, with fewer lines.
  explicit Sink(LogLevel least);
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

 private:
  friend bool wanted(LogLevel level);
  friend void write(LogLevel level, const std::string& line);
  LogLevel least_;
  LogFunction write_;
  Sink* outer_;
};

bool wanted(LogLevel level);
void write(LogLevel level, const std::string& line);

// The arguments are formatted only when somebody listens.
template <typename... Arguments>
void line(LogLevel level, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (wanted(level)) write(level, fmt::format(format, std::forward<Arguments>(arguments)...));
}
template <typename... Arguments>
void debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(LogLevel::debug, format, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void info(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(LogLevel::info, format, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void warn(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(LogLevel::warn, format, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void error(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(LogLevel::error, format, std::forward<Arguments>(arguments)...);
}

}  // namespace testudo::log
