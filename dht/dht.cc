#include "dht/dht.h"

#include <algorithm>

#include "crypto/base/log.h"
#include "dht/subnet.h"
#include "net/async/combinators.h"

namespace testudo::dht {

namespace {
Bytes key_bytes(std::string_view key) { return to_bytes(key); }

// The form in which js-libp2p accepts a provider key.
Bytes content_key(const Digest& content) {
  Bytes key{0x12, 0x20};
  append(key, content);
  return key;
}
}  // namespace

Dht::Dht(net::Host& host, Options options)
    : host_(host),
      scheduler_(host.scheduler()),
      options_(std::move(options)),
      table_(host.id(), options_.table),
      records_(host.id(), options_.limits),
      misbehaviour_(options_.protocol),
      alive_(std::make_shared<Dht*>(this)),
      background_(host.scheduler()) {
  register_namespace(std::string(ManifestValidator::prefix), std::make_unique<ManifestValidator>());
  register_namespace(std::string(OwnedValue::prefix), std::make_unique<OwnedValueValidator>());
  register_namespace(std::string(RunDictionary::prefix),
                     std::make_unique<RunDictionaryValidator>(options_.identity_cost));
  if (options_.server) {
    service_ = net::serve(host_, options_.protocol, Message::max_size, options_.request_timeout,
                          [this](PeerId peer, Bytes request) { return answer(peer, std::move(request)); });
  }
  host_.observe_identified([weak = std::weak_ptr(alive_)](const PeerId& peer) {
    if (auto self = weak.lock()) (*self)->consider(peer);
  });
  for (const PeerId& peer : host_.connected_peers()) consider(peer);
}

Dht::~Dht() = default;

void Dht::register_namespace(std::string prefix, std::unique_ptr<Validator> validator) {
  validators_[std::move(prefix)] = std::move(validator);
}

Validator* Dht::validator_of(std::string_view key) const {
  for (const auto& [prefix, validator] : validators_) {
    if (key.starts_with(prefix)) return validator.get();
  }
  return nullptr;
}

// A peer that is connected and known to serve our protocol belongs into the table.
void Dht::consider(const PeerId& peer, bool answered) {
  if (!answered && !host_.peer_store().speaks(peer, options_.protocol)) {
    table_.remove(peer);  // it became a client
    return;
  }
  if (!host_.is_connected(peer)) return;
  const bool verified = options_.is_verified && options_.is_verified(peer);
  if (table_.confirm(peer, verified)) return;
  table_.seen(peer, subnet_of(host_.peer_store().addresses(peer)), verified);
}

PeerAddress Dht::with_addresses(const PeerId& peer) const {
  PeerAddress result{peer, host_.peer_store().addresses(peer)};
  if (result.addresses.size() > 8) result.addresses.resize(8);
  return result;
}

std::vector<PeerAddress> Dht::known_peers() const {
  std::vector<PeerAddress> result;
  for (const PeerId& peer : table_.peers()) result.push_back(with_addresses(peer));
  return result;
}

// Whether we are among the k nearest servers, as far as we know.
bool Dht::is_near(ByteView key) const {
  if (!options_.server) return false;
  const Place place = place_of(key);
  const auto closest = table_.closest(place, options_.table.k);
  return closest.size() < options_.table.k ||
         distance(place_of(host_.id()), place) < distance(place_of(closest.back()), place);
}

Task<Result<void>> Dht::put(std::string key, Bytes value) {
  Validator* validator = validator_of(key);
  if (validator == nullptr) co_return fail(ErrorCode::invalid_argument, "no namespace takes the key " + key);
  if (key.size() > Message::max_key) co_return fail(ErrorCode::invalid_argument, "key too long");
  auto valid = validator->validate(key, value, scheduler_.unix_now());
  if (!valid) co_return fail(std::move(valid).error().in("put " + key));
  auto closest = co_await walk(MessageType::find_node, key_bytes(key), 1, {});
  std::size_t stored = 0;
  if (is_near(as_bytes(key))) {
    auto here = store(key, value);
    if (here) ++stored;
  }
  stored += co_await put_at(std::move(closest), key_bytes(key), std::move(value));
  if (stored == 0) co_return fail(ErrorCode::unreachable, "put " + key + ": no server took it");
  co_return Result<void>{};
}

Task<void> Dht::keep_put(std::string key, std::function<Bytes()> value, Duration interval) {
  while (true) {
    auto stored = co_await put(key, value());
    if (!stored) log::warn("dht: {}", stored.error().message);
    co_await net::sleep_for(scheduler_, interval);
  }
}

Task<Result<Bytes>> Dht::get(std::string key) {
  Validator* validator = validator_of(key);
  if (validator == nullptr) co_return fail(ErrorCode::invalid_argument, "no namespace takes the key " + key);
  struct Found {
    std::vector<Bytes> values;
    std::map<PeerId, std::size_t> holder;  // the value that the peer gave
    std::vector<PeerId> without;
  };
  auto found = std::make_shared<Found>();
  if (const Bytes* here = records_.value(as_bytes(key))) {
    auto valid = validator->validate(key, *here, scheduler_.unix_now());
    if (valid) found->values.push_back(*here);
  }
  std::vector<PeerAddress> closest;
  if (found->values.empty() || !validator->first_is_enough()) {
    closest =
        co_await walk(MessageType::get_value, key_bytes(key), options_.paths,
                      [this, found, validator, key](const PeerAddress& peer, const Message& answer) {
                        if (!answer.record || answer.record->key != key_bytes(key)) {
                          found->without.push_back(peer.id);
                          return false;
                        }
                        auto valid = validator->validate(key, answer.record->value, scheduler_.unix_now());
                        if (!valid) {
                          // Clocks differ: a record that has just expired is nobody's fault.
                          misbehaviour_.note(peer.id, valid.error());
                          found->without.push_back(peer.id);
                          return false;
                        }
                        found->holder[peer.id] = found->values.size();
                        found->values.push_back(answer.record->value);
                        if (validator->merges()) return false;
                        return validator->first_is_enough() || found->values.size() >= options_.read_quorum;
                      });
  }
  if (found->values.empty()) co_return fail(ErrorCode::not_found, "get " + key + ": no server has it");

  Bytes best = found->values.front();
  if (validator->merges()) {
    for (const Bytes& value : found->values) {
      if (auto merged = validator->merge(key, best, value, scheduler_.unix_now())) best = std::move(*merged);
    }
  } else {
    best = found->values[validator->select(key, found->values)];
  }
  // Those near the key that lack the best value get it; a reader that stopped early knows few of them.
  std::vector<PeerId> stale;
  for (const auto& peer : closest) {
    auto held = found->holder.find(peer.id);
    const bool has_it = held != found->holder.end() && found->values[held->second] == best;
    const bool asked =
        held != found->holder.end() || std::ranges::find(found->without, peer.id) != found->without.end();
    if (asked && !has_it) stale.push_back(peer.id);
    if (validator->first_is_enough() && !stale.empty()) break;
  }
  if (!stale.empty()) background_.spawn(repair(std::move(stale), key_bytes(key), best));
  co_return best;
}

Task<Result<PeerAddress>> Dht::find_peer(PeerId peer) {
  if (host_.is_connected(peer)) co_return with_addresses(peer);
  auto found = std::make_shared<std::optional<PeerAddress>>();
  auto closest = co_await walk(MessageType::find_node, peer.to_multihash(), options_.paths,
                               [found, peer](const PeerAddress&, const Message& answer) {
                                 for (const auto& closer : answer.closer) {
                                   if (closer.id == peer && !closer.addresses.empty()) *found = closer;
                                 }
                                 return found->has_value();
                               });
  if (!*found) co_return fail(ErrorCode::not_found, "find " + peer.to_text() + ": nobody near knows it");
  host_.peer_store().add_addresses(peer, (*found)->addresses, net::PeerStore::Source::dht);
  co_return std::move(**found);
}

Task<std::vector<PeerAddress>> Dht::find_closest(Bytes key) {
  auto closest = co_await walk(MessageType::find_node, std::move(key), 1, {});
  co_return closest;
}

Task<Result<void>> Dht::provide(Digest content) {
  const Bytes key = content_key(content);
  auto closest = co_await walk(MessageType::find_node, key, 1, {});
  auto told = std::make_shared<std::size_t>(0);
  if (is_near(key)) {
    records_.add_provider(key, {host_.id(), host_.addresses()}, scheduler_.now() + options_.provider_ttl);
    ++*told;
  }
  {
    net::TaskGroup group(scheduler_);
    for (const auto& peer : closest) group.spawn(notify_provider(peer.id, key, told));
    net::Timer deadline = scheduler_.after(options_.request_timeout, [&group] { group.cancel_all(); });
    co_await group.wait_idle();
  }
  if (*told == 0) co_return fail(ErrorCode::unreachable, "provide: no server took it");
  co_return Result<void>{};
}

Task<Result<std::vector<PeerAddress>>> Dht::providers(Digest content) {
  const Bytes key = content_key(content);
  auto found = std::make_shared<std::map<PeerId, PeerAddress>>();
  for (auto& provider : records_.providers(key, scheduler_.now())) found->emplace(provider.id, provider);
  auto closest = co_await walk(MessageType::get_providers, key, options_.paths,
                               [found](const PeerAddress&, const Message& answer) {
                                 for (const auto& provider : answer.providers)
                                   found->emplace(provider.id, provider);
                                 return false;
                               });
  std::vector<PeerAddress> result;
  for (auto& [id, provider] : *found) result.push_back(std::move(provider));
  co_return result;
}

Task<Result<void>> Dht::announce(Digest run_id, Bytes payload, Duration ttl) {
  if (payload.size() > RunEntry::max_payload)
    co_return fail(ErrorCode::invalid_argument, "payload too large");
  ttl = std::min(ttl, RunDictionary::max_ttl - std::chrono::minutes(5));  // for clocks that differ
  const UnixTime now = scheduler_.unix_now();
  // The clock, so that a restarted node goes on above what it said before.
  std::uint64_t& sequence = sequences_[run_id];
  sequence = std::max(sequence + 1, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  RunDictionary own(run_id);
  own.add(
      RunEntry::make(host_.identity(), run_id, sequence,
                     now + std::chrono::duration_cast<std::chrono::milliseconds>(ttl), std::move(payload)),
      now);
  // Servers merge it into what they have: a read before the write would change nothing.
  auto stored = co_await put(RunDictionary::key_of(run_id), own.encode());
  co_return stored;
}

Task<Result<std::vector<RunEntry>>> Dht::run_entries(Digest run_id) {
  auto value = co_await get(RunDictionary::key_of(run_id));
  if (!value) co_return fail(std::move(value).error());
  auto entries = RunDictionary::parse(*value);
  if (!entries) co_return fail(std::move(entries).error());
  const UnixTime now = scheduler_.unix_now();
  std::erase_if(*entries, [&](const RunEntry& entry) { return entry.expires <= now; });
  co_return std::move(*entries);
}

Task<void> Dht::keep_announced(Digest run_id, std::function<Bytes()> payload, Duration ttl) {
  while (true) {
    auto announced = co_await announce(run_id, payload(), ttl);
    if (!announced) log::warn("dht: {}", announced.error().message);
    co_await net::sleep_for(scheduler_, ttl / 3);
  }
}

}  // namespace testudo::dht
