// StateStore: the training states that a member keeps: on disk the certified one and the one that it signed
// for, in memory the last few, for members that are a step behind. Owned by the participant; loop thread
// only.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "net/storage/storage.h"
#include "training/round/state.h"

namespace testudo::training {

class StateStore {
 public:
  using State = std::shared_ptr<const TrainingState>;

  explicit StateStore(net::Storage& storage) : storage_(storage) {}
  // `sizes` of the run's states.
  Result<void> open(const TrainingState::Sizes& sizes);

  // What has to be written so that the state of this root is on disk; nothing when it is. The caller writes
  // it together with what depends on it, then says stored().
  std::vector<net::Storage::Entry> to_store(const Digest& root, const TrainingState& state) const;
  // What has to be written so that only the state of this root stays.
  std::vector<net::Storage::Entry> to_forget_all_but(const Digest& root) const;
  void stored(const std::vector<net::Storage::Entry>& entries);

  // Keeps it in memory, for others.
  void remember(const Digest& root, State state);
  // From memory, else from disk, checked against the root; null when there is none.
  State find(const Digest& root);

 private:
  net::Storage& storage_;
  TrainingState::Sizes sizes_;
  std::set<std::string> on_disk_;
  std::deque<std::pair<Digest, State>> recent_;
};

}  // namespace testudo::training
