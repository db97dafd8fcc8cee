#include "crypto/base/log.h"

namespace testudo::log {
namespace {
// Of the thread, not of the process: see the header.
thread_local Sink* current = nullptr;
}  // namespace

Sink::Sink(LogLevel least, LogFunction write)
    : least_(least), write_(std::move(write)), outer_(std::exchange(current, this)) {}

Sink::Sink(LogLevel least) : Sink(least, current != nullptr ? current->write_ : LogFunction()) {}

Sink::~Sink() { current = outer_; }

bool wanted(LogLevel level) { return current != nullptr && current->write_ && level >= current->least_; }

void write(LogLevel level, const std::string& line) {
  if (wanted(level)) current->write_(level, line);
}

}  // namespace testudo::log
