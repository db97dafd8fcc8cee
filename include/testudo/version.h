// The version of the library. 0.x: the next minor version may change anything.
#pragma once

#pragma GCC visibility push(default)

namespace testudo {

// Of the library that runs, like "0.1.0". Any thread.
const char* version() noexcept;

}  // namespace testudo

#pragma GCC visibility pop
