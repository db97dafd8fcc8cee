#include "tools/cli/output.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

namespace testudo::tools {

Output::Output(bool json, std::FILE* out)
    : json_(json), terminal_(!json && isatty(fileno(out)) == 1), out_(out) {}

Output::~Output() {
  erase_progress();
  std::fflush(out_);
}

void Output::say(const Json& event, const std::string& text) {
  if (json_) {
    // Peers choose some of the strings (agents, reasons): bad UTF-8 is replaced, it must not end the program.
    write(event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (!text.empty()) {
    erase_progress();
    write(text + "\n");
    if (!progress_text_.empty()) progress(std::string(progress_text_));
  }
}

void Output::progress(const std::string& text) {
  if (!terminal_) return;
  erase_progress();
  progress_text_ = text;
  progress_shown_ = true;
  write(text);
}

void Output::erase_progress() {
  if (!progress_shown_) return;
  write("\r\x1b[K");
  progress_shown_ = false;
}

void Output::write(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), out_) == text.size();
  if ((!written || std::fflush(out_) != 0) && !failure_) failure_ = std::strerror(errno);
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "unknown";
  const auto whole = static_cast<long>(std::lround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string bytes_text(std::uint64_t bytes) {
  auto value = static_cast<double>(bytes);
  for (const char* unit : {"B", "kB", "MB", "GB"}) {
    if (value < 1000) return fmt::format("{:.{}f} {}", value, unit[0] == 'B' ? 0 : 1, unit);
    value /= 1000;
  }
  return fmt::format("{:.1f} TB", value);
}

}  // namespace testudo::tools
