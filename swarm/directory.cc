#include "swarm/directory.h"

#include <algorithm>

#include "crypto/base/encoding.h"
#include "net/messages/message.h"

namespace testudo::swarm {
namespace {

constexpr std::uint8_t presence_version = 1;

struct PresenceWire {
  std::uint8_t version = 0;
  std::string agent;
  RoundNumber round;
  MSGPACK_DEFINE(version, agent, round)
};

// Sleeps until the event is set, at most until `when`, and takes the event back.
net::Task<void> wait_until(net::Scheduler& scheduler, net::Event& event, net::TimePoint when) {
  const net::Timer timer = scheduler.at(when, [&event] { event.set(); });
  co_await event.wait();
  event.reset();
}

net::Duration back_off(unsigned failures) {
  net::Duration wait = Directory::first_back_off;
  for (unsigned i = 0; i < failures && wait < Directory::last_back_off; ++i) wait *= 2;
  return std::min(wait, Directory::last_back_off);
}

}  // namespace

Bytes Presence::encode() const {
  return net::pack(PresenceWire{presence_version, agent.substr(0, max_agent), round});
}

Result<Presence> Presence::decode(ByteView bytes) {
  auto wire =
      net::unpack<PresenceWire>(bytes, {.size = dht::RunEntry::max_payload, .elements = 3, .depth = 1});
  if (!wire) return fail(std::move(wire).error().in("presence"));
  if (wire->version != presence_version) return fail(ErrorCode::protocol, "presence: unknown version");
  const bool printable = std::ranges::all_of(wire->agent, [](char c) { return c >= ' ' && c <= '~'; });
  if (wire->agent.size() > max_agent || !printable)
    return fail(ErrorCode::protocol, "presence: malformed agent");
  return Presence{std::move(wire->agent), wire->round};
}

Directory::Directory(net::Host& host, dht::Dht& dht, RunId run)
    : host_(host),
      dht_(dht),
      run_(run),
      protection_("run " + to_hex(run)),
      presence_{"testudo/" TESTUDO_VERSION, RoundNumber()},
      look_up_(host.scheduler()),
      changed_(host.scheduler()),
      alive_(std::make_shared<Directory*>(this)),
      tasks_(host.scheduler()) {}

Directory::~Directory() { host_.guard().protect(protection_, {}); }

void Directory::start() {
  if (std::exchange(started_, true)) return;
  host_.observe_connections([weak = std::weak_ptr(alive_)](const PeerId& peer, bool connected) {
    if (const auto self = weak.lock()) (*self)->connection_changed(peer, connected);
  });
  tasks_.spawn(announce_loop());
  tasks_.spawn(lookup_loop());
  tasks_.spawn(dial_loop());
}

void Directory::look_up_now() { look_up_.set(); }

void Directory::set_wanted(std::vector<PeerId> members) {
  wanted_ = std::set<PeerId>(members.begin(), members.end());
  // Idle between two rounds or not: they do not make room for whoever else connects.
  host_.guard().protect(protection_, wanted_);
  changed_.set();
}

std::vector<PeerId> Directory::connected() const {
  std::vector<PeerId> peers;
  for (const PeerId& peer : host_.connected_peers()) {
    if (is_sought(peer)) peers.push_back(peer);
  }
  std::ranges::sort(peers);
  return peers;
}

std::optional<Presence> Directory::presence_of(const PeerId& peer) const {
  const auto entry = entries_.find(peer);
  return entry == entries_.end() ? std::nullopt : entry->second.presence;
}

net::Task<void> Directory::announce_loop() {
  net::Scheduler& scheduler = host_.scheduler();
  net::Duration retry = eager_interval;
  while (true) {
    auto announced = co_await dht_.announce(run_, presence_.encode(), announcement_ttl);
    // It fails as long as no DHT server is reached: soon there may be one.
    const net::Duration wait = announced ? announcement_interval : retry;
    retry = announced ? eager_interval : std::min(2 * retry, lookup_interval);
    co_await net::sleep_for(scheduler, wait);
  }
}

net::Task<void> Directory::lookup_loop() {
  net::Scheduler& scheduler = host_.scheduler();
  for (unsigned lookups = 0;; ++lookups) {
    auto entries = co_await dht_.run_entries(run_);
    // Without an answer what is known stays, until it expires.
    take(entries ? std::move(*entries) : std::vector<dht::RunEntry>{});
    const bool eager = lookups < eager_lookups;
    co_await wait_until(scheduler, look_up_, scheduler.now() + (eager ? eager_interval : lookup_interval));
  }
}

void Directory::take(std::vector<dht::RunEntry> entries) {
  const net::UnixTime now = host_.scheduler().unix_now();
  std::erase_if(entries_, [now](const auto& item) { return item.second.expires <= now; });
  for (const dht::RunEntry& entry : entries) {
    if (entry.peer == host_.id() || entry.expires <= now) continue;
    if (entries_.size() >= max_listed && !entries_.contains(entry.peer)) continue;
    auto presence = Presence::decode(entry.payload);
    entries_[entry.peer] = {entry.expires, presence ? std::optional(std::move(*presence)) : std::nullopt};
  }
  listed_.clear();
  for (const auto& [peer, entry] : entries_) listed_.insert(peer);
  changed_.set();
}

void Directory::connection_changed(const PeerId& peer, bool connected) {
  if (!is_sought(peer)) return;
  if (connected) {
    dials_[peer].failures = 0;
  } else {
    // Both ends lost each other at once: a moment's pause lets a restart finish.
    dials_[peer].next = host_.scheduler().now() + back_off(dials_[peer].failures);
  }
  changed_.set();
}

net::Task<void> Directory::dial_loop() {
  net::Scheduler& scheduler = host_.scheduler();
  while (true) {
    start_due_dials();
    co_await wait_until(scheduler, changed_, next_dial_);
  }
}

void Directory::start_due_dials() {
  const net::TimePoint now = host_.scheduler().now();
  std::erase_if(dials_, [this](const auto& item) { return !item.second.running && !is_sought(item.first); });
  next_dial_ = now + lookup_interval;
  const auto consider = [this, now](const PeerId& peer) {
    if (peer == host_.id() || host_.is_connected(peer) || host_.is_banned(peer)) return;
    Dial& state = dials_[peer];
    if (state.running) return;
    if (state.next > now) {
      next_dial_ = std::min(next_dial_, state.next);
    } else if (running_dials_ < dials_at_once) {  // else the end of a dial looks again
      state.running = true;
      ++running_dials_;
      tasks_.spawn(dial(peer));
    }
  };
  // The ledger's members before mere names.
  for (const PeerId& peer : wanted_) consider(peer);
  for (const PeerId& peer : listed_) consider(peer);
}

net::Task<void> Directory::dial(PeerId peer) {
  auto reached = co_await reach(peer);
  Dial& state = dials_[peer];
  state.running = false;
  --running_dials_;
  if (reached) {
    state.failures = 0;
  } else {
    state.next = host_.scheduler().now() + back_off(state.failures);
    ++state.failures;
  }
  changed_.set();
}

net::Task<Result<void>> Directory::reach(PeerId peer) {
  // Known addresses first; they may be old, so that a failure asks the DHT as well.
  if (!host_.peer_store().addresses(peer).empty()) {
    auto connected = co_await host_.connect(peer, {});
    if (connected) co_return connected;
  }
  auto found = co_await dht_.find_peer(peer);
  if (!found) co_return fail(std::move(found).error());
  auto connected = co_await host_.connect(peer, found->addresses);
  co_return connected;
}

}  // namespace testudo::swarm
