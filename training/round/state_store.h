// StateStore: the training states that a member keeps: on disk the certified one and the one that it signed
// for, in memory the last few, for members that are a step behind. Owned by the participant; loop thread
// only, large files are written on the pool.
//
// 1. On disk a state is a snapshot, or a step: the name of the state before and the reduced parts as they
// travelled.
//    The step is deterministic, so whoever has the state before has this one. With int8 a step takes a
//    quarter of the parameters' bytes, a snapshot all of them and what the optimizer and the rule keep
//    besides.
// 2. A snapshot is written when the steps since the last one would outgrow it, or are many: restarting
// repeats them.
// 3. What is kept is certified or signed for, and what these stand on; the rest goes with the next
// certificate.
// 4. A state that was read or repeated counts only if its root is the one that was asked for.
// 5. Snapshots and steps serve others, too, for as long as they lie there: several rounds, and a newcomer
//    that stores them as they came has them where everybody has them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/async/task.h"
#include "net/storage/storage.h"
#include "swarm/sync.h"
#include "training/round/next_state.h"

namespace testudo::net {
class Scheduler;
}

namespace testudo::training {

// What a part of the aggregate was: its encoded bytes, or nothing where it was absent.
struct ReducedPart {
  PartRange range;
  Blob bytes;
};

class StateStore final : public swarm::StateSource {
 public:
  using State = std::shared_ptr<const TrainingState>;
  using Entries = std::vector<net::Storage::Entry>;
  static constexpr std::size_t steps_after_snapshot = 64;
  // In the place of the initial state's root: everybody makes that state, and nobody stores it.
  static constexpr Digest initial{};
  // Behind a snapshot so many steps stay, for whoever is that far behind and needs no snapshot.
  static constexpr std::size_t steps_before_snapshot = 4;

  StateStore(net::Scheduler& scheduler, net::Storage& storage) : scheduler_(scheduler), storage_(storage) {}
  Result<void> open(std::shared_ptr<const RoundRules> rules);

  // What has to be written so that the state of this root is on disk; nothing when it is. The bytes are there
  // when the task ends; the caller writes the entries together with what depends on them, then says stored().
  // `before`: the root of the state that it was stepped from with `reduced`, or `initial`; without parts it
  // is stored whole.
  net::Task<Result<Entries>> prepare(Digest root, State state, Digest before,
                                     std::vector<ReducedPart> reduced);
  // The same with a step as others gave it, when it has been repeated.
  net::Task<Result<Entries>> prepare(Digest root, State state, Digest before,
                                     std::shared_ptr<const Bytes> step);
  // What has to be written so that only the state of this root, and what it stands on, stays; `entries` are
  // what is written with it.
  Entries to_forget_all_but(const Digest& root, const Entries& entries) const;
  void stored(const Entries& entries);

  bool is_on_disk(const Digest& root) const { return on_disk_.contains(root); }

  // Keeps it in memory, for others.
  void remember(const Digest& root, State state);
  // From memory, else from disk, checked against the root; null when there is none.
  State find(const Digest& root);
  // The state of this root as it lies in `storage`. not_found when it does not; corrupt when what lies there
  // is another.
  static Result<State> load(net::Storage& storage, const std::shared_ptr<const RoundRules>& rules,
                            const Digest& root);

  // For others: what is in memory, and snapshots. Nothing is computed for whoever asks.
  Value state(const Digest& root) override;
  swarm::StatePath path(const Digest& root) override;
  Value step(const Digest& root) override;
  // More than a step of this run takes.
  static std::size_t max_step_bytes(const RoundRules& rules);
  // The state of `root`, by a step that came from anybody. CPU-bound, any thread. corrupt: it does not make
  // that.
  static Result<State> repeat(const std::shared_ptr<const RoundRules>& rules, State before, ByteView step,
                              const Digest& root);

 private:
  struct Kept {
    bool snapshot = false;
    bool step = false;           // a snapshot's is for others, who have the state before
    Digest before{};             // of a step
    std::size_t step_bytes = 0;  // of this step and those before it
    std::size_t steps = 0;
    std::uint64_t round = 0;  // while it is prepared
  };
  struct Step;

  Kept place_of(const TrainingState& state, const Digest& before, std::size_t step_bytes) const;
  net::Task<Result<Entries>> stage(Digest root, Kept kept, State state,
                                   std::function<std::vector<ByteView>()> step);
  bool is_whole(const Digest& root) const;
  Value open_value(const Digest& root, bool snapshot);

  net::Scheduler& scheduler_;
  net::Storage& storage_;
  std::shared_ptr<const RoundRules> rules_;
  std::map<Digest, Kept> on_disk_;
  std::map<Digest, Kept> prepared_;  // and not stored yet
  std::deque<std::pair<Digest, State>> recent_;
};

}  // namespace testudo::training
