// Exception: how the library says that something did not work. Everything in these headers may throw it,
// where their comments name its codes; nothing else of ours is thrown. A value; any thread.
#pragma once

#include <stdexcept>
#include <string>

#pragma GCC visibility push(default)

namespace testudo {

enum class ErrorCode {
  invalid_argument,  // what the caller or user gave is malformed
  protocol,          // the peer broke the protocol: garbage, oversized, out of order
  authentication,    // a signature, identity or proof does not hold
  not_found,         // no such peer, key, protocol, file
  unreachable,       // could not connect, or the connection was lost
  timeout,           // a deadline passed
  closed,            // the stream or object is closed
  limit,             // a bound was reached
  refused,           // the other side or a policy said no
  io,                // the operating system failed
  corrupt,           // stored data does not check
  internal,          // should not happen, yet is no reason to die
};

class Exception : public std::runtime_error {
 public:
  // `message` says who, what, why, and what to do about it, in one line.
  Exception(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace testudo

#pragma GCC visibility pop
