// One simulated network of DHT nodes: they join, write values twice and read them while nodes come and go,
// and look for what is nearest. What `testudo simulate dht` runs once for every seed. A pure function of its
// options. The properties that it checks, by name:
//
//   joined    everybody finds its place through the bootstrap node
//   stored    every value is taken by somebody
//   newest    a reader gets the newest value, not an older one, and not nothing
//   nearest   a lookup for a place finds the k nearest of all live nodes
//   hops      on average lookups take at most 1.1 times the hops of the same lookups with full tables; two
//             standard errors of that average more are chance
//   sane      every routing table keeps its rules, and every table and store its bounds
#pragma once

#include <string>
#include <vector>

#include "net/async/scheduler.h"

namespace testudo::dht {

struct DhtSimulationOptions {
  std::size_t nodes = 1000;
  std::size_t puts = 100;  // values, each written twice by its owner
  std::size_t gets = 300;  // by nodes drawn at random
  std::size_t lookups = 100;
  double loss = 0;                                        // share of packets
  net::Duration latency = std::chrono::milliseconds(20);  // one way between two nodes
  net::Duration jitter = std::chrono::milliseconds(2);
  double kills_per_minute = 0;  // of nodes drawn at random, after all have joined; 0: nobody dies
  net::Duration downtime = std::chrono::seconds(30);  // on average, until they are started again, empty
  // Writing and reading are spread over so much time, for nodes to come and go; 0: as fast as it goes.
  net::Duration spread{};
  std::uint64_t seed = 1;
};

struct BrokenProperty {
  std::string property;
  std::string what;
};

struct DhtSimulationReport {
  std::vector<BrokenProperty> broken;  // empty: all properties held
  std::size_t joined = 0;
  std::size_t stored = 0;     // of the puts
  std::size_t attempted = 0;  // gets whose reader lived to see the end
  std::size_t newest = 0;
  std::size_t older = 0;
  std::size_t lookups = 0;
  double nearest = 0;  // share of the k nearest that lookups found
  double hops = 0;     // of a lookup, on average
  double full_table_hops = 0;
  std::vector<double> get_seconds;  // ascending
  std::uint64_t kills = 0;
  std::uint64_t requests = 0;
  std::uint64_t failed_requests = 0;
  std::uint64_t segments = 0;
  double table_size = 0;  // of a node, on average
  double connections = 0;
  net::Duration joining_time{};
  net::Duration virtual_time{};
  std::uint64_t trace = 0;
};

class DhtSimulationObserver {
 public:
  virtual ~DhtSimulationObserver() = default;
  // Every virtual second or so: `done` of `total` in this phase ("joining", "writing", "reading", "looking").
  virtual void on_progress(const std::string& /*phase*/, std::size_t /*done*/, std::size_t /*total*/,
                           net::Duration /*virtual_time*/) {}
};

DhtSimulationReport simulate_dht(const DhtSimulationOptions& options,
                                 DhtSimulationObserver* observer = nullptr);

}  // namespace testudo::dht
