// The agreed broadcast, with the input as the adversary: it chooses how long each frame travels (at most Δ
// between honest members), and what the hostile members, at most F, sign and show to whom and when. Safety:
// honest members that finish hold the same set, with every honest message in it, and name the same liars;
// nobody is blamed who did not sign twice.
#include "swarm/agreed_broadcast.h"

#include "tests/fuzz/fuzz.h"
#include "tests/swarm/testing.h"

namespace testudo::fuzz {
namespace {

using namespace swarm;
using namespace std::chrono_literals;

constexpr net::Duration tick = 25ms;
constexpr net::Duration delta = 4 * tick;
const net::TimePoint start{1h};
constexpr int deadline_ticks = 20;
const RunId run_id{};
const PhaseKey phase{RoundNumber(7), Attempt(0), Phase::commit};

class Group {
 public:
  Group(std::size_t hostile, Script& script)
      : script_(script), hostile_(hostile), size_(2 * hostile + 2 + script.below(2)) {
    for (std::size_t i = 0; i < size_; ++i) ids_.push_back(all_keys()[i].peer_id());
    for (std::size_t i = 0; i < size_; ++i) {
      entered_.push_back(static_cast<int>(script.below(5)));
      AgreedBroadcast::Setup setup{run_id, phase, ids_, {ids_.begin(), ids_.end()}, hostile_, {}, delta};
      setup.deadline = start + (entered_[i] + deadline_ticks) * tick;
      machines_.push_back(std::make_unique<AgreedBroadcast>(setup, all_keys()[i]));
    }
    // The hostile members' own messages, and what they could relay for one another.
    for (std::size_t i = 0; i < hostile_; ++i) {
      for (std::uint8_t version = 0; version < 2; ++version) {
        lies_.emplace_back(PhaseMessage::sign(run_id, phase, Bytes{200, version}, key_of_hostile(i)));
      }
    }
  }

  void run() {
    // Every relay slot, and some time after.
    const int last = deadline_ticks + 8 * static_cast<int>(hostile_ + 2) + 8;
    for (now_ = 0; now_ <= last; ++now_) {
      for (std::size_t i = hostile_; i < size_; ++i) {
        if (now_ == entered_[i]) machines_[i]->send(time(), Bytes{static_cast<std::uint8_t>(i)});
        pump(i);
      }
      while (!script_.done() && script_.below(4) == 0) lie();
      deliver();
      for (std::size_t i = hostile_; i < size_; ++i) {
        if (machines_[i]->next_deadline() <= time()) machines_[i]->advance(time());
        pump(i);
      }
    }
  }

  void check() const {
    const AgreedBroadcast& first = *machines_[hostile_];
    TESTUDO_CHECK(first.finished());
    for (std::size_t i = hostile_; i < size_; ++i) {
      const AgreedBroadcast& machine = *machines_[i];
      TESTUDO_CHECK(machine.finished());
      TESTUDO_CHECK(payloads(machine) == payloads(first));
      // A fast proof says nothing of contradictions; those that ended without one agree on them.
      if (!machine.fast() && !first.fast()) TESTUDO_CHECK(machine.contradicted() == first.contradicted());
      for (std::size_t j = hostile_; j < size_; ++j) {
        TESTUDO_CHECK(machine.result().contains(ids_[j]));
        TESTUDO_CHECK(!machine.equivocations().contains(ids_[j]));
      }
      for (const auto& [offender, evidence] : machine.equivocations()) TESTUDO_CHECK(evidence.verify(run_id));
    }
  }

 private:
  // Hostile members come first in `machines_`, wherever their ids stand in the roster's order.
  static const std::vector<crypto::KeyPair>& all_keys() {
    static const std::vector<crypto::KeyPair> keys = testing::make_keys(7);
    return keys;
  }
  const crypto::KeyPair& key_of_hostile(std::size_t i) const { return all_keys()[i]; }
  static std::vector<std::pair<PeerId, Bytes>> payloads(const AgreedBroadcast& machine) {
    std::vector<std::pair<PeerId, Bytes>> set;
    for (const auto& [author, message] : machine.result()) set.emplace_back(author, message.payload);
    return set;
  }
  net::TimePoint time() const { return start + now_ * tick; }

  void pump(std::size_t from) {
    for (BroadcastFrame& frame : machines_[from]->take_output()) {
      seen_.push_back(frame);
      for (std::size_t to = hostile_; to < size_; ++to) {
        if (to != from) travelling_.push_back({now_ + static_cast<int>(script_.below(5)), to, frame});
      }
    }
  }
  void deliver() {
    for (std::size_t i = 0; i < travelling_.size(); ++i) {
      if (travelling_[i].arrives > now_) continue;
      const Travelling arrived = std::exchange(travelling_[i], {INT32_MAX, 0, RelayBundle{}});
      machines_[arrived.to]->receive(time(), arrived.frame);
      pump(arrived.to);
    }
    std::erase_if(travelling_, [](const Travelling& t) { return t.arrives == INT32_MAX; });
  }

  void relay_by_friends(Relayed& item) {
    const std::uint8_t who = script_.byte();
    for (std::size_t i = 0; i < hostile_; ++i) {
      if ((who >> i & 1) != 0) item.add_relay(run_id, key_of_hostile(i));
    }
  }
  // A digest that somebody honest signed, of nothing, or of anything.
  Digest some_set() {
    const std::uint8_t choice = script_.byte();
    std::uint8_t nth = static_cast<std::uint8_t>(choice / 2);
    for (const BroadcastFrame& frame : seen_) {
      if (const auto* held = std::get_if<HeldMessage>(&frame);
          held != nullptr && choice % 2 == 0 && nth-- == 0) {
        return held->set;
      }
    }
    return Digest{choice};
  }
  // One thing that a hostile member sends to one honest member, now.
  void lie() {
    const std::size_t to = hostile_ + script_.below(size_ - hostile_);
    const crypto::KeyPair& liar = key_of_hostile(script_.below(hostile_));
    BroadcastFrame frame = RelayBundle{};
    switch (script_.below(7)) {
      case 0:
        frame = lies_[script_.below(lies_.size())];
        break;
      case 1: {
        Relayed item{lies_[script_.below(lies_.size())], {}};
        relay_by_friends(item);
        frame = RelayBundle{std::move(item)};
        break;
      }
      case 2:
        frame = HeldMessage::sign(run_id, phase, some_set(), liar);
        seen_.push_back(frame);
        break;
      case 3: {  // a proof from all the signatures on one set that were seen, and those of friends
        FastProof proof{phase, some_set(), {}};
        for (const BroadcastFrame& other : seen_) {
          const auto* held = std::get_if<HeldMessage>(&other);
          if (held != nullptr && held->set == proof.set) proof.holders.emplace(held->holder, held->signature);
        }
        for (std::size_t i = 0; i < hostile_; ++i) {
          const auto held = HeldMessage::sign(run_id, phase, proof.set, key_of_hostile(i));
          proof.holders.emplace(held.holder, held.signature);
        }
        Relayed item{std::move(proof), {}};
        relay_by_friends(item);
        frame = RelayBundle{std::move(item)};
        break;
      }
      case 4:  // something that was seen, again, with friends' relays where it is a bundle
        if (seen_.empty()) return;
        frame = seen_[script_.below(seen_.size())];
        if (auto* bundle = std::get_if<RelayBundle>(&frame)) {
          for (Relayed& item : *bundle) relay_by_friends(item);
        }
        break;
      case 5: {  // a forged message of somebody honest
        PhaseMessage forged = PhaseMessage::sign(run_id, phase, Bytes{201}, liar);
        forged.author = ids_[to == hostile_ ? hostile_ + 1 : hostile_];
        frame = forged;
        break;
      }
      default: {  // bytes
        if (seen_.empty()) return;
        Bytes bytes = encode(seen_[script_.below(seen_.size())]);
        bytes[script_.number(2) % bytes.size()] ^= script_.byte();
        auto decoded = decode_broadcast_frame(bytes);
        if (!decoded) return;
        frame = std::move(*decoded);
      }
    }
    machines_[to]->receive(time(), frame);
    pump(to);
  }

  struct Travelling {
    int arrives;
    std::size_t to;
    BroadcastFrame frame;
  };

  Script& script_;
  std::size_t hostile_;
  std::size_t size_;
  std::vector<PeerId> ids_;
  std::vector<int> entered_;
  std::vector<std::unique_ptr<AgreedBroadcast>> machines_;
  std::vector<PhaseMessage> lies_;
  std::vector<BroadcastFrame> seen_;
  std::vector<Travelling> travelling_;
  int now_ = 0;
};

void run(ByteView input) {
  Script script(input);
  // Two hostile members among six cost ten times as much as one among four, and find little else.
  Group group(script.byte() % 8 == 7 ? 2 : 1, script);
  group.run();
  group.check();
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    crypto::SeededRng rng(seed);
    Bytes bytes(static_cast<std::size_t>(40 + 40 * seed));
    rng.fill(bytes);
    bytes[0] = static_cast<std::uint8_t>(seed);
    out.push_back(bytes);
  }
  return out;
}

const Registered target({"agreed_broadcast", run, seeds, 200});

}  // namespace
}  // namespace testudo::fuzz
