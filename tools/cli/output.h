// Output: what a command says on stdout, for people or, with --json, one JSON object a line. Logs go to
// stderr, never here. Loop thread only.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "crypto/base/bytes.h"

namespace testudo::tools {

using Json = nlohmann::ordered_json;

class Output {
 public:
  // `out` must outlive this.
  explicit Output(bool json, std::FILE* out = stdout);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool json() const { return json_; }
  // Whether progress() is seen.
  bool terminal() const { return terminal_; }
  // The event for programs, or the text for people; empty text says nothing to them.
  void say(const Json& event, const std::string& text);
  // A line that stays at the bottom of a terminal and is replaced in place; nothing elsewhere.
  void progress(const std::string& text);
  // Why something could not be written (a full disk, nobody reading any more), the first time; nothing if all
  // was. A node goes on meanwhile, its exit code tells.
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  void erase_progress();
  void write(const std::string& text);

  bool json_;
  bool terminal_;
  bool progress_shown_ = false;
  std::string progress_text_;
  std::FILE* out_;
  std::optional<std::string> failure_;
};

// null for what is not a finite number: JSON knows no others.
Json number(double value);
// "2 min 05 s".
std::string duration_text(double seconds);
// "12.3 MB"; decimal units.
std::string bytes_text(std::uint64_t bytes);

}  // namespace testudo::tools
