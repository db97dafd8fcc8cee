#include "tools/cli/checks.h"

#include "node/addresses.h"

namespace testudo::tools {
namespace {

template <typename T>
std::string complaint(const Result<T>& parsed) {
  return parsed ? std::string() : parsed.error().message;
}

}  // namespace

std::string check_listen_address(const std::string& text) {
  return complaint(node::parse_listen_addresses({text}));
}
std::string check_peer_address(const std::string& text) {
  return complaint(node::parse_peer_addresses({text}));
}
std::string check_peer_id(const std::string& text) { return complaint(node::parse_peer_id(text)); }
std::string check_run_id(const std::string& text) { return complaint(node::parse_run_id(text)); }

}  // namespace testudo::tools
