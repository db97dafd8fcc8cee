// Result<T>: a value, or an Error that says who, what and why. A fault of a peer or of the machine is a
// Result; a fault of our own is a CHECK (check.h).
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "testudo/error.h"  // ErrorCode

namespace testudo {

std::string_view name(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;

  // Prepends where or with whom it happened: "dial 12D3…: noise: wrong peer id".
  Error in(std::string_view context) && {
    message.insert(0, std::string(context) + ": ");
    return std::move(*this);
  }
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace testudo

#define TESTUDO_CONCAT_INNER(a, b) a##b
#define TESTUDO_CONCAT(a, b) TESTUDO_CONCAT_INNER(a, b)
// TRY(auto x, expression): x is the value, or the enclosing function returns the error.
#define TRY_IMPL(result, declaration, expression, keyword)         \
  auto result = (expression);                                      \
  if (!result) keyword ::testudo::fail(std::move(result).error()); \
  declaration = *std::move(result)
#define TRY(declaration, expression) TRY_IMPL(TESTUDO_CONCAT(try_, __LINE__), declaration, expression, return)
#define CO_TRY(declaration, expression) \
  TRY_IMPL(TESTUDO_CONCAT(try_, __LINE__), declaration, expression, co_return)
// The same for Result<void>.
#define TRY_VOID_IMPL(result, expression, keyword) \
  auto result = (expression);                      \
  if (!result) keyword ::testudo::fail(std::move(result).error())
#define TRY_VOID(expression) TRY_VOID_IMPL(TESTUDO_CONCAT(try_, __LINE__), expression, return)
#define CO_TRY_VOID(expression) TRY_VOID_IMPL(TESTUDO_CONCAT(try_, __LINE__), expression, co_return)
