#include "dht/routing_table.h"

#include <algorithm>
#include <bit>

namespace testudo::dht {

namespace {
constexpr std::size_t table_quota_factor = 10;
constexpr unsigned max_failures = 2;

template <typename Range>
auto find_peer(Range& range, const PeerId& peer) {
  return std::ranges::find_if(range, [&](const auto& entry) { return entry.id == peer; });
}
}  // namespace

RoutingTable::RoutingTable(const PeerId& self, Options options) : self_(place_of(self)), options_(options) {}

RoutingTable::Bucket* RoutingTable::bucket_for(const Place& place) {
  auto it = buckets_.find(bucket_of(place));
  return it == buckets_.end() ? nullptr : &it->second;
}

bool RoutingTable::within_quota(const Bucket& bucket, const std::string& subnet) const {
  if (subnet.empty() || options_.max_per_subnet == 0) return true;
  const auto in_bucket = std::ranges::count(bucket.entries, subnet, &Entry::subnet);
  auto in_table = per_subnet_.find(subnet);
  return static_cast<std::size_t>(in_bucket) < options_.max_per_subnet &&
         (in_table == per_subnet_.end() || in_table->second < options_.max_per_subnet * table_quota_factor);
}

std::size_t RoutingTable::part_of(const Place& place) const {
  const auto bits = static_cast<std::size_t>(std::bit_width(std::max<std::size_t>(options_.k, 1)) - 1);
  const std::size_t first = bucket_of(place) + 1;  // the bits up to here are those of the bucket
  std::size_t part = 0;
  for (std::size_t i = first; i < std::min(first + bits, 8 * place.size()); ++i) {
    part = 2 * part + (place[i / 8] >> (7 - i % 8) & 1U);
  }
  return part;
}

std::vector<RoutingTable::Entry>::iterator RoutingTable::superfluous(Bucket& bucket,
                                                                     const Entry& newcomer) const {
  std::map<std::size_t, std::size_t> sizes;
  for (const Entry& entry : bucket.entries) ++sizes[part_of(entry.place)];
  auto victim = bucket.entries.end();
  if (sizes.contains(part_of(newcomer.place))) return victim;
  std::size_t most = 1;
  for (auto it = bucket.entries.begin(); it != bucket.entries.end(); ++it) {
    const std::size_t size = sizes.at(part_of(it->place));
    if (size < 2 || size < most || (it->verified && !newcomer.verified)) continue;
    // The oldest of its part stays, verified or not.
    const auto older = std::any_of(bucket.entries.begin(), it, [&](const Entry& other) {
      return part_of(other.place) == part_of(it->place);
    });
    if (!older) continue;
    most = size;
    victim = it;
  }
  return victim;
}

void RoutingTable::insert(Bucket& bucket, Entry entry) {
  if (!entry.subnet.empty()) ++per_subnet_[entry.subnet];
  bucket.entries.push_back(std::move(entry));
  ++size_;
}

void RoutingTable::erase(Bucket& bucket, std::size_t index) {
  const std::string& subnet = bucket.entries[index].subnet;
  if (auto it = per_subnet_.find(subnet); it != per_subnet_.end() && --it->second == 0) per_subnet_.erase(it);
  bucket.entries.erase(bucket.entries.begin() + static_cast<std::ptrdiff_t>(index));
  --size_;
}

bool RoutingTable::seen(const PeerId& peer, const std::string& subnet, bool verified) {
  const Place place = place_of(peer);
  if (place == self_) return false;
  Bucket& bucket = buckets_[bucket_of(place)];
  if (auto it = find_peer(bucket.entries, peer); it != bucket.entries.end()) {
    it->failures = 0;
    it->verified = verified;
    return true;
  }
  if (!within_quota(bucket, subnet)) return false;
  Entry entry{peer, place, subnet, verified};
  if (bucket.entries.size() < options_.k) {
    insert(bucket, std::move(entry));
    std::erase_if(bucket.replacements, [&](const Entry& other) { return other.id == peer; });
    return true;
  }
  // Rule 3: whoever failed goes first; rule 4: then the unverified give way; rule 2: then the superfluous.
  auto victim = std::ranges::find_if(bucket.entries, [](const Entry& other) { return other.failures > 0; });
  if (victim == bucket.entries.end() && verified) {
    victim = std::ranges::find_if(bucket.entries, [](const Entry& other) { return !other.verified; });
  }
  if (victim == bucket.entries.end()) victim = superfluous(bucket, entry);
  if (victim != bucket.entries.end()) {
    erase(bucket, static_cast<std::size_t>(victim - bucket.entries.begin()));
    insert(bucket, std::move(entry));
    return true;
  }
  std::erase_if(bucket.replacements, [&](const Entry& other) { return other.id == peer; });
  bucket.replacements.push_back(std::move(entry));
  if (bucket.replacements.size() > options_.max_replacements) bucket.replacements.pop_front();
  return false;
}

bool RoutingTable::confirm(const PeerId& peer, bool verified) {
  Bucket* bucket = bucket_for(place_of(peer));
  if (bucket == nullptr) return false;
  auto it = find_peer(bucket->entries, peer);
  if (it == bucket->entries.end()) return false;
  it->failures = 0;
  it->verified = verified;
  return true;
}

void RoutingTable::failed(const PeerId& peer) {
  Bucket* bucket = bucket_for(place_of(peer));
  if (bucket == nullptr) return;
  std::erase_if(bucket->replacements, [&](const Entry& other) { return other.id == peer; });
  auto it = find_peer(bucket->entries, peer);
  if (it == bucket->entries.end()) return;
  ++it->failures;
  if (it->failures >= max_failures || !bucket->replacements.empty()) remove(peer);
}

void RoutingTable::remove(const PeerId& peer) {
  Bucket* bucket = bucket_for(place_of(peer));
  if (bucket == nullptr) return;
  auto it = find_peer(bucket->entries, peer);
  if (it == bucket->entries.end()) return;
  erase(*bucket, static_cast<std::size_t>(it - bucket->entries.begin()));
  while (bucket->entries.size() < options_.k && !bucket->replacements.empty()) {
    Entry next = std::move(bucket->replacements.back());
    bucket->replacements.pop_back();
    if (within_quota(*bucket, next.subnet)) insert(*bucket, std::move(next));
  }
}

bool RoutingTable::contains(const PeerId& peer) const {
  auto it = buckets_.find(bucket_of(place_of(peer)));
  return it != buckets_.end() && find_peer(it->second.entries, peer) != it->second.entries.end();
}

std::vector<PeerId> RoutingTable::closest(const Place& place, std::size_t count) const {
  std::vector<std::pair<Digest, const PeerId*>> all;
  all.reserve(size_);
  for (const auto& [prefix, bucket] : buckets_) {
    for (const auto& entry : bucket.entries) all.emplace_back(distance(entry.place, place), &entry.id);
  }
  count = std::min(count, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<PeerId> result;
  result.reserve(count);
  for (std::size_t i = 0; i < count; ++i) result.push_back(*all[i].second);
  return result;
}

std::size_t RoutingTable::buckets_in_use() const {
  std::size_t last = 0;
  for (const auto& [prefix, bucket] : buckets_) {
    if (!bucket.entries.empty()) last = prefix + 1;
  }
  return last;
}

std::vector<PeerId> RoutingTable::peers() const {
  std::vector<PeerId> result;
  for (const auto& [prefix, bucket] : buckets_) {
    for (const auto& entry : bucket.entries) result.push_back(entry.id);
  }
  return result;
}

bool RoutingTable::is_sane() const {
  std::size_t counted = 0;
  for (const auto& [prefix, bucket] : buckets_) {
    counted += bucket.entries.size();
    if (bucket.entries.size() > options_.k || bucket.replacements.size() > options_.max_replacements)
      return false;
    std::map<std::string, std::size_t> subnets;
    for (const auto& entry : bucket.entries) {
      if (bucket_of(entry.place) != prefix) return false;
      if (!entry.subnet.empty() && options_.max_per_subnet > 0 &&
          ++subnets[entry.subnet] > options_.max_per_subnet) {
        return false;
      }
    }
  }
  return counted == size_;
}

}  // namespace testudo::dht
