#include "node/node.h"

#include <spdlog/fmt/fmt.h>

#include "crypto/base/encoding.h"
#include "crypto/base/file.h"
#include "crypto/base/log.h"
#include "net/async/combinators.h"
#include "node/data_directory.h"
#include "node/metrics.h"
#include "swarm/manifest_record.h"

namespace testudo::node {
namespace {

using net::Task;
using namespace std::chrono_literals;

constexpr net::Duration retry_pause = 2s;
constexpr net::Duration publish_interval = 10min;  // others may join as long as the run lasts
constexpr std::size_t max_peers_file = std::size_t{1} << 20;

net::NetworkHostOptions host_options() {
  net::NetworkHostOptions options;
  // Anybody can make these happen: the 1st, 10th, 100th … is shown, with the count, so that nobody fills the
  // log.
  options.on_event = [count = std::uint64_t{0}, shown = std::uint64_t{1}](const std::string& line) mutable {
    if (++count == shown) {
      shown *= 10;
      log::info("{} (connections refused or lost so far: {})", line, count);
    } else {
      log::debug("{}", line);
    }
  };
  return options;
}

dht::DhtOptions dht_options(Node::Role role) {
  dht::DhtOptions options;
  options.server = role == Node::Role::server;
  return options;
}

}  // namespace

Node::Node(net::LibuvScheduler& scheduler, crypto::KeyPair identity, Role role)
    : scheduler_(scheduler),
      host_(net::make_network_host(scheduler, std::move(identity), host_options())),
      ping_(*host_),
      identify_(*host_),
      dht_(std::make_unique<dht::Dht>(*host_, dht_options(role))) {
  dht_->register_namespace(std::string(dht::ManifestValidator::prefix),
                           std::make_unique<swarm::SignedManifestValidator>());
}

void Node::collect_metrics(net::Registry& registry) { collect_node_metrics(registry, *host_, *dht_); }

Task<Result<void>> Node::listen(std::vector<net::Multiaddr> addresses) {
  for (const net::Multiaddr& address : addresses) {
    auto bound = co_await host_->listen(address);
    if (!bound) co_return fail(std::move(bound).error());
  }
  co_return Result<void>();
}

std::vector<std::string> Node::addresses() const {
  std::vector<std::string> texts;
  for (const net::Multiaddr& address : host_->addresses()) {
    texts.push_back(address.with_peer_id(host_->id()).to_text());
  }
  return texts;
}

Task<Result<void>> Node::connect(std::vector<net::PeerAddress> bootstrap, OnWaiting on_waiting,
                                 net::Duration limit) {
  const net::TimePoint deadline = scheduler_.now() + limit;
  std::string said;
  for (;;) {
    auto joined = co_await net::with_deadline(scheduler_, deadline, dht_->bootstrap(bootstrap),
                                              "the attempt to connect");
    if (joined) co_return Result<void>();
    const std::string why = std::move(joined).error().message;
    if (scheduler_.now() + retry_pause >= deadline) {
      co_return fail(
          ErrorCode::unreachable,
          fmt::format(
              "no bootstrap node could be reached within {:.0f} s ({}); check that the address is the one "
              "that the node prints, that it runs, and that no firewall stands between",
              net::seconds(limit), why));
    }
    if (on_waiting && why != said) on_waiting("for a bootstrap node: " + why);
    said = why;
    log::debug("bootstrap: {}", why);
    co_await net::sleep_for(scheduler_, retry_pause);
  }
}

Task<void> Node::connect_at_last(std::vector<net::PeerAddress> bootstrap, OnWaiting on_waiting) {
  for (;;) {
    auto joined = co_await connect(bootstrap, on_waiting);
    if (joined) co_return;
  }
}

void Node::save_peers(const std::string& path) const {
  std::string text;
  for (const net::PeerAddress& peer : dht_->known_peers()) {
    for (const net::Multiaddr& address : peer.addresses) {
      const std::string line = address.with_peer_id(peer.id).to_text() + "\n";
      if (text.size() + line.size() <= max_peers_file) text += line;
    }
  }
  auto written = write_file(path, as_bytes(text));
  if (!written) log::warn("the known peers were not saved: {}", written.error().message);
}

Task<void> Node::keep_peers_saved(std::string path) const {
  // Soon after the first connections, so that a node that is killed early finds the others again.
  for (net::Duration pause = 1s;; pause = std::min<net::Duration>(4 * pause, 1min)) {
    co_await net::sleep_for(scheduler_, pause);
    if (!dht_->known_peers().empty()) save_peers(path);
  }
}

std::vector<net::PeerAddress> Node::load_peers(const std::string& path) {
  std::vector<net::PeerAddress> peers;
  const auto file = read_file(path, max_peers_file);
  if (!file) return peers;
  std::string_view text = as_text(*file);
  std::size_t unreadable = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    auto peer = net::parse_peer_address(text.substr(0, end));
    if (peer) {
      peers.push_back(std::move(*peer));
    } else {
      ++unreadable;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (unreadable > 0) {
    log::warn("{}: {} lines are no addresses and are left out; the file is written anew", path, unreadable);
  }
  return peers;
}

Task<Result<void>> publish_manifest(dht::Dht& dht, swarm::SignedManifest manifest) {
  auto stored = co_await dht.put(swarm::manifest_key(manifest.manifest.run_id()), manifest.encode());
  if (!stored) co_return fail(std::move(stored).error().in("the manifest could not be published"));
  co_return Result<void>();
}

Task<void> keep_published(net::Scheduler& scheduler, dht::Dht& dht, swarm::SignedManifest manifest) {
  for (;;) {
    auto published = co_await publish_manifest(dht, manifest);
    // Alone, nobody takes it; the next try finds who has come meanwhile.
    if (!published) log::debug("{}", published.error().message);
    co_await net::sleep_for(scheduler, published ? publish_interval : net::Duration(5s));
  }
}

Task<Result<swarm::SignedManifest>> find_manifest(net::Scheduler& scheduler, dht::Dht& dht, swarm::RunId run,
                                                  net::Duration limit) {
  const net::TimePoint deadline = scheduler.now() + limit;
  for (;;) {
    auto value =
        co_await net::with_deadline(scheduler, deadline, dht.get(swarm::manifest_key(run)), "the look-up");
    if (value) co_return checked_manifest(*value, run, "the DHT");
    const std::string why = std::move(value).error().message;
    if (scheduler.now() + retry_pause >= deadline) {
      co_return fail(
          ErrorCode::not_found,
          fmt::format("the run {} was not found in the DHT within {:.0f} s ({}); check the run id, that the "
                      "bootstrap node is the author's, and that the author has published it (run new "
                      "--bootstrap, or join)",
                      to_hex(run), net::seconds(limit), why));
    }
    log::info("the run is not in the DHT yet ({}), looking again", why);
    co_await net::sleep_for(scheduler, retry_pause);
  }
}

}  // namespace testudo::node
