#include "tools/cli/wrapped.h"

#include <algorithm>
#include <utility>

namespace testudo::tools {

std::string wrapped(std::string_view text, std::size_t indent) {
  const std::string margin(indent, ' ');
  std::string out;
  std::string line = margin;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (line.size() > indent && line.size() + 1 + word.size() > text_width)
      out += std::exchange(line, margin) + "\n";
    if (line.size() > indent) line += ' ';
    line += word;
  }
  return out + line;
}

}  // namespace testudo::tools
