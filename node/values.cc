#include "node/values.h"

namespace testudo::node {
namespace {

using net::Task;

constexpr auto value_lifetime = std::chrono::hours(48);  // as long as the DHT keeps records
constexpr std::size_t max_value = 16 * 1024;

}  // namespace

Task<Result<std::string>> put_value(Node& node, std::string name, std::string value) {
  if (value.size() > max_value) {
    co_return fail(ErrorCode::limit, "a value has at most " + std::to_string(max_value) +
                                         " bytes, this one " + std::to_string(value.size()));
  }
  const net::UnixTime now = node.scheduler().unix_now();
  const std::string key = dht::OwnedValue::key_of(node.host().id(), name);
  // The clock as sequence number: later values of the same owner win, without anything to remember.
  Bytes record = dht::OwnedValue::make(node.host().identity(), key,
                                       static_cast<std::uint64_t>(now.time_since_epoch().count()),
                                       now + value_lifetime, to_bytes(value));
  CO_TRY_VOID(co_await node.dht().put(key, std::move(record)));
  co_return key;
}

Task<Result<FoundValue>> get_value(Node& node, std::string key) {
  CO_TRY(Bytes record, co_await node.dht().get(key));
  if (!key.starts_with(dht::OwnedValue::prefix)) co_return FoundValue{.value = std::move(record)};
  CO_TRY(auto value, dht::OwnedValue::open(key, record, node.scheduler().unix_now()));
  co_return FoundValue{.value = std::move(value.payload), .sequence = value.sequence, .owned = true};
}

}  // namespace testudo::node
