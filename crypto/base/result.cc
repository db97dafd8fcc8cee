#include "crypto/base/result.h"

namespace testudo {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid argument";
    case ErrorCode::protocol:
      return "protocol violation";
    case ErrorCode::authentication:
      return "authentication failed";
    case ErrorCode::not_found:
      return "not found";
    case ErrorCode::unreachable:
      return "unreachable";
    case ErrorCode::timeout:
      return "timed out";
    case ErrorCode::closed:
      return "closed";
    case ErrorCode::limit:
      return "limit reached";
    case ErrorCode::refused:
      return "refused";
    case ErrorCode::io:
      return "input/output error";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::internal:
      return "internal error";
  }
  return "unknown";
}

}  // namespace testudo
