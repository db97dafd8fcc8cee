// Being behind: the training state from others.
//
// Donors say how they come to the state: from which one that they have whole, by which steps (state_store.h).
// Only ways along the certified chain count. Best is one from a state that is here already, so that who
// missed a few rounds fetches a few steps; then the one that most donors have, so that they share the work.
//
// The state where it begins is downloaded from all of them and lies there for several rounds, however fast
// the run goes on; each step may come from any, and counts only if it makes the certified state. Whoever has
// no seat yet does this before it asks for one: once admitted, others wait for it.
#include <algorithm>

#include "crypto/base/log.h"
#include "net/async/combinators.h"
#include "training/round/participant_impl.h"

namespace testudo::training {

namespace {

constexpr net::Duration patience_for_a_path = 3s;
constexpr net::Duration try_again_after = 500ms;
// A donor that takes so much longer than twice what the fastest takes is asked when nobody else is left: one
// member that gives everything late keeps no newcomer from being level.
constexpr net::Duration slower_than_the_fastest = 1s;
// Taken for the time of a donor that was never asked: who was just admitted asks one that it knows to be
// faster.
constexpr net::Duration untried_takes = 1s;
// What is wrong with the line is said when it moved data for so long, and again every minute.
constexpr net::Duration enough_to_judge = 10s;
constexpr net::Duration slow_line_every = 1min;

}  // namespace

struct Participant::Impl::Way {
  std::vector<Digest> roots;   // of states, by steps from the first to the wanted one
  bool begin_is_here = false;  // the first is here; else donors have it whole
  std::vector<PeerId> donors;  // who all have the rest
  std::set<PeerId> dropped;    // of them, who gave no step, or a wrong one
  net::TimePoint steps_begun;  // when its first state was here
};

struct Participant::Impl::Step {
  PeerId donor;
  std::shared_ptr<const Bytes> bytes;
};

// The state of the chain's head.
Task<void> Participant::Impl::fetch_state() {
  followed_in_vain_ = false;
  const Digest root = chain().state_root();
  if (load_state(root)) co_return;  // this member signed for it, and has it
  const net::TimePoint begun = scheduler_.now();
  say_waiting(slow_line_.empty() ? fetching : slow_line_);
  auto way = co_await find_way(donors(), root);
  if (!way) {
    log::debug("training state: nobody here has the one of the last round");
    co_await net::sleep_for(scheduler_, try_again_after);
    co_return;
  }
  // A whole state takes as long as it takes: a seat that comes meanwhile would be lost.
  if (!seated() && level_ && !way->begin_is_here) {
    level_ = false;
    send_to_members(hello());
  }
  const Moved before{scheduler_.now(), host_.traffic().bytes_received};
  auto state = co_await go(*way);
  if (state) {
    state_ = *state;
    const auto steps = static_cast<net::Duration::rep>(way->roots.size()) - 1;
    if (steps > 0) step_time_ = (scheduler_.now() - way->steps_begun) / steps;
    if (step_time_ <= longest_step()) lost_for_its_line_ = false;
  } else {
    log::debug("training state: {}", state.error().message);
  }
  // Soon enough that nobody has to wait for it in the round after its admission.
  level_ = (state || level_) && scheduler_.now() - begun <= longest_step();
  if (seated() || level_) {
    trying_.reset();
    slow_line_.clear();
  } else {
    judge_line(begun, before);
  }
  if (!seated() && level_) send_to_members(hello());
  if (!state) co_await net::sleep_for(scheduler_, try_again_after);
}

// Says so where the line is why there is no seat: the run goes on faster than what its rounds make comes
// here, or the members have waited for this one in vain.
void Participant::Impl::judge_line(net::TimePoint begun, const Moved& before) {
  if (!trying_) trying_ = Trying{.since = begun, .round = chain().next_round().value()};
  trying_->moving += scheduler_.now() - before.when;
  trying_->bytes += host_.traffic().bytes_received - before.bytes;
  const std::uint64_t rounds = chain().next_round().value() - trying_->round;
  if (trying_->moving < enough_to_judge || trying_->bytes == 0) return;
  const double rate = static_cast<double>(trying_->bytes) / net::seconds(trying_->moving);
  const auto bytes = static_cast<double>(encoded_size(rules_->codec, rules_->state_sizes().parameters));
  const double a_round = net::seconds(begun - trying_->since) / std::max(static_cast<double>(rounds), 1.0);
  const bool falls_behind = rounds > 0 && bytes / rate >= a_round;
  if (!falls_behind && !lost_for_its_line_) {
    slow_line_.clear();
    return;
  }
  if (scheduler_.now() < say_slow_line_from_) return;
  say_slow_line_from_ = scheduler_.now() + slow_line_every;
  const double longest =
      std::min(falls_behind ? a_round : net::seconds(longest_step()), net::seconds(longest_step()));
  slow_line_ = fmt::format(
      "the line is too slow for this run: {:.3f} MB/s come here, what a round makes is {:.2f} MB, and the "
      "members {}",
      rate / 1e6, bytes / 1e6,
      falls_behind ? fmt::format("make a round every {:.1f} s", a_round)
                   : fmt::format("wait {:.1f} s for it at most", longest));
  log::warn(
      "{}. This member goes on trying, and gets a seat when {:.3f} MB/s come: with less else on its line, on "
      "another one, or in a run with a smaller model or longer rounds",
      slow_line_, bytes / longest / 1e6);
  say_waiting(slow_line_);
}

// The best that there are: those that lied lately, and those for whom everybody would wait, are asked when
// nobody else is here.
std::vector<PeerId> Participant::Impl::donors() const {
  std::vector<PeerId> all;
  std::vector<PeerId> honest;
  std::vector<PeerId> good;
  for (const auto& member : chain().roster().members()) {
    if (member.id == self_ || !host_.is_connected(member.id)) continue;
    all.push_back(member.id);
    if (is_distrusted(member.id)) continue;
    honest.push_back(member.id);
    const auto time = step_times_.find(member.id);
    const bool waited_for = time != step_times_.end() && time->second >= patience_for_a_path;
    if (!waited_for || !is_slow(member.id)) good.push_back(member.id);
  }
  if (!good.empty()) return good;
  return honest.empty() ? all : honest;
}

// A member that cannot have it by then could not have the results of a round in time, either.
net::Duration Participant::Impl::patience_for_a_step() const {
  return patience_for_a_path + 4 * manifest().exchange_deadline();
}

bool Participant::Impl::is_slow(const PeerId& donor) const {
  const auto own = step_times_.find(donor);
  if (own == step_times_.end()) return false;
  net::Duration fastest = own->second;
  for (const auto& [peer, time] : step_times_) fastest = std::min(fastest, time);
  return own->second > 2 * fastest + slower_than_the_fastest;
}

Task<std::optional<Participant::Impl::Way>> Participant::Impl::find_way(std::vector<PeerId> donors,
                                                                        Digest root) {
  if (donors.size() > donors_asked) {
    // Others the next time: nobody decides by its name whom everybody asks.
    const std::size_t first = donors_asked * ways_looked_for_++ + self_.key().raw()[0];
    std::ranges::rotate(donors, donors.begin() + static_cast<std::ptrdiff_t>(first % donors.size()));
    donors.resize(donors_asked);
  }
  std::vector<Task<Result<swarm::StatePath>>> questions;
  questions.reserve(donors.size());
  for (const PeerId& donor : donors) {
    questions.push_back(net::with_timeout(
        scheduler_, patience_for_a_path, swarm::fetch_path(host_, donor, run_, root), "the path to a state"));
  }
  const auto answers = co_await net::when_all(scheduler_, std::move(questions));
  std::erase_if(step_times_, [this](const auto& entry) { return !chain().roster().contains(entry.first); });
  std::map<std::pair<bool, std::vector<Digest>>, std::vector<PeerId>> ways;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    // All waited for whoever said nothing.
    if (!answers[i] && answers[i].error().code == ErrorCode::timeout) {
      auto& time = step_times_[donors[i]];
      time = std::max(time, patience_for_a_path);
    }
    if (!answers[i] || !leads_along_the_chain(answers[i]->roots)) continue;
    const auto& roots = answers[i]->roots;
    const auto here = std::find_if(roots.rbegin(), roots.rend(),
                                   [this](const Digest& state) { return states_.find(state) != nullptr; });
    const bool found = here != roots.rend();
    const auto begin =
        found ? here.base() - 1 : roots.begin() + static_cast<std::ptrdiff_t>(answers[i]->whole);
    ways[{found, {begin, roots.end()}}].push_back(donors[i]);
  }
  std::optional<Way> best;
  for (const auto& [way, having] : ways) {
    const auto& [begin_is_here, roots] = way;
    const auto rank = [](const Way& it) {
      const auto count = std::ssize(it.donors);
      const auto fewer_steps = -std::ssize(it.roots);
      return it.begin_is_here ? std::tuple(true, fewer_steps, count) : std::tuple(false, count, fewer_steps);
    };
    Way one;
    one.roots = roots;
    one.begin_is_here = begin_is_here;
    one.donors = having;
    if (!best || rank(one) > rank(*best)) best = std::move(one);
  }
  co_return best;
}

// Whether the last rounds that were applied led to exactly these states; all rounds, from the initial state.
bool Participant::Impl::leads_along_the_chain(const std::vector<Digest>& roots) const {
  std::size_t left = roots.size();
  for (std::uint64_t height = chain().height(); left > 0 && height > 0; --height) {
    const auto encoded = ledger_->read(height - 1, 1);
    if (!encoded || encoded->empty()) return false;
    const auto certificate = Certificate::decode(encoded->front());
    if (!certificate) return false;
    if (certificate->outcome.kind != OutcomeKind::apply) continue;
    if (certificate->outcome.state != roots[--left]) return false;
  }
  return left == 0 || (left == 1 && roots.front() == StateStore::initial);
}

void Participant::Impl::begin_fetching(const Way& way) {
  const std::size_t whole = way.begin_is_here ? 0 : TrainingState::encoded_bytes(rules_->state_sizes());
  fetched_ = {.bytes = 0,
              .total = whole + (way.roots.size() - 1) * StateStore::max_step_bytes(*rules_),
              .seconds = 0};
  fetching_from_ = scheduler_.now();
  say_fetched_from_ = fetching_from_ + say_fetched_every;
}

void Participant::Impl::note_fetched(std::size_t bytes) {
  fetched_.bytes += bytes;
  // What a donor began and another has to send again counts twice.
  fetched_.total = std::max(fetched_.total, fetched_.bytes);
  if (scheduler_.now() < say_fetched_from_) return;
  say_fetched_from_ = scheduler_.now() + say_fetched_every;
  fetched_.seconds = net::seconds(scheduler_.now() - fetching_from_);
  observer_.on_fetching(fetched_);
}

Task<Result<StateStore::State>> Participant::Impl::go(Way& way) {
  begin_fetching(way);
  StateStore::State state = way.begin_is_here ? states_.find(way.roots.front()) : nullptr;
  if (!state) {
    auto fetched = co_await fetch_whole(way);
    if (!fetched) co_return fail(std::move(fetched).error());
    state = std::move(*fetched);
  }
  way.steps_begun = scheduler_.now();
  for (std::size_t next = 1; next < way.roots.size();) {
    std::vector<Task<Result<Step>>> asked;
    for (std::size_t i = next; i < std::min(way.roots.size(), next + steps_at_once_); ++i) {
      asked.push_back(fetch_step(way, i));
    }
    auto steps = co_await net::when_all(scheduler_, std::move(asked));
    steps_at_once_ = std::min(steps_at_once_ + 1, most_steps_at_once);
    for (auto& step : steps) {
      auto repeated = co_await repeat(way, next, state, std::move(step));
      if (!repeated) co_return fail(std::move(repeated).error());
      state = std::move(*repeated);
      ++next;
    }
  }
  co_return state;
}

// The state where the way begins.
Task<Result<StateStore::State>> Participant::Impl::fetch_whole(const Way& way) {
  const Digest root = way.roots.front();
  // Others each time: some may be what it failed for.
  std::vector<PeerId> donors = way.donors;
  std::ranges::rotate(donors,
                      donors.begin() + static_cast<std::ptrdiff_t>(wholes_fetched_++ % donors.size()));
  auto bytes = co_await swarm::download_state(host_, downloads_, std::move(donors), run_, root,
                                              TrainingState::encoded_bytes(rules_->state_sizes()),
                                              [this](std::size_t arrived) { note_fetched(arrived); });
  if (!bytes) co_return fail(std::move(bytes).error());
  auto decoded = co_await net::offload(
      scheduler_, [downloaded = std::make_shared<Buffer>(std::move(*bytes)), sizes = rules_->state_sizes()] {
        return TrainingState::decode(std::move(*downloaded), sizes);
      });
  if (!decoded) co_return fail(std::move(decoded).error());
  const auto state = std::make_shared<const TrainingState>(std::move(*decoded));
  states_.remember(root, state);
  co_await store_fetched(states_.prepare(root, state, Digest{}, std::vector<ReducedPart>()), root);
  co_return state;
}

// From the first donor that gives one. The fastest gives the first step of a way, which is the only one of
// who is nearly level; those that are not slow take turns with the others.
Task<Result<Participant::Impl::Step>> Participant::Impl::fetch_step(Way& way, std::size_t index) {
  // Among equals newcomers begin elsewhere.
  std::multimap<net::Duration, PeerId> by_time;
  for (std::size_t i = 0; i < way.donors.size(); ++i) {
    const PeerId& donor = way.donors[(i + self_.key().raw()[0]) % way.donors.size()];
    const auto known = step_times_.find(donor);
    by_time.emplace(known == step_times_.end() ? untried_takes : known->second, donor);
  }
  std::vector<PeerId> order;
  for (const auto& [time, donor] : by_time) order.push_back(donor);
  const auto slow = std::ranges::find_if(order, [this](const PeerId& donor) { return is_slow(donor); });
  if (slow != order.begin()) {
    const auto turn = static_cast<std::ptrdiff_t>(index - 1) % (slow - order.begin());
    std::rotate(order.begin(), order.begin() + turn, slow);
  }
  Error last{ErrorCode::not_found, "no donor of a step is left"};
  for (const PeerId& donor : order) {
    if (way.dropped.contains(donor)) continue;
    const net::TimePoint begun = scheduler_.now();
    auto bytes = co_await net::with_timeout(
        scheduler_, patience_for_a_step(),
        swarm::download_step(host_, downloads_, donor, run_, way.roots[index],
                             StateStore::max_step_bytes(*rules_),
                             [this](std::size_t arrived) { note_fetched(arrived); }),
        "a step from " + donor.to_text());
    if (bytes) {
      step_times_[donor] = scheduler_.now() - begun;
      co_return Step{donor, std::make_shared<const Bytes>(std::move(*bytes))};
    }
    drop(way, donor, bytes.error());
    last = std::move(bytes).error();
  }
  co_return fail(std::move(last));
}

// Whoever has no steps any more has done nothing wrong: they go when the next snapshot is written. Nor has,
// perhaps, who was too slow: several steps share this member's line.
void Participant::Impl::drop(Way& way, const PeerId& donor, const Error& why) {
  way.dropped.insert(donor);
  if (why.code == ErrorCode::not_found) return;
  step_times_[donor] = patience_for_a_step();
  if (why.code == ErrorCode::timeout) {
    steps_at_once_ = std::max<std::size_t>(steps_at_once_ / 2, 1);
  } else {
    distrust(donor);
  }
}

// The state at `index`, by that step; a donor whose step does not make it is asked for no other.
Task<Result<StateStore::State>> Participant::Impl::repeat(Way& way, std::size_t index, StateStore::State from,
                                                          Result<Step> step) {
  const Digest root = way.roots[index];
  while (step) {
    auto made = co_await net::offload(scheduler_, [rules = rules_, from, bytes = step->bytes, root] {
      return StateStore::repeat(rules, from, *bytes, root);
    });
    if (made) {
      states_.remember(root, *made);
      co_await store_fetched(states_.prepare(root, *made, way.roots[index - 1], step->bytes), root);
      co_return std::move(*made);
    }
    log::warn("a step from {}: {}", step->donor.to_text(), made.error().message);
    drop(way, step->donor, made.error());
    step = co_await fetch_step(way, index);
  }
  co_return fail(std::move(step).error());
}

// On disk, in place of what it does not stand on. Where that fails the state is in memory alone.
Task<void> Participant::Impl::store_fetched(Task<Result<StateStore::Entries>> prepared, Digest root) {
  auto entries = co_await std::move(prepared);
  auto stored = entries ? Result<void>() : Result<void>(fail(entries.error()));
  if (stored && !entries->empty()) {
    // A state that this member signed for stays until it is certified, or another one is.
    auto forgotten = voted_here() ? StateStore::Entries() : states_.to_forget_all_but(root, *entries);
    for (auto& entry : forgotten) entries->push_back(std::move(entry));
    stored = storage_.write(*entries);
    if (stored) states_.stored(*entries);
  }
  if (!stored) say_unwritten(stored.error());
}

}  // namespace testudo::training
