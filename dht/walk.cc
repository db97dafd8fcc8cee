// The moving part of a lookup: asks the peers that Lookup (lookup.h) names, and tells it what came back.

#include <algorithm>

#include "crypto/base/log.h"
#include "dht/dht.h"
#include "net/async/combinators.h"

namespace testudo::dht {

namespace {
constexpr unsigned most_own_lookups = 3;  // of a newcomer; each ends after a request's timeout

std::string names_of(const std::vector<PeerAddress>& peers) {
  std::string names;
  for (const auto& peer : peers) names += " " + peer.id.to_text();
  return names;
}
}  // namespace

struct Dht::Walk {
  Walk(net::Scheduler& scheduler, Lookup state, Message message, OnAnswer callback)
      : lookup(std::move(state)),
        question(std::move(message)),
        on_answer(std::move(callback)),
        changed(scheduler),
        done(scheduler) {}
  Lookup lookup;
  Message question;
  OnAnswer on_answer;
  net::Event changed;
  net::Event done;
  std::size_t workers = 0;
};

Task<std::vector<PeerAddress>> Dht::walk(MessageType type, Bytes key, std::size_t paths, OnAnswer on_answer) {
  const Place target = place_of(key);
  Lookup::Options options;
  options.k = options_.table.k;
  options.paths = std::max<std::size_t>(paths, 1);
  options.max_per_subnet = options_.max_per_subnet;
  Lookup lookup(host_.id(), target, options);
  std::vector<PeerAddress> start;
  for (const PeerId& peer : table_.closest(target, options.k)) start.push_back(with_addresses(peer));
  lookup.start(start);

  Message question;
  question.type = type;
  question.key = std::move(key);
  auto walk =
      std::make_shared<Walk>(scheduler_, std::move(lookup), std::move(question), std::move(on_answer));
  // Whatever is still under way when the lookup is over is cancelled with the group.
  net::TaskGroup workers(scheduler_);
  const std::size_t per_path = std::max<std::size_t>(options_.alpha / options.paths, 1);
  walk->workers = per_path * options.paths;
  for (std::size_t i = 0; i < walk->workers; ++i) workers.spawn(walk_path(walk, i % options.paths));
  net::Timer deadline = scheduler_.after(options_.lookup_timeout, [walk = walk.get()] { walk->done.set(); });
  co_await walk->done.wait();
  ++statistics_.lookups;
  statistics_.hops += walk->lookup.hops();
  co_return walk->lookup.closest();
}

Task<void> Dht::walk_path(std::shared_ptr<Walk> walk, std::size_t path) {
  while (!walk->done.is_set()) {
    auto next = walk->lookup.next(path);
    if (!next) {
      if (walk->lookup.finished(path)) break;
      co_await walk->changed.wait();
      continue;
    }
    const PeerId peer = next->id;
    if (!host_.is_connected(peer)) {
      host_.peer_store().add_addresses(peer, next->addresses, net::PeerStore::Source::dht);
    }
    auto answer = co_await call(peer, walk->question);
    if (answer) {
      walk->lookup.answered(peer, answer->closer);
      if (walk->on_answer && walk->on_answer(*next, *answer)) walk->done.set();
    } else {
      walk->lookup.failed(peer);
    }
    walk->changed.pulse();
  }
  if (--walk->workers == 0) walk->done.set();
  walk->changed.pulse();
}

Task<Result<Message>> Dht::call(PeerId peer, Message message) {
  ++statistics_.requests;
  auto reply = co_await net::request(host_, peer, options_.protocol, message.encode(), Message::max_size,
                                     options_.request_timeout);
  if (!reply) {
    ++statistics_.failed_requests;
    table_.failed(peer);
    co_return fail(std::move(reply).error());
  }
  auto answer = Message::decode(*reply);
  if (!answer) {
    misbehaviour_.note(peer, answer.error());
    table_.failed(peer);
    co_return fail(std::move(answer).error());
  }
  consider(peer, true);
  co_return std::move(*answer);
}

Task<void> Dht::send_put(PeerId peer, Bytes key, Bytes value, std::shared_ptr<std::size_t> stored) {
  Message message;
  message.type = MessageType::put_value;
  message.key = key;
  message.record = Record{std::move(key), std::move(value), rfc3339(scheduler_.unix_now())};
  auto echo = co_await call(peer, std::move(message));
  if (echo) ++*stored;
}

Task<std::size_t> Dht::put_at(std::vector<PeerAddress> peers, Bytes key, Bytes value) {
  auto stored = std::make_shared<std::size_t>(0);
  net::TaskGroup group(scheduler_);
  for (const auto& peer : peers) group.spawn(send_put(peer.id, key, value, stored));
  co_await group.wait_idle();
  co_return *stored;
}

Task<void> Dht::repair(std::vector<PeerId> peers, Bytes key, Bytes value) {
  std::vector<PeerAddress> stale;
  for (const PeerId& peer : peers) stale.push_back({peer, {}});
  auto stored = co_await put_at(std::move(stale), std::move(key), std::move(value));
  (void)stored;
}

Task<void> Dht::notify_provider(PeerId peer, Bytes key, std::shared_ptr<std::size_t> told) {
  auto stream = co_await host_.open_stream(peer, options_.protocol);
  if (!stream) co_return;
  Message message;
  message.type = MessageType::add_provider;
  message.key = std::move(key);
  message.providers.push_back({host_.id(), host_.addresses()});
  auto written = co_await net::write_prefixed(**stream, message.encode());
  if (!written) co_return;
  (*stream)->close_write();
  // There is no answer; the end of the stream says that it was read.
  ByteArray<1> nothing;
  auto end = co_await (*stream)->read_some(nothing);
  if (end) ++*told;
}

struct Dht::Dials {
  Dials(net::Scheduler& scheduler, std::size_t count) : progress(scheduler), left(count) {}
  net::Event progress;
  std::size_t left;
  bool any_connected = false;
};

Task<void> Dht::dial_bootstrap_peer(PeerAddress peer, std::shared_ptr<Dials> dials) {
  auto connected = co_await host_.connect(peer.id, peer.addresses);
  if (connected) {
    dials->any_connected = true;
    consider(peer.id);
  } else {
    log::debug("dht: {}", connected.error().message);
  }
  if (dials->left > 0) --dials->left;
  dials->progress.pulse();
}

Task<void> Dht::dial_bootstrap_peers() {
  // One that answers is enough to go on; the others get a moment more, and are not given up by that.
  constexpr Duration moment = std::chrono::milliseconds(500);
  auto dials = std::make_shared<Dials>(scheduler_, bootstrap_peers_.size());
  net::TaskGroup group(scheduler_);
  for (const auto& peer : bootstrap_peers_) group.spawn(dial_bootstrap_peer(peer, dials));
  net::Timer deadline = scheduler_.after(options_.request_timeout, [&dials] {
    dials->left = 0;
    dials->progress.pulse();
  });
  while (dials->left > 0 && !dials->any_connected) co_await dials->progress.wait();
  if (dials->left == 0) co_return;
  net::Timer soon = scheduler_.after(moment, [&dials] {
    dials->left = 0;
    dials->progress.pulse();
  });
  while (dials->left > 0) co_await dials->progress.wait();
}

Task<Result<void>> Dht::bootstrap(std::vector<PeerAddress> peers) {
  std::erase_if(peers, [&](const PeerAddress& peer) { return peer.id == host_.id(); });
  for (const auto& peer : peers) {
    host_.peer_store().add_addresses(peer.id, peer.addresses, net::PeerStore::Source::user);
  }
  bootstrap_peers_ = peers;
  co_await dial_bootstrap_peers();
  const bool any = std::ranges::any_of(peers, [&](const auto& peer) { return host_.is_connected(peer.id); });
  if (!peers.empty() && !any) {
    co_return fail(ErrorCode::unreachable, "no bootstrap peer could be reached:" + names_of(peers));
  }
  // Identify may come a moment after the connection; without it nobody counts as a server.
  const TimePoint patience = scheduler_.now() + options_.request_timeout;
  while (any && table_.size() == 0 && scheduler_.now() < patience) {
    co_await net::sleep_for(scheduler_, std::chrono::milliseconds(50));
    for (const auto& peer : peers) consider(peer.id);
  }
  if (any && table_.size() == 0) {
    co_return fail(ErrorCode::refused, "no bootstrap peer serves " + options_.protocol);
  }
  // Everything else stands on this one lookup, and its first step on what one peer answers: whoever is not
  // answered knows no neighbours, and they do not know it.
  bool answered = co_await find_neighbours();
  for (unsigned lookups = 1; any && !answered && lookups < most_own_lookups; ++lookups) {
    for (const auto& peer : peers) consider(peer.id);  // one that failed may have left the table
    answered = co_await find_neighbours();
  }
  if (any && !answered) co_return fail(ErrorCode::timeout, "no bootstrap peer answered:" + names_of(peers));
  if (!std::exchange(refreshing_, true)) background_.spawn(refresh_periodically());
  co_return Result<void>{};
}

Task<bool> Dht::find_neighbours() {
  if (table_.size() == 0) co_return false;
  auto neighbours = co_await walk(MessageType::find_node, host_.id().to_multihash(), 1, {});
  co_return !neighbours.empty();
}

Task<void> Dht::look_around() {
  // A key is hashed by who answers, so a key in a wanted bucket is found by trying; beyond these buckets the
  // lookup of ourselves has seen everybody.
  constexpr std::size_t max_bucket = 12;
  const Place self = place_of(host_.id());
  const std::size_t buckets = std::min(table_.buckets_in_use(), max_bucket);
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    Bytes key(32);
    do {
      host_.rng().fill(key);
    } while (common_prefix(place_of(key), self) != bucket);
    auto found = co_await walk(MessageType::find_node, std::move(key), 1, {});
    (void)found;
  }
}

Task<void> Dht::refresh_periodically() {
  // What has been found so far is enough for every lookup; a full table saves them hops. Nobody waits for one
  // lookup a bucket: over long lines that takes longer than anything else that a newcomer does.
  co_await look_around();
  while (true) {
    // Not all nodes at once, even if they were started together.
    const double spread = 0.75 + 0.5 * host_.rng().unit();
    co_await net::sleep_for(scheduler_, net::from_seconds(net::seconds(options_.refresh_interval) * spread));
    records_.expire(scheduler_.now());
    // Two halves of a network that was cut forget each other; what they still have in common is where they
    // began. So everybody returns there, and the halves grow together again.
    co_await dial_bootstrap_peers();
    auto answered = co_await find_neighbours();
    (void)answered;
    co_await look_around();
  }
}

}  // namespace testudo::dht
