#include "dht/simulation/full_tables.h"

#include <algorithm>
#include <deque>
#include <numeric>

#include "crypto/rng.h"

namespace testudo::dht {

namespace {

bool bit(const Place& place, std::size_t i) { return (place[i / 8] >> (7 - i % 8) & 1) != 0; }

// The first place that shares `bits` leading bits with `place` but the last of them: all other bits are zero.
Place sibling(const Place& place, std::size_t bits) {
  Place out{};
  for (std::size_t i = 0; i < bits; ++i) {
    const bool set = i + 1 == bits ? !bit(place, i) : bit(place, i);
    if (set) out[i / 8] = static_cast<std::uint8_t>(out[i / 8] | 1U << (7 - i % 8));
  }
  return out;
}

// The nearest first, at most `count`.
std::vector<PeerId> nearest_of(std::vector<std::pair<Digest, PeerId>> found, std::size_t count) {
  count = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<PeerId> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(found[i].second);
  return out;
}

}  // namespace

FullTables::FullTables(const std::vector<PeerId>& live, std::size_t k) : k_(k) {
  for (const PeerId& peer : live) all_.emplace_back(place_of(peer), peer);
  std::ranges::sort(all_);
}

std::vector<PeerId> FullTables::nearest(const Place& target, std::size_t count, const PeerId& asker) const {
  std::vector<std::pair<Digest, PeerId>> found;
  for (const auto& [place, peer] : all_) {
    if (peer != asker) found.emplace_back(distance(place, target), peer);
  }
  return nearest_of(std::move(found), count);
}

// The bits that a place shares with its nearest other.
std::size_t FullTables::neighbourhood(const Place& place) const {
  const auto after = std::ranges::upper_bound(all_, place, {}, &Entry::first);
  const auto before = std::ranges::lower_bound(all_, place, {}, &Entry::first);
  std::size_t bits = 0;
  if (after != all_.end()) bits = common_prefix(after->first, place);
  if (before != all_.begin()) bits = std::max(bits, common_prefix(std::prev(before)->first, place));
  return bits;
}

// The k nearest to the target in the full table of the node at `of`.
std::vector<PeerAddress> FullTables::answer(const Place& of, const PeerId& asker, const Place& target) const {
  std::vector<std::pair<Digest, PeerId>> table;
  const std::size_t last_bucket = neighbourhood(of);  // deeper ones are empty
  for (std::size_t bits = 1; bits <= last_bucket + 1; ++bits) {
    const Place first = sibling(of, bits);
    const auto begin = std::ranges::lower_bound(all_, first, {}, &Entry::first);
    const auto end = std::partition_point(
        begin, all_.end(), [&](const Entry& entry) { return common_prefix(entry.first, first) >= bits; });
    // Of more than k any k are as good: drawn, others for every node.
    std::vector<std::size_t> chosen(static_cast<std::size_t>(end - begin));
    std::iota(chosen.begin(), chosen.end(), std::size_t{0});
    if (chosen.size() > k_) {
      crypto::Hasher seed("testudo/simulation/full tables");
      crypto::SeededRng rng(seed.bytes(of).integer(bits).finish());
      for (std::size_t j = 0; j < k_; ++j) std::swap(chosen[j], chosen[j + rng.below(chosen.size() - j)]);
      chosen.resize(k_);
    }
    for (const std::size_t j : chosen) {
      const auto& [place, peer] = begin[static_cast<std::ptrdiff_t>(j)];
      if (peer != asker) table.emplace_back(distance(place, target), peer);
    }
  }
  std::vector<PeerAddress> out;
  for (PeerId& peer : nearest_of(std::move(table), k_)) out.push_back({std::move(peer), {}});
  return out;
}

std::size_t FullTables::hops(const PeerId& asker, const Place& target, std::size_t alpha) const {
  Lookup::Options options;
  options.k = k_;
  Lookup lookup(asker, target, options);
  lookup.start(answer(place_of(asker), asker, target));
  // As the real one: so many questions are under way, and every answer makes room for the next question.
  std::deque<PeerId> asked;
  while (true) {
    while (asked.size() < alpha) {
      const auto next = lookup.next(0);
      if (!next) break;
      asked.push_back(next->id);
    }
    if (asked.empty()) break;
    lookup.answered(asked.front(), answer(place_of(asked.front()), asker, target));
    asked.pop_front();
  }
  return lookup.hops();
}

}  // namespace testudo::dht
