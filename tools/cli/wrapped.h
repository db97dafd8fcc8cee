// Long texts for people, on lines that a terminal shows without breaking them in odd places. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace testudo::tools {

// What can still be read across.
inline constexpr std::size_t text_width = 100;

// The words of `text` behind `indent` spaces, on lines of at most text_width characters where words are not
// longer than that.
std::string wrapped(std::string_view text, std::size_t indent);

}  // namespace testudo::tools
