#include "swarm/agreed_broadcast.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "crypto/rng.h"

namespace testudo::swarm {
namespace {

using namespace std::chrono_literals;
using net::Duration;
using net::TimePoint;

constexpr Duration delta = 100ms;
const TimePoint start{1h};
const TimePoint deadline = start + 1s;
const PhaseKey phase_key{RoundNumber(7), Attempt(0), Phase::commit};

// A group whose frames travel with a delay of at most Δ; hostile members do what the seed says, and so do all
// that have no vote.
class Group {
 public:
  Group(std::size_t voters, std::size_t hostile, std::uint64_t seed, std::size_t without_vote = 0)
      : rng_(seed) {
    const std::size_t members = voters + without_vote;
    for (std::size_t i = 0; i < members; ++i) keys_.push_back(crypto::KeyPair::generate(rng_));
    std::ranges::sort(keys_, {}, &crypto::KeyPair::peer_id);
    for (const auto& key : keys_) ids_.push_back(key.peer_id());
    // 2: without a vote.
    hostile_.assign(members, 0);
    for (std::size_t i = 0; i < hostile; ++i) hostile_[i] = 1;
    for (std::size_t i = voters; i < members; ++i) hostile_[i] = 2;
    rng_.shuffle(hostile_);
    std::set<PeerId> with_vote;
    for (std::size_t i = 0; i < members; ++i) {
      if (hostile_[i] != 2) with_vote.insert(ids_[i]);
    }
    for (std::size_t i = 0; i < members; ++i) {
      AgreedBroadcast::Setup setup{run_, phase_key, ids_, with_vote, hostile, {}, delta};
      // Honest members enter within Δ of one another.
      entered_.push_back(start + random_delay());
      setup.deadline = deadline + (entered_[i] - start);
      machines_.push_back(std::make_unique<AgreedBroadcast>(setup, keys_[i]));
    }
  }

  bool is_hostile(std::size_t i) const { return hostile_[i] != 0; }
  const PeerId& id(std::size_t i) const { return ids_[i]; }
  AgreedBroadcast& machine(std::size_t i) { return *machines_[i]; }
  std::size_t size() const { return keys_.size(); }

  void run() {
    for (std::size_t i = 0; i < size(); ++i) {
      if (!is_hostile(i))
        at(entered_[i], [this, i] {
          machines_[i]->send(now_, Bytes{static_cast<std::uint8_t>(i)});
          pump(i);
        });
      if (is_hostile(i)) misbehave(i);
    }
    while (!events_.empty() && now_ < start + 1min) {
      auto event = std::move(events_.begin()->second);
      now_ = events_.begin()->first.first;
      events_.erase(events_.begin());
      event();
    }
  }

  TimePoint finished_at(std::size_t i) const {
    const auto found = finished_.find(i);
    return found == finished_.end() ? TimePoint::max() : found->second;
  }

 private:
  Duration random_delay() {
    return Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(delta.count()))));
  }
  void at(TimePoint when, std::function<void()> event) {
    events_.emplace(std::pair(when, next_++), std::move(event));
  }

  // Through the wire form, as in a real group.
  void deliver(std::size_t to, const BroadcastFrame& frame, TimePoint when) {
    auto decoded = decode_broadcast_frame(encode(frame));
    REQUIRE(decoded.has_value());
    at(when, [this, to, arrived = *decoded] {
      machines_[to]->receive(now_, arrived);
      pump(to);
    });
  }

  void pump(std::size_t i) {
    for (const auto& frame : machines_[i]->take_output()) {
      for (std::size_t to = 0; to < size(); ++to) {
        if (to != i && !is_hostile(to)) deliver(to, frame, now_ + random_delay());
        if (is_hostile(to)) seen_.push_back(frame);
      }
    }
    if (machines_[i]->finished()) {
      finished_.try_emplace(i, now_);
    } else {
      at(machines_[i]->next_deadline(), [this, i] {
        machines_[i]->advance(now_);
        pump(i);
      });
    }
  }

  // Random lies: one or two messages, to random subsets, at random times, alone or relayed by hostile
  // friends; set digests of every kind to random subsets; old frames of others again.
  void misbehave(std::size_t i) {
    std::vector<PhaseMessage> messages;
    const std::uint64_t versions = rng_.below(3);
    for (std::uint64_t v = 0; v < versions; ++v) {
      messages.push_back(
          PhaseMessage::sign(run_, phase_key, Bytes{200, static_cast<std::uint8_t>(v)}, keys_[i]));
    }
    const auto random_time = [this] {
      return start +
             Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>((3s).count()))));
    };
    for (std::size_t to = 0; to < size(); ++to) {
      if (is_hostile(to)) continue;
      for (const auto& message : messages) {
        if (rng_.below(2) == 0)
          deliver(to, message, rng_.below(3) == 0 ? random_time() : start + random_delay());
        if (rng_.below(2) == 0) {
          Relayed relayed{message, {}};
          for (std::size_t friendly = 0; friendly < size(); ++friendly) {
            if (is_hostile(friendly) && rng_.below(2) == 0) relayed.add_relay(run_, keys_[friendly]);
          }
          deliver(to, RelayBundle{relayed}, random_time());
        }
      }
      if (rng_.below(2) == 0) {
        Digest digest{};
        digest[0] = static_cast<std::uint8_t>(rng_.below(3));
        deliver(to, HeldMessage::sign(run_, phase_key, digest, keys_[i]), start + random_delay());
      }
      at(random_time(), [this, i, to] {
        // Agree with what an honest member signed, but only towards this one.
        for (const auto& frame : seen_) {
          if (const auto* held = std::get_if<HeldMessage>(&frame)) {
            deliver(to, HeldMessage::sign(run_, phase_key, held->set, keys_[i]), now_);
            break;
          }
        }
        if (!seen_.empty()) deliver(to, seen_[static_cast<std::size_t>(rng_.below(seen_.size()))], now_);
      });
    }
  }

  crypto::SeededRng rng_;
  RunId run_{};
  std::vector<crypto::KeyPair> keys_;
  std::vector<PeerId> ids_;
  std::vector<char> hostile_;
  std::vector<TimePoint> entered_;
  std::vector<std::unique_ptr<AgreedBroadcast>> machines_;
  std::map<std::pair<TimePoint, std::uint64_t>, std::function<void()>> events_;
  std::uint64_t next_ = 0;
  TimePoint now_ = start;
  std::vector<BroadcastFrame> seen_;
  std::map<std::size_t, TimePoint> finished_;
};

void check_agreement(Group& group, std::size_t hostile_count) {
  std::optional<std::vector<std::pair<PeerId, Bytes>>> first;
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group.is_hostile(i)) continue;
    REQUIRE(group.machine(i).finished());
    CHECK(group.finished_at(i) <=
          deadline + delta + 2 * delta * static_cast<std::int64_t>(hostile_count + 1));
    std::vector<std::pair<PeerId, Bytes>> set;
    for (const auto& [author, message] : group.machine(i).result()) set.emplace_back(author, message.payload);
    if (!first) first = set;
    REQUIRE(set == *first);
    for (std::size_t j = 0; j < group.size(); ++j) {
      if (!group.is_hostile(j)) REQUIRE(group.machine(i).result().contains(group.id(j)));
    }
  }
}

// No honest member names another as late, nor as one that kept back what it holds but names nobody itself.
void check_names(Group& group) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group.is_hostile(i)) continue;
    const auto late = group.machine(i).late();
    const auto unconfirmed = group.machine(i).unconfirmed();
    for (std::size_t j = 0; j < group.size(); ++j) {
      if (group.is_hostile(j)) continue;
      CHECK_FALSE(std::ranges::binary_search(late, group.id(j)));
      if (std::ranges::binary_search(unconfirmed, group.id(j))) CHECK_FALSE(group.machine(j).late().empty());
    }
  }
}

TEST_CASE("without faults a phase ends by the fast proof, long before its deadline") {
  for (std::size_t members : {1U, 2U, 3U, 10U}) {
    CAPTURE(members);
    Group group(members, 0, members);
    group.run();
    check_agreement(group, 0);
    for (std::size_t i = 0; i < members; ++i) {
      CHECK(group.machine(i).fast());
      CHECK(group.machine(i).result().size() == members);
      CHECK(group.finished_at(i) < start + 5 * delta);
      CHECK(group.machine(i).late().empty());
      CHECK(group.machine(i).unconfirmed().empty());
    }
  }
}

TEST_CASE("honest members agree whatever hostile ones send to whom and when") {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    crypto::SeededRng rng(seed);
    const std::size_t members = 3 + static_cast<std::size_t>(rng.below(7));
    const std::size_t hostile = 1 + static_cast<std::size_t>(rng.below((members - 1) / 2));
    Group group(members, hostile, seed);
    group.run();
    check_agreement(group, hostile);
    check_names(group);
  }
}

TEST_CASE("any number of members without a vote changes nothing of that") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    crypto::SeededRng rng(seed);
    const std::size_t voters = 3 + static_cast<std::size_t>(rng.below(4));
    const std::size_t hostile = static_cast<std::size_t>(rng.below((voters + 1) / 2));
    Group group(voters, hostile, seed, 1 + static_cast<std::size_t>(rng.below(8)));
    group.run();
    check_agreement(group, hostile);
    check_names(group);
  }
}

// Members that are `unreachable` hear only from the others, which hand on what those say; `silent` hand on
// nothing. All frames arrive at once.
class Unreachable {
 public:
  Unreachable(std::size_t reachable, std::size_t unreachable, bool silent) {
    crypto::SeededRng rng(std::uint64_t{10});
    AgreedBroadcast::Setup setup{RunId{}, phase_key, {}, {}, 1, deadline, delta};
    for (std::size_t i = 0; i < reachable + unreachable; ++i) {
      keys_.push_back(crypto::KeyPair::generate(rng));
      setup.expected.push_back(keys_.back().peer_id());
      if (i >= reachable) setup.unreachable.insert(keys_.back().peer_id());
    }
    setup.voters = {setup.expected.begin(), setup.expected.end()};
    std::ranges::sort(setup.expected);
    for (const auto& key : keys_) machines_.push_back(std::make_unique<AgreedBroadcast>(setup, key));
    for (std::size_t i = 0; i < keys_.size(); ++i) machines_[i]->send(start, Bytes{1});
    const auto is_unreachable = [&](std::size_t i) { return i >= reachable; };
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < keys_.size(); ++i) {
        for (const auto& frame : machines_[i]->take_output()) {
          more = true;
          for (std::size_t to = 0; to < keys_.size(); ++to) {
            if (to != i && !(is_unreachable(i) && is_unreachable(to))) machines_[to]->receive(start, frame);
          }
        }
        for (const auto& [author, frame] : machines_[i]->take_forwards()) {
          more = true;
          ++forwards_;
          for (std::size_t to = reachable; to < keys_.size() && !silent; ++to) {
            if (keys_[to].peer_id() != author) machines_[to]->receive(start, frame);
          }
        }
      }
    }
  }

  std::size_t forwards() const { return forwards_; }
  std::size_t finished() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(machines_, [](const auto& machine) { return machine->fast(); }));
  }

 private:
  std::vector<crypto::KeyPair> keys_;
  std::vector<std::unique_ptr<AgreedBroadcast>> machines_;
  std::size_t forwards_ = 0;
};

TEST_CASE("members that nobody can connect to hear one another through four of the others") {
  Unreachable group(9, 5, false);
  CHECK(group.finished() == 14);
  CHECK(group.forwards() == 5 * 2 * 4);  // of each its message and what it holds
  CHECK(Unreachable(2, 5, false).finished() == 7);
  CHECK(Unreachable(5, 1, false).forwards() == 0);
  CHECK(Unreachable(3, 2, true).finished() == 0);
}

TEST_CASE("members without a vote need not say what they hold, and a phase waits for no digest of theirs") {
  crypto::SeededRng rng(std::uint64_t{9});
  std::vector<crypto::KeyPair> keys;
  for (int i = 0; i < 3; ++i) keys.push_back(crypto::KeyPair::generate(rng));
  std::vector<PeerId> ids;
  for (const auto& key : keys) ids.push_back(key.peer_id());
  std::vector<PeerId> ascending = ids;
  std::ranges::sort(ascending);
  const std::set<PeerId> voters{ids[0], ids[1]};
  AgreedBroadcast one({RunId{}, phase_key, ascending, voters, 0, deadline, delta}, keys[0]);
  AgreedBroadcast two({RunId{}, phase_key, ascending, voters, 0, deadline, delta}, keys[1]);
  AgreedBroadcast third({RunId{}, phase_key, ascending, voters, 0, deadline, delta}, keys[2]);
  one.send(start, Bytes{1});
  two.send(start, Bytes{2});
  third.send(start, Bytes{3});
  const auto exchange = [](AgreedBroadcast& from, std::vector<AgreedBroadcast*> to) {
    for (const auto& frame : from.take_output()) {
      for (AgreedBroadcast* machine : to) machine->receive(start, frame);
    }
  };
  exchange(third, {&one, &two});
  exchange(one, {&two, &third});
  CHECK_FALSE(one.finished());
  exchange(two, {&one, &third});
  exchange(one, {&two, &third});
  CHECK(one.fast());
  CHECK(one.result().size() == 3);
  CHECK(one.unconfirmed().empty());
  exchange(two, {&one, &third});
  CHECK(two.fast());
  CHECK(third.fast());
}

// What the first of three members says of the third, whose message arrives then; the second is honest.
struct Named {
  bool late = false;
  bool unconfirmed = false;
  bool second = false;  // whether it says anything of that
};
Named named_of(TimePoint entered, TimePoint arrives, std::optional<TimePoint> confirms,
               bool with_one_without_vote = false) {
  crypto::SeededRng rng(8);
  std::vector<crypto::KeyPair> keys;
  for (int i = 0; i < 3; ++i) keys.push_back(crypto::KeyPair::generate(rng));
  std::vector<PeerId> ids;
  for (const auto& key : keys) ids.push_back(key.peer_id());
  std::vector<PeerId> ascending = ids;
  const auto name = crypto::KeyPair::generate(rng);
  if (with_one_without_vote) ascending.push_back(name.peer_id());
  std::ranges::sort(ascending);
  AgreedBroadcast machine({RunId{}, phase_key, ascending, {ids.begin(), ids.end()}, 1, deadline, delta},
                          keys[0]);
  machine.receive(start, PhaseMessage::sign(RunId{}, phase_key, Bytes{1}, keys[1]));
  if (with_one_without_vote) machine.receive(start, PhaseMessage::sign(RunId{}, phase_key, Bytes{3}, name));
  const auto message = PhaseMessage::sign(RunId{}, phase_key, Bytes{2}, keys[2]);
  if (arrives <= entered) machine.receive(arrives, message);
  machine.send(entered, Bytes{0});
  if (arrives > entered) machine.receive(arrives, message);
  Digest set{};
  for (const auto& frame : machine.take_output()) {
    if (const auto* held = std::get_if<HeldMessage>(&frame)) set = held->set;
  }
  const TimePoint complete = std::max(arrives, entered);
  if (complete < deadline) machine.receive(complete, HeldMessage::sign(RunId{}, phase_key, set, keys[1]));
  if (confirms) machine.receive(*confirms, HeldMessage::sign(RunId{}, phase_key, set, keys[2]));
  while (!machine.finished()) machine.advance(machine.next_deadline());
  const auto late = machine.late();
  const auto unconfirmed = machine.unconfirmed();
  return {std::ranges::count(late, ids[2]) == 1, std::ranges::count(unconfirmed, ids[2]) == 1,
          std::ranges::count(late, ids[1]) + std::ranges::count(unconfirmed, ids[1]) > 0};
}

TEST_CASE(
    "whose message comes in the last slot is late, and who never says what it holds has not confirmed") {
  const Named good = named_of(start, start + delta, start + 2 * delta);
  CHECK_FALSE(good.late);
  CHECK_FALSE(good.unconfirmed);
  const Named late = named_of(start, deadline - delta, deadline - delta);
  CHECK(late.late);
  CHECK_FALSE(late.unconfirmed);
  CHECK_FALSE(late.second);
  const Named silent = named_of(start, start + delta, std::nullopt);
  CHECK_FALSE(silent.late);
  CHECK(silent.unconfirmed);
  CHECK_FALSE(silent.second);
  const Named too_late = named_of(start, start + delta, deadline + delta);
  CHECK(too_late.unconfirmed);
  // Who comes too late itself names nobody.
  const Named tardy = named_of(deadline - delta, deadline - delta / 2, std::nullopt);
  CHECK_FALSE(tardy.late);
  CHECK_FALSE(tardy.unconfirmed);
}

TEST_CASE("where members without a vote are expected nobody is named for what it did not confirm") {
  // They may have sent their messages to some so late that these held nothing to confirm before T.
  CHECK(named_of(start, start + delta, std::nullopt).unconfirmed);
  const Named silent = named_of(start, start + delta, std::nullopt, true);
  CHECK_FALSE(silent.unconfirmed);
  CHECK_FALSE(silent.second);
  CHECK(named_of(start, deadline - delta, deadline - delta, true).late);
}

TEST_CASE("two signed payloads in one place are evidence that anybody can check") {
  crypto::SeededRng rng(1);
  const auto a = crypto::KeyPair::generate(rng);
  const auto b = crypto::KeyPair::generate(rng);
  std::vector<PeerId> ids{a.peer_id(), b.peer_id()};
  std::ranges::sort(ids);
  AgreedBroadcast machine({RunId{}, phase_key, ids, {ids.begin(), ids.end()}, 0, deadline, delta}, a);
  machine.send(start, Bytes{1});
  const auto first = PhaseMessage::sign(RunId{}, phase_key, Bytes{2}, b);
  const auto second = PhaseMessage::sign(RunId{}, phase_key, Bytes{3}, b);
  CHECK(machine.receive(start, first));
  CHECK(machine.receive(start, second));
  REQUIRE(machine.equivocations().contains(b.peer_id()));
  const Equivocation& evidence = machine.equivocations().at(b.peer_id());
  CHECK(evidence.verify(RunId{}));
  auto again = Equivocation::decode(evidence.encode());
  REQUIRE(again.has_value());
  CHECK(again->verify(RunId{}));
  CHECK(again->digest(RunId{}) == Equivocation::between(second, first).digest(RunId{}));
  // The same message twice proves nothing, nor does a forged one.
  CHECK_FALSE(Equivocation::between(first, first).verify(RunId{}));
  PhaseMessage forged = first;
  forged.payload = Bytes{9};
  CHECK_FALSE(Equivocation::between(first, forged).verify(RunId{}));
}

TEST_CASE("messages of others, of other phases and with wrong signatures are refused") {
  crypto::SeededRng rng(2);
  const auto a = crypto::KeyPair::generate(rng);
  const auto b = crypto::KeyPair::generate(rng);
  const auto stranger = crypto::KeyPair::generate(rng);
  std::vector<PeerId> ids{a.peer_id(), b.peer_id()};
  std::ranges::sort(ids);
  AgreedBroadcast machine({RunId{}, phase_key, ids, {ids.begin(), ids.end()}, 0, deadline, delta}, a);
  CHECK_FALSE(machine.receive(start, PhaseMessage::sign(RunId{}, phase_key, Bytes{2}, stranger)));
  const PhaseKey other{RoundNumber(8), Attempt(0), Phase::commit};
  CHECK_FALSE(machine.receive(start, PhaseMessage::sign(RunId{}, other, Bytes{2}, b)));
  Digest other_run{};
  other_run[0] = 1;
  CHECK_FALSE(machine.receive(start, PhaseMessage::sign(other_run, phase_key, Bytes{2}, b)));
  CHECK_FALSE(machine.receive(start, HeldMessage::sign(RunId{}, phase_key, Digest{}, stranger)));
  CHECK(machine.held() == 0);
}

TEST_CASE("a bundle of several phases, or an oversized payload, is refused whole") {
  crypto::SeededRng rng(4);
  const auto a = crypto::KeyPair::generate(rng);
  const auto b = crypto::KeyPair::generate(rng);
  std::vector<PeerId> ids{a.peer_id(), b.peer_id()};
  std::ranges::sort(ids);
  AgreedBroadcast::Setup setup{RunId{}, phase_key, ids, {ids.begin(), ids.end()}, 0, deadline, delta};
  setup.max_payload = 100;
  AgreedBroadcast machine(setup, a);
  const PhaseKey other{RoundNumber(8), Attempt(0), Phase::commit};
  const RelayBundle mixed{{PhaseMessage::sign(RunId{}, phase_key, Bytes{2}, b), {}},
                          {PhaseMessage::sign(RunId{}, other, Bytes{2}, b), {}}};
  CHECK_FALSE(decode_broadcast_frame(encode(mixed)).has_value());
  CHECK_FALSE(machine.receive(start, mixed));
  CHECK_FALSE(machine.receive(start, PhaseMessage::sign(RunId{}, phase_key, Bytes(101, 0), b)));
  CHECK(machine.held() == 0);
  CHECK(machine.receive(start, PhaseMessage::sign(RunId{}, phase_key, Bytes(100, 0), b)));
  CHECK(machine.held() == 1);
}

TEST_CASE("every truncation of a frame and random bytes are errors, never crashes") {
  crypto::SeededRng rng(3);
  const auto key = crypto::KeyPair::generate(rng);
  Relayed relayed{PhaseMessage::sign(RunId{}, phase_key, Bytes(40, 7), key), {}};
  relayed.add_relay(RunId{}, key);
  Relayed proof{FastProof{phase_key, Digest{}, {{key.peer_id(), {}}}}, {}};
  const std::vector<BroadcastFrame> frames{PhaseMessage::sign(RunId{}, phase_key, Bytes(40, 7), key),
                                           HeldMessage::sign(RunId{}, phase_key, Digest{}, key),
                                           RelayBundle{relayed, proof}};
  for (const auto& frame : frames) {
    const Bytes whole = encode(frame);
    CHECK(decode_broadcast_frame(whole).has_value());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK_FALSE(decode_broadcast_frame(ByteView(whole).first(size)).has_value());
    }
    for (int i = 0; i < 300; ++i) {
      Bytes changed = whole;
      changed[static_cast<std::size_t>(rng.below(changed.size()))] ^=
          static_cast<std::uint8_t>(1 + rng.below(255));
      (void)decode_broadcast_frame(changed);
    }
  }
  for (int i = 0; i < 2000; ++i) {
    Bytes noise(static_cast<std::size_t>(rng.below(100)));
    rng.fill(noise);
    (void)decode_broadcast_frame(noise);
  }
}

}  // namespace
}  // namespace testudo::swarm
