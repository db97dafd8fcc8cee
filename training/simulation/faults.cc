#include "training/simulation/faults.h"

#include <algorithm>
#include <cmath>

#include "crypto/hash.h"

namespace testudo::training {

namespace {
using namespace std::chrono_literals;

// Late joiners come within this time.
constexpr net::Duration latest_start = 60s;

crypto::SeededRng faults_rng(std::uint64_t seed) {
  // Another stream than the network's, which is drawn from the seed itself.
  return crypto::SeededRng(crypto::Hasher("testudo/simulation/faults").integer(seed).finish());
}
}  // namespace

net::Duration FaultOptions::longest_absence() const {
  // See Faults::about().
  return 2 * std::max({kills_per_minute > 0 ? downtime : net::Duration{},
                       late > 0 ? latest_start / 2 : net::Duration{},
                       partitions_per_minute > 0 ? partition_time : net::Duration{}});
}

Faults::Faults(SimSwarm& swarm, FaultOptions options, std::uint64_t seed)
    : swarm_(swarm), options_(options), rng_(faults_rng(seed)) {
  const std::size_t first_late = swarm_.size() - std::min(options_.late, swarm_.options().joiners);
  for (std::size_t i = 0; i < swarm_.size(); ++i) {
    if (i < first_late) {
      swarm_.start(i);
    } else {
      plan(net::from_seconds(rng_.unit() * net::seconds(latest_start)), Kind::start, i);
    }
  }
  if (options_.kills_per_minute > 0) plan(until_next(options_.kills_per_minute), Kind::kill);
  if (options_.partitions_per_minute > 0) plan(until_next(options_.partitions_per_minute), Kind::cut);
}

net::TimePoint Faults::next() const {
  return events_.empty() ? net::TimePoint::max() : events_.begin()->when;
}

void Faults::plan(net::Duration delay, Kind kind, std::size_t member) {
  events_.insert({swarm_.scheduler().now() + delay, next_order_++, kind, member});
}

void Faults::apply() {
  while (!events_.empty() && events_.begin()->when <= swarm_.scheduler().now()) {
    const Event event = *events_.begin();
    events_.erase(events_.begin());
    switch (event.kind) {
      case Kind::start:
        swarm_.start(event.member);
        break;
      case Kind::kill:
        if (!breaking_) break;
        kill_somebody();
        plan(until_next(options_.kills_per_minute), Kind::kill);
        break;
      case Kind::cut:
        if (!breaking_) break;
        cut_network();
        break;
      case Kind::heal:
        swarm_.heal();
        plan(until_next(options_.partitions_per_minute), Kind::cut);
        break;
    }
  }
}

void Faults::kill_somebody() {
  std::vector<std::size_t> alive;
  for (std::size_t i = 0; i < swarm_.size(); ++i) {
    if (swarm_.member(i).running() && !swarm_.member(i).ended) alive.push_back(i);
  }
  if (alive.empty()) return;
  const std::size_t victim = alive[static_cast<std::size_t>(rng_.below(alive.size()))];
  swarm_.crash(victim);
  ++kills_;
  plan(about(options_.downtime), Kind::start, victim);
}

void Faults::cut_network() {
  std::vector<std::size_t> one_side;
  for (std::size_t i = 0; i < swarm_.size(); ++i) {
    if (rng_.below(2) == 0) one_side.push_back(i);
  }
  swarm_.partition(one_side);
  ++partitions_;
  plan(about(options_.partition_time), Kind::heal);
}

net::Duration Faults::until_next(double per_minute) {
  return net::from_seconds(-std::log(1 - rng_.unit()) * 60 / per_minute);
}

// Uniform up to twice as long, so that some come back within the attempt in which they died, and some long
// after.
net::Duration Faults::about(net::Duration mean) {
  return net::from_seconds(2 * rng_.unit() * net::seconds(mean));
}

}  // namespace testudo::training
