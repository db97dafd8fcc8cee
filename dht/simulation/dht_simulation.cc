#include "dht/simulation/dht_simulation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "dht/simulation/full_tables.h"
#include "dht/simulation/sim_dht_network.h"

namespace testudo::dht {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t in_flight = 32;           // operations at a time
constexpr std::size_t most_tries = 1000;        // to draw a node that has not been drawn yet
constexpr net::Duration patience = 10min;       // for one operation: beyond every timeout of a lookup
constexpr net::Duration filling_tables = 1min;  // of those that joined last, in the background
constexpr double greatest_hops = 1.1;           // times those of full tables
constexpr double hops_with_churn = 1.5;         // tables are behind what lives
constexpr double chance = 2;                // standard errors: what a mean of so few lookups may be off by
constexpr double nearest_with_churn = 0.9;  // some of the k nearest have just come or gone
constexpr double newest_with_churn = 0.95;  // all holders of a value may be away
constexpr std::size_t value_bytes = 100;
constexpr std::size_t greatest_table_buckets = 40;  // far more than the nodes of any simulation fill

net::SimOptions network_options(const DhtSimulationOptions& options) {
  net::SimOptions out;
  out.seed = options.seed;
  out.loss = options.loss;
  out.jitter = options.jitter;
  return out;
}

net::SimHostOptions host_options(const DhtSimulationOptions& options) {
  net::SimHostOptions out;
  out.latency = options.latency / 2;
  return out;
}

std::string share_text(std::size_t part, std::size_t whole) {
  return std::to_string(part) + " of " + std::to_string(whole);
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of the mean; nothing is known of a single value.
double standard_error(const std::vector<double>& values) {
  if (values.size() < 2) return std::numeric_limits<double>::infinity();
  double squares = 0;
  for (const double value : values) squares += (value - mean(values)) * (value - mean(values));
  const auto count = static_cast<double>(values.size());
  return std::sqrt(squares / (count - 1) / count);
}

class Simulation {
 public:
  Simulation(const DhtSimulationOptions& options, DhtSimulationObserver* observer)
      : options_(options),
        observer_(observer),
        network_(network_options(options), host_options(options)),
        rng_(crypto::Hasher("testudo/simulation/dht").integer(options.seed).finish()) {}

  DhtSimulationReport run() {
    join();
    report_.joining_time = now().time_since_epoch();
    wait(1, now() + filling_tables, "joining", options_.nodes, options_.nodes);
    if (options_.kills_per_minute > 0) plan(until_next_kill(), nobody);
    write(1);
    write(2);
    read();
    look();
    measure();
    return std::move(report_);
  }

 private:
  struct Value {
    std::size_t owner;
    std::string key;
    std::uint64_t stored_sequence = 0;  // of the last put that somebody took
  };
  // One operation under way: it ends, or dies with its node.
  struct Operation {
    std::size_t node;
    net::TimePoint started;
  };
  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);

  TimePoint now() { return network_.scheduler().now(); }
  void broken(std::string property, std::string what) {
    report_.broken.push_back({std::move(property), std::move(what)});
  }

  // --- nodes that come and go ---

  void plan(net::Duration delay, std::size_t restart) { faults_.emplace(now() + delay, restart); }
  net::Duration until_next_kill() {
    return net::from_seconds(-std::log(1 - rng_.unit()) * 60 / options_.kills_per_minute);
  }
  void apply_faults() {
    while (!faults_.empty() && faults_.begin()->first <= now()) {
      const std::size_t restart = faults_.begin()->second;
      faults_.erase(faults_.begin());
      truth_.reset();
      if (restart != nobody) {
        network_.restart(restart);
        network_.tasks(restart).spawn(rejoin(restart));
        continue;
      }
      plan(until_next_kill(), nobody);
      if (network_.live() < 3) continue;  // somebody has to ask
      const std::size_t victim = network_.pick();
      std::erase_if(operations_, [victim](const auto& entry) { return entry.second.node == victim; });
      network_.kill(victim);
      ++report_.kills;
      plan(net::from_seconds(2 * rng_.unit() * net::seconds(options_.downtime)), victim);
    }
  }
  Task<void> rejoin(std::size_t i) {
    auto joined = co_await network_.bootstrap(i);
    (void)joined;  // it tries again when it refreshes
  }

  // --- operations, at most so many at a time ---

  std::uint64_t begin(std::size_t node) {
    operations_[next_operation_] = {node, now()};
    return next_operation_++;
  }
  // Runs until fewer than `count` operations are under way, and at least until `earliest`.
  void wait(std::size_t count, net::TimePoint earliest, const std::string& phase, std::size_t done,
            std::size_t total) {
    if (stuck_) return;
    const net::TimePoint limit = std::max(now(), earliest) + patience;
    while (operations_.size() >= count || now() < earliest) {
      if (now() >= limit) {
        broken("ends", phase + ": an operation does not end");
        stuck_ = true;
        return;
      }
      net::TimePoint next = std::min(limit, now() + 1s);
      if (now() < earliest) next = std::min(next, earliest);
      if (!faults_.empty()) next = std::min(next, faults_.begin()->first);
      network_.scheduler().run_until(
          [&] { return operations_.size() < count && network_.scheduler().now() >= earliest; }, next);
      apply_faults();
      tell(phase, done, total);
    }
  }
  void tell(const std::string& phase, std::size_t done, std::size_t total) {
    if (observer_ != nullptr) observer_->on_progress(phase, done, total, now().time_since_epoch());
  }
  template <typename Start>
  void each(const std::string& phase, std::size_t total, Start start) {
    const net::Duration step = total > 0 ? options_.spread / (3 * static_cast<long>(total)) : net::Duration{};
    for (std::size_t i = 0; i < total && !stuck_; ++i) {
      start(i);
      wait(in_flight, now() + step, phase, i + 1, total);
    }
    wait(1, now(), phase, total, total);
    tell(phase, total, total);
  }

  // --- the phases ---

  void join() {
    network_.add();
    network_.tasks(0).spawn(join_one(0, begin(0)));
    wait(1, now(), "joining", 1, options_.nodes);
    // Many at once, but never more than are there already.
    while (network_.size() < options_.nodes && !stuck_) {
      const std::size_t before = network_.size();
      const std::size_t batch =
          std::min({before, options_.nodes - before, std::max<std::size_t>(50, options_.nodes / 50)});
      for (std::size_t i = 0; i < batch; ++i) {
        network_.add();
        const std::size_t node = network_.size() - 1;
        network_.tasks(node).spawn(join_one(node, begin(node)));
      }
      wait(1, now(), "joining", network_.size(), options_.nodes);
    }
    tell("joining", options_.nodes, options_.nodes);
    if (report_.joined < options_.nodes) {
      broken("joined", share_text(report_.joined, options_.nodes) + " nodes found their place");
    }
  }
  Task<void> join_one(std::size_t i, std::uint64_t operation) {
    auto joined = co_await network_.bootstrap(i);
    if (joined) ++report_.joined;
    operations_.erase(operation);
  }

  void write(std::uint64_t sequence) {
    if (values_.empty()) {
      for (std::size_t i = 0; i < options_.puts; ++i) {
        const std::size_t owner = network_.pick();
        const std::string name = "simulated " + std::to_string(i);
        values_.push_back({owner, OwnedValue::key_of(network_.host(owner).id(), name)});
      }
    }
    std::size_t stored = 0;
    std::size_t tried = 0;
    each("writing", values_.size(), [&](std::size_t i) {
      // Signed by its owner, put by whoever lives.
      const std::size_t node = network_.alive(values_[i].owner) ? values_[i].owner : network_.pick();
      network_.tasks(node).spawn(write_one(node, begin(node), values_[i], sequence, tried, stored));
    });
    report_.stored += stored;
    if (stored < tried) broken("stored", share_text(stored, tried) + " values were taken by somebody");
  }
  Task<void> write_one(std::size_t node, std::uint64_t operation, Value& value, std::uint64_t sequence,
                       std::size_t& tried, std::size_t& stored) {
    Bytes payload(value_bytes);
    rng_.fill(payload);
    const auto expires = network_.scheduler().unix_now() + std::chrono::hours(24);
    auto record = OwnedValue::make(network_.host(value.owner).identity(), value.key, sequence, expires,
                                   std::move(payload));
    auto put = co_await network_.node(node).put(value.key, std::move(record));
    ++tried;
    if (put) {
      ++stored;
      value.stored_sequence = sequence;
    }
    operations_.erase(operation);
  }

  void read() {
    if (values_.empty()) return;
    each("reading", options_.gets, [&](std::size_t i) {
      const Value& value = values_[i % values_.size()];
      if (value.stored_sequence == 0) return;
      const std::size_t node = network_.pick();
      network_.tasks(node).spawn(read_one(node, begin(node), value));
    });
    std::ranges::sort(report_.get_seconds);
    const double share = options_.kills_per_minute > 0 ? newest_with_churn : 1;
    if (static_cast<double>(report_.newest) < share * static_cast<double>(report_.attempted)) {
      broken("newest", share_text(report_.newest, report_.attempted) + " readers got the newest value, " +
                           std::to_string(report_.older) + " an older one");
    }
  }
  Task<void> read_one(std::size_t node, std::uint64_t operation, const Value& value) {
    auto record = co_await network_.node(node).get(value.key);
    ++report_.attempted;
    report_.get_seconds.push_back(net::seconds(now() - operations_.at(operation).started));
    if (record) {
      const auto opened = OwnedValue::open(value.key, *record, network_.scheduler().unix_now());
      // A put whose node died on the way may have been taken as well.
      const bool newest = opened && opened->sequence >= value.stored_sequence;
      ++(newest ? report_.newest : report_.older);
    }
    operations_.erase(operation);
  }

  void look() {
    Looked looked;
    std::set<std::size_t> used;  // one lookup a node, so that its count of hops is that lookup's
    each("looking", std::min(options_.lookups, options_.nodes / 2), [&](std::size_t) {
      // Among few that live there may be none.
      std::size_t tries = most_tries;
      std::size_t node = network_.pick();
      while (used.contains(node) && --tries > 0) node = network_.pick();
      if (!used.insert(node).second) return;
      Bytes key(32);
      rng_.fill(key);
      network_.tasks(node).spawn(look_one(node, begin(node), std::move(key), looked));
    });
    report_.lookups = looked.hops.size();
    if (looked.hops.empty()) return;
    const bool churn = options_.kills_per_minute > 0;
    report_.nearest =
        looked.wanted > 0 ? static_cast<double>(looked.found) / static_cast<double>(looked.wanted) : 1;
    report_.hops = mean(looked.hops);
    report_.full_table_hops = mean(looked.ideal);
    if (report_.nearest < (churn ? nearest_with_churn : 1)) {
      broken("nearest", share_text(looked.found, looked.wanted) + " of those that are nearest were found");
    }
    std::vector<double> excess;
    for (std::size_t i = 0; i < looked.hops.size(); ++i) {
      excess.push_back(looked.hops[i] - (churn ? hops_with_churn : greatest_hops) * looked.ideal[i]);
    }
    if (mean(excess) > chance * standard_error(excess)) {
      broken("hops", std::to_string(report_.hops) + " a lookup, with full tables " +
                         std::to_string(report_.full_table_hops));
    }
  }
  struct Looked {
    std::size_t found = 0;
    std::size_t wanted = 0;
    std::vector<double> hops;   // of each lookup
    std::vector<double> ideal;  // of the same ones with full tables
  };
  Task<void> look_one(std::size_t node, std::uint64_t operation, Bytes key, Looked& looked) {
    Dht& dht = network_.node(node);
    const Dht::Statistics before = dht.statistics();
    auto closest = co_await dht.find_closest(key);
    const Dht::Statistics& after = dht.statistics();
    operations_.erase(operation);
    if (after.lookups != before.lookups + 1) co_return;  // it refreshed meanwhile
    const PeerId& asker = network_.host(node).id();
    const FullTables& truth = full_tables();
    for (const PeerId& peer : truth.nearest(place_of(key), RoutingTable::Options{}.k, asker)) {
      ++looked.wanted;
      if (std::ranges::find(closest, peer, &PeerAddress::id) != closest.end()) ++looked.found;
    }
    looked.hops.push_back(static_cast<double>(after.hops - before.hops));
    looked.ideal.push_back(static_cast<double>(truth.hops(asker, place_of(key), DhtOptions{}.alpha)));
  }
  const FullTables& full_tables() {
    if (!truth_) {
      std::vector<PeerId> live;
      for (std::size_t i = 0; i < network_.size(); ++i) {
        if (network_.alive(i)) live.push_back(network_.host(i).id());
      }
      truth_.emplace(live, RoutingTable::Options{}.k);
    }
    return *truth_;
  }

  void measure() {
    std::size_t live = 0;
    for (std::size_t i = 0; i < network_.size(); ++i) {
      if (!network_.alive(i)) continue;
      const Dht& node = network_.node(i);
      ++live;
      report_.table_size += static_cast<double>(node.table().size());
      report_.connections += static_cast<double>(network_.host(i).connected_peers().size());
      report_.requests += node.statistics().requests;
      report_.failed_requests += node.statistics().failed_requests;
      const std::size_t most = RoutingTable::Options{}.k * greatest_table_buckets;
      if (!node.table().is_sane() || node.table().size() > most ||
          node.records().records() > RecordStore::Limits{}.records) {
        broken("sane", "node " + std::to_string(i) + " breaks the rules of its table or its store");
      }
    }
    report_.table_size /= static_cast<double>(live);
    report_.connections /= static_cast<double>(live);
    report_.segments = network_.network().segments();
    report_.virtual_time = now().time_since_epoch();
    report_.trace = network_.network().trace();
  }

  const DhtSimulationOptions& options_;
  DhtSimulationObserver* observer_;
  SimDhtNetwork network_;
  crypto::SeededRng rng_;
  DhtSimulationReport report_;
  std::multimap<net::TimePoint, std::size_t> faults_;  // whom to start again; nobody: whom to kill is drawn
  std::map<std::uint64_t, Operation> operations_;
  std::uint64_t next_operation_ = 0;
  bool stuck_ = false;  // one does not end: nothing more is begun
  std::vector<Value> values_;
  std::optional<FullTables> truth_;  // of those that live now
};

}  // namespace

DhtSimulationReport simulate_dht(const DhtSimulationOptions& options, DhtSimulationObserver* observer) {
  return Simulation(options, observer).run();
}

}  // namespace testudo::dht
