// RoutingTable: the peers a node knows, in one k-bucket per shared prefix length.
//
// 1. A bucket holds k peers. Near places have sparse buckets, so a node knows its own neighbourhood whole.
// 2. A peer that lived long is likely to live on: a full bucket keeps what it has, and a newcomer waits in
//    its list of replacements. So nobody flushes the table with fresh identities. One thing is better than
//    old: a bucket's range is cut into parts, and a newcomer from a part without anybody takes the place of
//    the youngest in the fullest part. Else the same old peers would stand in everybody's table, whose
//    answers then say nothing new, and lookups take a hop more. A part's oldest is never displaced.
// 3. A peer that fails twice in a row leaves, or at once if a replacement waits.
// 4. A verified peer (it proved the cost of its identity) takes the place of an unverified one in a full
//    bucket, never the other way round.
// 5. At most `max_per_subnet` peers of one public /24 or /48 in a bucket, and ten times that in the table:
//    many identities behind few addresses do not fill it.
// Loop thread only. Owned by Dht.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "dht/key.h"

namespace testudo::dht {

class RoutingTable {
 public:
  struct Options {
    std::size_t k = 20;
    std::size_t max_replacements = 10;  // per bucket
    std::size_t max_per_subnet = 3;     // per bucket; 0 is no quota
  };
  RoutingTable(const PeerId& self, Options options);

  // The peer answered, or identified itself as a server. True if it is in the table now.
  bool seen(const PeerId& peer, const std::string& subnet, bool verified);
  // The same for a peer that may be in the table already; false if it is not.
  bool confirm(const PeerId& peer, bool verified);
  void failed(const PeerId& peer);
  void remove(const PeerId& peer);
  bool contains(const PeerId& peer) const;

  // The `count` known peers nearest to the place, nearest first.
  std::vector<PeerId> closest(const Place& place, std::size_t count) const;
  std::size_t size() const { return size_; }
  // Of the farthest buckets up to the last that is not empty.
  std::size_t buckets_in_use() const;
  std::size_t bucket_of(const Place& place) const { return common_prefix(self_, place); }
  std::vector<PeerId> peers() const;
  // For tests: every invariant above.
  bool is_sane() const;

 private:
  struct Entry {
    PeerId id;
    Place place;
    std::string subnet;
    bool verified;
    unsigned failures = 0;
  };
  struct Bucket {
    std::vector<Entry> entries;      // oldest first
    std::deque<Entry> replacements;  // newest last
  };
  Bucket* bucket_for(const Place& place);
  bool within_quota(const Bucket& bucket, const std::string& subnet) const;
  // The part of the bucket's range in which the place is.
  std::size_t part_of(const Place& place) const;
  // Who gives way to somebody from a part without anybody; `end` if nobody does.
  std::vector<Entry>::iterator superfluous(Bucket& bucket, const Entry& newcomer) const;
  void insert(Bucket& bucket, Entry entry);
  void erase(Bucket& bucket, std::size_t index);

  Place self_;
  Options options_;
  std::map<std::size_t, Bucket> buckets_;  // by shared prefix length
  std::map<std::string, std::size_t> per_subnet_;
  std::size_t size_ = 0;
};

}  // namespace testudo::dht
