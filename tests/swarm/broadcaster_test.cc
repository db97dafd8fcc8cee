// The broadcaster's keeping of what comes too early, for members and for peers that the ledger does not know
// yet.
#include "swarm/broadcaster.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "net/async/sim_scheduler.h"
#include "net/async/task_group.h"
#include "tests/swarm/testing.h"

namespace testudo::swarm {
namespace {

using namespace std::chrono_literals;

struct Pair {
  Pair()
      : keys(testing::make_keys(2)), broadcaster(scheduler, keys[0], [this](const auto&, Bytes frame) {
          sent.push_back(std::move(frame));
        }) {}

  PhaseKey key(std::uint64_t round) const { return {RoundNumber(round), Attempt(0), Phase::commit}; }
  BroadcastFrame message(std::uint64_t round) const {
    return PhaseMessage::sign(run, key(round), to_bytes("from the other"), keys[1]);
  }
  // What this member agrees on in the COMMIT of a round, and after how long.
  std::pair<std::size_t, net::Duration> agree(std::uint64_t round) {
    AgreedBroadcast::Setup setup;
    setup.run = run;
    setup.key = key(round);
    setup.expected = {keys[0].peer_id(), keys[1].peer_id()};
    std::ranges::sort(setup.expected);
    setup.voters = {setup.expected.begin(), setup.expected.end()};
    setup.deadline = scheduler.now() + 5s;
    setup.delta = 100ms;
    setup.max_payload = 1024;
    std::size_t agreed = 0;
    bool done = false;
    const net::TimePoint begun = scheduler.now();
    net::TaskGroup tasks(scheduler);
    const auto run_phase = [](Broadcaster& on, AgreedBroadcast::Setup what, std::size_t& found,
                              bool& ended) -> net::Task<void> {
      const auto set = co_await on.agree(std::move(what), to_bytes("mine"));
      found = set.size();
      ended = true;
    };
    tasks.spawn(run_phase(broadcaster, std::move(setup), agreed, done));
    scheduler.run_until([&] { return done; }, scheduler.now() + 60s);
    REQUIRE(done);
    return {agreed, scheduler.now() - begun};
  }

  RunId run{};
  net::SimScheduler scheduler;
  std::vector<crypto::KeyPair> keys;
  std::vector<Bytes> sent;
  Broadcaster broadcaster;
};

TEST_CASE("a message that came before its phase counts, of a member and of who was not known as one yet") {
  for (const bool known : {true, false}) {
    CAPTURE(known);
    Pair pair;
    const PeerId other = pair.keys[1].peer_id();
    if (known) {
      CHECK(pair.broadcaster.receive(other, pair.message(2), 100));
      CHECK(pair.broadcaster.heard_of(pair.key(2)));
    } else {
      pair.broadcaster.receive_of_unknown(other, pair.message(2), 100);
      CHECK_FALSE(pair.broadcaster.heard_of(pair.key(2)));  // strangers start nothing
    }
    CHECK(pair.agree(1).first == 1);
    CHECK(pair.agree(2).first == 2);
    CHECK(pair.agree(3).first == 1);
  }
}

TEST_CASE("frames of unknown peers are few and small, and go when their round has passed") {
  Pair pair;
  const PeerId other = pair.keys[1].peer_id();
  pair.broadcaster.receive_of_unknown(other, pair.message(2), Broadcaster::unknown_frame_bytes + 1);
  CHECK(pair.agree(2).first == 1);
  pair.broadcaster.receive_of_unknown(other, pair.message(4), 100);
  pair.broadcaster.forget_before(RoundNumber(5), Attempt(0));
  pair.broadcaster.receive_of_unknown(other, pair.message(6), 100);
  for (std::size_t i = 0; i < Broadcaster::unknown_frames_per_peer; ++i) {
    pair.broadcaster.receive_of_unknown(other, pair.message(7 + i), 100);
  }
  CHECK(pair.agree(6).first == 1);  // the newest stay
  CHECK(pair.agree(7).first == 2);
}

}  // namespace
}  // namespace testudo::swarm
