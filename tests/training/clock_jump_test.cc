// Wall clocks that jump. Deadlines count on the monotonic clock, so that the rounds notice nothing; records
// in the DHT expire by the wall clock, and are back when it is right again.
#include "tests/training/sim_testing.h"

namespace testudo::training {
namespace {

net::Task<void> look_up(dht::Dht& dht, Digest run, std::optional<std::set<net::PeerId>>& found) {
  auto entries = co_await dht.run_entries(run);
  std::set<net::PeerId> peers;
  if (entries) {
    for (const auto& entry : *entries) peers.insert(entry.peer);
  }
  found = std::move(peers);
}

// Whom the run's dictionary names to that member.
std::set<net::PeerId> listed(SimSwarm& swarm, std::size_t reader) {
  std::optional<std::set<net::PeerId>> found;
  net::TaskGroup tasks(swarm.scheduler());
  tasks.spawn(look_up(*swarm.member(reader).dht, swarm.manifest().run_id(), found));
  REQUIRE(run_until(swarm, [&] { return found.has_value(); }, 1min));
  return *found;
}

TEST_CASE("a wall clock that jumps by an hour or a day disturbs no round, and the dictionary recovers") {
  for (const std::chrono::milliseconds error : {1h, -1h, 24h, -24h}) {
    for (const bool all : {false, true}) {
      CAPTURE(error.count());
      CAPTURE(all);
      // Rounds of some nine seconds; the fourth member comes later.
      SimSwarm swarm({.founders = 2,
                      .joiners = 2,
                      .dimension = 20,
                      .rounds = 100'000,
                      .start_members = 3,
                      .codec = "fp32",
                      .work = 1300ms});
      for (std::size_t i = 0; i < 3; ++i) swarm.start(i);
      REQUIRE(run_until(swarm, [&] { return swarm.last_round(2) >= 2; }, 5min));
      const auto set_clocks = [&](std::chrono::milliseconds to) {
        for (std::size_t i = all ? 0 : 1; i < (all ? 3 : 2); ++i) swarm.member(i).process.set_clock_error(to);
      };
      set_clocks(error);
      const std::uint64_t before = swarm.last_round(0);
      run_until(swarm, [] { return false; }, 4min);
      for (std::size_t i = 0; i < 3; ++i) CHECK(swarm.last_round(i) >= before + 15);
      const auto joins = [&swarm] { return !swarm.member(3).reports.empty(); };
      if (!all) {  // whose clock is right still find the others
        swarm.start(3);
        CHECK(run_until(swarm, joins, 2min));
      }
      set_clocks({});
      run_until(swarm, [] { return false; }, 2min);
      for (std::size_t reader = 0; reader < 3; ++reader) {
        const auto found = listed(swarm, reader);
        for (std::size_t i = 0; i < 3; ++i) {
          if (i != reader) CHECK(found.contains(swarm.member(i).host->id()));
        }
      }
      if (all) {
        swarm.start(3);
        CHECK(run_until(swarm, joins, 2min));
      }
      for (std::size_t i = 0; i < 4; ++i) CHECK(swarm.member(i).removals.empty());
    }
  }
}

}  // namespace
}  // namespace testudo::training
