#include "training/round/state_store.h"

#include <algorithm>
#include <optional>
#include <set>

#include "crypto/base/encoding.h"
#include "crypto/base/log.h"
#include "net/async/combinators.h"
#include "net/messages/message.h"

namespace testudo::training {

using net::Task;

namespace {

constexpr std::string_view snapshot_prefix = "state/";
constexpr std::string_view step_prefix = "step/";
// The newest state is in memory anyway; older ones wait for others as long as they take no more than this.
constexpr std::size_t recent_states = 3;
constexpr std::size_t recent_bytes = 32 * 1024 * 1024;

std::string key_of(const Digest& root, bool snapshot) {
  return std::string(snapshot ? snapshot_prefix : step_prefix) + to_hex(root);
}

struct WirePart {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
  bool present = false;
  MSGPACK_DEFINE_ARRAY(begin, size, present)
};

// In front of the bytes of a step, behind its own length.
struct WireStep {
  Digest before{};
  std::vector<WirePart> parts;
  MSGPACK_DEFINE_ARRAY(before, parts)
};

constexpr std::size_t length_bytes = 4;
// What was prepared for an earlier round has been overtaken.
constexpr std::uint64_t kept_rounds = 2;

}  // namespace

// A step as it lies on disk.
struct StateStore::Step {
  Digest before{};
  std::vector<PartRange> ranges;
  std::vector<bool> present;
  std::size_t head_bytes = 0;  // where the parts begin

  static Bytes head(const Digest& before, const std::vector<ReducedPart>& reduced) {
    WireStep wire{before, {}};
    for (const auto& part : reduced)
      wire.parts.push_back({part.range.begin, part.range.size, part.bytes != nullptr});
    const Bytes packed = net::pack(wire);
    Bytes bytes;
    append_be(bytes, packed.size(), length_bytes);
    append(bytes, packed);
    return bytes;
  }

  static Result<Step> decode(ByteView bytes) {
    if (bytes.size() < length_bytes || read_be(bytes.first(length_bytes)) > bytes.size() - length_bytes) {
      return fail(ErrorCode::corrupt, "a step that was cut");
    }
    Step step;
    step.head_bytes = length_bytes + static_cast<std::size_t>(read_be(bytes.first(length_bytes)));
    TRY(const auto wire, net::unpack<WireStep>(bytes.first(step.head_bytes).subspan(length_bytes)));
    step.before = wire.before;
    for (const auto& part : wire.parts) {
      step.ranges.push_back({static_cast<std::size_t>(part.begin), static_cast<std::size_t>(part.size), 0});
      step.present.push_back(part.present);
    }
    return step;
  }

  // The state after it. corrupt: bytes that are not those of such a step.
  Result<State> repeat(const std::shared_ptr<const RoundRules>& rules, State from, ByteView bytes) const {
    NextState next(rules, std::move(from));
    ByteView rest = bytes.subspan(head_bytes);
    std::size_t end = 0;
    for (std::size_t j = 0; j < ranges.size(); ++j) {
      const PartRange& range = ranges[j];
      const std::size_t left = rules->state_sizes().parameters - end;
      if (range.begin != end || range.size > left)
        return fail(ErrorCode::corrupt, "a step whose parts do not fit");
      end += range.size;
      if (!present[j]) {
        next.leave_out(range);
        continue;
      }
      const std::size_t size = std::min(encoded_size(rules->codec, range.size), rest.size());
      if (!next.place(range, rest.first(size)))
        return fail(ErrorCode::corrupt, "a step that does not decode");
      rest = rest.subspan(size);
    }
    if (end != rules->state_sizes().parameters || !rest.empty()) {
      return fail(ErrorCode::corrupt, "a step of another size");
    }
    return next.step();
  }
};

Result<void> StateStore::open(std::shared_ptr<const RoundRules> rules) {
  rules_ = std::move(rules);
  TRY(const auto snapshots, storage_.keys(snapshot_prefix));
  for (const std::string& key : snapshots) {
    TRY(const Digest root, digest_from_hex(key.substr(snapshot_prefix.size())));
    on_disk_[root].snapshot = true;
  }
  TRY(const auto steps, storage_.keys(step_prefix));
  for (const std::string& key : steps) {
    TRY(const Digest root, digest_from_hex(key.substr(step_prefix.size())));
    TRY(const auto stored, storage_.get(key));
    const auto step = stored ? Step::decode(*stored) : Result<Step>(fail(ErrorCode::corrupt, "it is gone"));
    if (!step) {
      log::warn("a state in the data directory: {}; it is fetched from others if it is needed",
                step.error().message);
      continue;
    }
    Kept& kept = on_disk_[root];
    kept.step = true;
    kept.before = step->before;
    kept.step_bytes = stored->size();  // of this one; those before it are added below
  }
  // How far each is from its snapshot: where the next one is written depends on it.
  std::map<Digest, Kept> counted = on_disk_;
  for (auto& [root, kept] : counted) {
    const Kept* at = &on_disk_.at(root);
    std::size_t bytes = 0;
    while (!at->snapshot && kept.steps <= on_disk_.size()) {
      bytes += at->step_bytes;
      ++kept.steps;
      const auto before = on_disk_.find(at->before);
      if (before == on_disk_.end()) break;  // it will not be found, and is fetched from others
      at = &before->second;
    }
    kept.step_bytes = bytes;
  }
  on_disk_ = std::move(counted);
  return {};
}

// Where a state goes on disk; `step_bytes` 0: there is no step to it.
StateStore::Kept StateStore::place_of(const TrainingState& state, const Digest& before,
                                      std::size_t step_bytes) const {
  Kept kept{.snapshot = true, .round = state.round().value()};
  if (step_bytes == 0) return kept;
  const auto base = on_disk_.find(before);
  if (base == on_disk_.end() && before != initial) return kept;
  kept.step = true;
  kept.before = before;
  // Newcomers have the initial state, and need no snapshot of the first.
  if (base == on_disk_.end()) return kept;
  const std::size_t bytes = base->second.step_bytes + step_bytes;
  const std::size_t steps = base->second.steps + 1;
  if (bytes > state.encoded().size() || steps > steps_after_snapshot) return kept;
  kept.snapshot = false;
  kept.step_bytes = bytes;
  kept.steps = steps;
  return kept;
}

Task<Result<StateStore::Entries>> StateStore::prepare(Digest root, State state, Digest before,
                                                      std::vector<ReducedPart> reduced) {
  if (on_disk_.contains(root)) co_return Entries{};
  auto head = reduced.empty() ? Bytes() : Step::head(before, reduced);
  std::size_t size = head.size();
  for (const auto& part : reduced) size += part.bytes ? part.bytes->size() : 0;
  const Kept kept = place_of(*state, before, size);
  co_return co_await stage(root, kept, std::move(state),
                           [head = std::move(head), reduced = std::move(reduced)] {
                             std::vector<ByteView> views{head};
                             for (const auto& part : reduced) {
                               if (part.bytes) views.emplace_back(*part.bytes);
                             }
                             return views;
                           });
}

Task<Result<StateStore::Entries>> StateStore::prepare(Digest root, State state, Digest before,
                                                      std::shared_ptr<const Bytes> step) {
  if (on_disk_.contains(root)) co_return Entries{};
  const Kept kept = place_of(*state, before, step->size());
  co_return co_await stage(root, kept, std::move(state), [step] { return std::vector<ByteView>{*step}; });
}

Task<Result<StateStore::Entries>> StateStore::stage(Digest root, Kept kept, State state,
                                                    std::function<std::vector<ByteView>()> step) {
  using Staged = std::shared_ptr<net::Storage::Staged>;
  auto staged = co_await net::offload(scheduler_,
                                      [stage = storage_.stager(), kept, state = std::move(state),
                                       step = std::move(step)]() -> Result<std::pair<Staged, Staged>> {
                                        std::pair<Staged, Staged> both;
                                        if (kept.snapshot) {
                                          TRY(both.first, stage({state->encoded()}));
                                        }
                                        if (kept.step) {
                                          TRY(both.second, stage(step()));
                                        }
                                        return both;
                                      });
  if (!staged) co_return fail(std::move(staged).error());
  // Some are never written: what was computed here is not always what is certified.
  std::erase_if(prepared_,
                [&kept](const auto& entry) { return entry.second.round + kept_rounds < kept.round; });
  prepared_.insert_or_assign(root, kept);
  Entries entries;
  if (kept.snapshot) entries.push_back({key_of(root, true), std::nullopt, std::move(staged->first)});
  if (kept.step) entries.push_back({key_of(root, false), std::nullopt, std::move(staged->second)});
  co_return entries;
}

StateStore::Entries StateStore::to_forget_all_but(const Digest& root, const Entries& entries) const {
  std::set<std::string> stays;
  for (const auto& entry : entries) stays.insert(entry.key);
  const auto find_kept = [this](const Digest& digest) -> const Kept* {
    if (const auto found = on_disk_.find(digest); found != on_disk_.end()) return &found->second;
    const auto found = prepared_.find(digest);
    return found != prepared_.end() ? &found->second : nullptr;
  };
  // Back to a snapshot, and some steps further.
  std::set<Digest> seen;
  bool whole = false;
  std::size_t behind = 0;
  Digest at = root;
  for (const Kept* kept = find_kept(at); kept != nullptr && seen.insert(at).second; kept = find_kept(at)) {
    if (kept->snapshot && !whole) stays.insert(key_of(at, true));
    whole = whole || kept->snapshot;
    if (!kept->step || (whole && behind++ == steps_before_snapshot)) break;
    stays.insert(key_of(at, false));
    at = kept->before;
  }
  Entries forgotten;
  for (const auto& [digest, kept] : on_disk_) {
    for (const bool snapshot : {true, false}) {
      const std::string key = key_of(digest, snapshot);
      if ((snapshot ? kept.snapshot : kept.step) && !stays.contains(key))
        forgotten.push_back({key, std::nullopt});
    }
  }
  return forgotten;
}

void StateStore::stored(const Entries& entries) {
  for (const auto& entry : entries) {
    const bool snapshot = entry.key.starts_with(snapshot_prefix);
    if (!snapshot && !entry.key.starts_with(step_prefix)) continue;
    const auto root = digest_from_hex(entry.key.substr((snapshot ? snapshot_prefix : step_prefix).size()));
    if (entry.staged) {
      on_disk_.insert_or_assign(*root, prepared_.at(*root));
      continue;
    }
    const auto kept = on_disk_.find(*root);
    if (kept == on_disk_.end()) continue;
    (snapshot ? kept->second.snapshot : kept->second.step) = false;
    if (!kept->second.snapshot && !kept->second.step) on_disk_.erase(kept);
  }
}

void StateStore::remember(const Digest& root, State state) {
  const auto known = std::ranges::find(recent_, root, &std::pair<Digest, State>::first);
  if (known != recent_.end()) return;
  recent_.emplace_back(root, std::move(state));
  std::size_t older = 0;
  for (std::size_t i = 0; i + 1 < recent_.size(); ++i) older += recent_[i].second->encoded().size();
  while (recent_.size() > recent_states || (recent_.size() > 1 && older > recent_bytes)) {
    older -= recent_.front().second->encoded().size();
    recent_.pop_front();
  }
}

// Whether the steps to it begin at a snapshot.
bool StateStore::is_whole(const Digest& root) const {
  std::set<Digest> seen;
  auto kept = on_disk_.find(root);
  while (kept != on_disk_.end() && !kept->second.snapshot && seen.insert(kept->first).second) {
    kept = on_disk_.find(kept->second.before);
  }
  return kept != on_disk_.end() && kept->second.snapshot;
}

StateStore::State StateStore::find(const Digest& root) {
  const auto known = std::ranges::find(recent_, root, &std::pair<Digest, State>::first);
  if (known != recent_.end()) return known->second;
  if (!is_whole(root)) return nullptr;
  auto state = load(storage_, rules_, root);
  if (!state) {
    log::warn("a state in the data directory: {}", state.error().message);
    on_disk_.erase(root);
    return nullptr;
  }
  remember(root, std::move(*state));
  return recent_.back().second;
}

StateStore::Value StateStore::open_value(const Digest& root, bool snapshot) {
  auto value = storage_.open_value(key_of(root, snapshot));
  if (value) return std::move(*value);
  log::warn("a state in the data directory: {}", value.error().message);
  return nullptr;
}

StateStore::Value StateStore::state(const Digest& root) {
  const auto recent = std::ranges::find(recent_, root, &std::pair<Digest, State>::first);
  const auto kept = on_disk_.find(root);
  if (recent == recent_.end()) {
    return kept != on_disk_.end() && kept->second.snapshot ? open_value(root, true) : nullptr;
  }
  const State& found = recent->second;
  return std::make_shared<net::ValueInMemory<Buffer>>(
      std::shared_ptr<const Buffer>(found, &found->encoded()));
}

swarm::StatePath StateStore::path(const Digest& root) {
  // From the end: the way back to a snapshot, and as far behind it as there are steps.
  swarm::StatePath way;
  std::optional<std::size_t> whole;
  Digest at = root;
  for (auto kept = on_disk_.find(at); kept != on_disk_.end(); kept = on_disk_.find(at)) {
    way.roots.push_back(at);
    if (kept->second.snapshot && !whole) whole = way.roots.size();
    if (!kept->second.step || way.roots.size() + 1 >= swarm::path_limit) break;
    at = kept->second.before;
  }
  if (whole) {
    if (at != way.roots.back()) way.roots.push_back(at);  // whoever has that one needs the steps alone
    std::ranges::reverse(way.roots);
    way.whole = way.roots.size() - *whole;
    return way;
  }
  const bool recent = std::ranges::find(recent_, root, &std::pair<Digest, State>::first) != recent_.end();
  return recent ? swarm::StatePath{{root}, 0} : swarm::StatePath();
}

StateStore::Value StateStore::step(const Digest& root) {
  const auto kept = on_disk_.find(root);
  return kept != on_disk_.end() && kept->second.step ? open_value(root, false) : nullptr;
}

std::size_t StateStore::max_step_bytes(const RoundRules& rules) {
  // Every part's place, and blocks that each part rounds up.
  constexpr std::size_t head_of_a_part = 64;
  constexpr std::size_t most_parts = partition_member_limit;
  return encoded_size(rules.codec, rules.state_sizes().parameters) + most_parts * head_of_a_part;
}

Result<StateStore::State> StateStore::repeat(const std::shared_ptr<const RoundRules>& rules, State before,
                                             ByteView step, const Digest& root) {
  TRY(const Step decoded, Step::decode(step));
  TRY(State state, decoded.repeat(rules, std::move(before), step));
  if (swarm::state_root(state->encoded()) != root) return fail(ErrorCode::corrupt, "a step to another state");
  return state;
}

Result<StateStore::State> StateStore::load(net::Storage& storage,
                                           const std::shared_ptr<const RoundRules>& rules,
                                           const Digest& root) {
  std::vector<Bytes> steps;  // the last first
  Digest at = root;
  while (true) {
    TRY(auto snapshot, storage.get(key_of(at, true)));
    if (snapshot) {
      if (swarm::state_root(*snapshot) != at) return fail(ErrorCode::corrupt, "a snapshot with another root");
      TRY(auto decoded, TrainingState::decode(Buffer::copy_of(*snapshot), rules->state_sizes()));
      State state = std::make_shared<const TrainingState>(std::move(decoded));
      while (!steps.empty()) {
        TRY(const Step step, Step::decode(steps.back()));
        TRY(state, step.repeat(rules, std::move(state), steps.back()));
        steps.pop_back();
      }
      if (swarm::state_root(state->encoded()) != root)
        return fail(ErrorCode::corrupt, "steps to another root");
      return state;
    }
    TRY(auto bytes, storage.get(key_of(at, false)));
    if (!bytes && at == root) return fail(ErrorCode::not_found, "the state is not on disk");
    if (!bytes) return fail(ErrorCode::corrupt, "what it stands on is gone");
    if (steps.size() > steps_after_snapshot) return fail(ErrorCode::corrupt, "steps without a snapshot");
    TRY(const Step step, Step::decode(*bytes));
    steps.push_back(std::move(*bytes));
    at = step.before;
  }
}

}  // namespace testudo::training
