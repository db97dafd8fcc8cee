// What a node tells people while it works, beside its results: nothing, unless somebody asks for it.
#pragma once

#include <functional>
#include <string>

#pragma GCC visibility push(default)

namespace testudo {

enum class LogLevel { trace, debug, info, warn, error, off };

// Takes one line, without a newline.
using LogFunction = std::function<void(LogLevel, const std::string& line)>;

}  // namespace testudo

#pragma GCC visibility pop
