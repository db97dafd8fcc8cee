#include "training/round/round_rules.h"

#include <algorithm>
#include <set>

#include "crypto/base/check.h"
#include "crypto/derive.h"
#include "crypto/hash.h"

namespace testudo::training {

using swarm::PeerId;

bool founders_suffice(const swarm::Roster& roster, const std::vector<PeerId>& alive) {
  if (!roster.founding()) return true;
  const auto founders = static_cast<std::size_t>(
      std::ranges::count_if(alive, [&](const PeerId& id) { return roster.is_founder(id); }));
  return 2 * founders > roster.founders().size();
}

bool may_apply(std::size_t votes, std::size_t hostile_count, std::size_t silent) {
  return 2 * hostile_count + silent < votes;
}

Digest partition_lot(const swarm::RunId& run, swarm::RoundNumber round, swarm::Attempt attempt,
                     const Digest& beacon) {
  return crypto::derive_seed("testudo/partition/1", run, round.value(), attempt.value(), beacon, ByteView{});
}

Result<std::vector<PartRange>> partition_of(const swarm::Roster& roster, std::size_t values,
                                            const Digest& lot) {
  std::vector<ReducerCapacity> capacities;
  for (const auto& member : roster.members()) {
    capacities.push_back({.bandwidth = 1, .client_mode = !member.reduces()});
  }
  return partition_equal(values, capacities, lot);
}

std::vector<Validation> validations_of(const swarm::Manifest& manifest, const swarm::Roster& roster,
                                       const swarm::RunId& run, swarm::RoundNumber round,
                                       std::uint32_t fruitless_voids, const Digest& beacon) {
  std::size_t count = validator_count(static_cast<std::size_t>(roster.total_weight()),
                                      roster.greatest_hostile_count(manifest.hostile_share),
                                      manifest.validators, fruitless_voids);
  // Below the founding size no vote follows from what validators say.
  const bool by_standing = !roster.founding() || roster.size() >= swarm::founding_size;
  const Digest lot = crypto::derive_seed("testudo/validators/1", run, round.value(), 0, beacon, ByteView{});
  std::vector<PeerId> validators;
  std::vector<PeerId> targets;
  std::map<Digest, PeerId> candidates;
  for (const auto& member : roster.members()) {
    if (by_standing ? member.earned : member.votes()) validators.push_back(member.id);
  }
  for (const PeerId& peer : roster.took_part()) {
    // Of who has no seat any more it is what it did that counts: names that leave are as free as others.
    const bool counts =
        roster.contains(peer) ? roster.votes(peer) : roster.founding() || roster.standing_of(peer).has_vote();
    if (counts) {
      targets.push_back(peer);
    } else {
      candidates.emplace(crypto::Hasher("testudo/candidate/1").bytes(lot).bytes(peer.key().raw()).finish(),
                         peer);
    }
  }
  if (by_standing) count = std::min(count, (validators.size() + 1) / 2);
  // However many names have no vote, every other target has one: a flood must not hide those that count.
  std::size_t room = targets.size();
  for (const auto& [place, candidate] : candidates) {
    if (room-- == 0) break;
    targets.push_back(candidate);
  }
  return draw_validations(validators, targets, count, lot);
}

std::vector<Audit> audits_of(const std::vector<Validation>& validators, std::size_t parts,
                             const swarm::RunId& run, swarm::RoundNumber round, const Digest& beacon) {
  return draw_audits(validators, parts,
                     crypto::derive_seed("testudo/audits/1", run, round.value(), 0, beacon, ByteView{}));
}

std::optional<std::vector<PeerId>> senders_to_auditor(const swarm::Roster& roster, const PeerId& auditor,
                                                      const PeerId& reducer,
                                                      const std::vector<PeerId>& contributors,
                                                      const std::function<bool(const PeerId&)>& committed,
                                                      std::size_t limit) {
  const auto find = [&roster](const PeerId& peer) {
    const auto index = roster.index_of(peer);
    return index ? &roster.members()[*index] : nullptr;
  };
  const swarm::Member* const to = find(auditor);
  const auto has_no_way = [&](const PeerId& peer) {
    const swarm::Member* const from = find(peer);
    return from != nullptr && from->client_mode && to != nullptr && to->client_mode;
  };
  const auto cannot_be_asked = [&](const PeerId& peer) {
    const swarm::Member* const from = find(peer);
    return from == nullptr || from->struck_out || !from->votes();
  };
  std::vector<PeerId> senders = contributors;
  std::size_t room = std::ranges::find(contributors, reducer) == contributors.end() ? limit : limit - 1;
  // Whether the reducer can send those of all such contributors.
  const auto let_reducer_send = [&](const std::function<bool(const PeerId&)>& such) {
    for (std::size_t i = 0; i < senders.size(); ++i) {
      const PeerId& own = contributors[i];
      if (own == auditor || own == reducer || senders[i] != own || !such(own)) continue;
      if (room == 0) return false;
      senders[i] = reducer;
      --room;
    }
    return true;
  };
  if (has_no_way(reducer) || !let_reducer_send(has_no_way)) return std::nullopt;
  (void)let_reducer_send(cannot_be_asked);
  (void)let_reducer_send([&committed](const PeerId& peer) { return !committed(peer); });
  return senders;
}

std::vector<PeerId> drawn_followers(const std::vector<PeerId>& candidates, std::size_t most,
                                    const Digest& lot) {
  std::map<Digest, PeerId> order;
  for (const PeerId& peer : candidates)
    order.emplace(crypto::Hasher("testudo/follower/1").bytes(lot).bytes(peer.key().raw()).finish(), peer);
  std::vector<PeerId> drawn;
  for (const auto& [place, peer] : order) {
    if (drawn.size() < most) drawn.push_back(peer);
  }
  std::ranges::sort(drawn);
  return drawn;
}

bool fits(const CommitPayload& commit, const RoundRules& rules, std::size_t parts) {
  return (commit.parts.empty() || commit.parts.size() == parts) &&
         commit.distances.size() == (has_distances(rules) ? commit.parts.size() : 0) &&
         commit.samples <= rules.manifest.samples;
}

std::size_t challenge_limit(const swarm::Manifest& manifest, std::size_t hostile_count) {
  return std::max<std::size_t>(manifest.challenge_limit, hostile_count);
}

bool fits(const ReducePayload& reduce, const swarm::Manifest& manifest, std::size_t hostile_count) {
  return reduce.missing.size() <= challenge_limit(manifest, hostile_count);
}

bool has_distances(const RoundRules& rules) {
  return rules.manifest.tau == automatic && rules.rule->solves_clipped_sum();
}

double tau_of_part(const RoundRules& rules, std::size_t part_size, std::span<const double> distances) {
  const double tau = rules.manifest.tau;
  if (tau != automatic) {
    return part_tau(tau, part_size, static_cast<std::size_t>(rules.manifest.parameter_count));
  }
  if (!has_distances(rules)) return automatic;
  const std::vector<double> weights(distances.size(), 1.0);
  const double found = distances.empty() ? 0 : automatic_tau(distances, weights);
  return found > 0 ? found : 1;  // everybody sent the last result: there is nothing to clip
}

Digest sketch_seed(const swarm::RunId& run, swarm::RoundNumber round, swarm::Attempt attempt,
                   const Digest& coins, std::size_t part) {
  Bytes place;
  for (int shift = 0; shift < 32; shift += 8) place.push_back(static_cast<std::uint8_t>(part >> shift));
  return crypto::derive_seed("testudo/sketch/1", run, round.value(), attempt.value(), coins, ByteView(place));
}

Digest statement_seed(const swarm::RunId& run, swarm::RoundNumber spoken, const Digest& coins,
                      const PeerId& target, std::size_t part) {
  Bytes place = target.to_multihash();
  for (int shift = 0; shift < 32; shift += 8) place.push_back(static_cast<std::uint8_t>(part >> shift));
  return crypto::derive_seed("testudo/recomputed/1", run, spoken.value(), 0, coins, ByteView(place));
}

SumCheck sum_check(const RoundRules& rules, ByteView result, std::size_t size, std::size_t contributors,
                   std::size_t unreported, double tau) {
  std::vector<float> values(size);
  const auto decoded = decode(rules.codec, result, values, rules.manifest.g_max);
  TESTUDO_CHECK(decoded.has_value());
  const RuleOptions options;
  SumCheck sum;
  sum.weights = static_cast<double>(contributors);
  sum.unreported = static_cast<double>(unreported);
  sum.tau = tau;
  sum.coding = codec_step_norm(rules.codec, values) + float_rounding_norm(values);
  sum.stop = options.relative_stop * sum.weights * tau + options.absolute_stop;
  return sum;
}

bool may_be_result(const RoundRules& rules, ByteView result, std::size_t size,
                   const std::vector<ByteView>& shown, std::size_t contributors, double tau) {
  if (shown.empty()) return true;
  const ClippedSum sum = clipped_sum(EncodedParts(rules.codec, size, rules.manifest.g_max, shown),
                                     EncodedParts(rules.codec, size, rules.manifest.g_max, {result}), tau);
  return may_be_right(sum, sum_check(rules, result, size, contributors, contributors - shown.size(), tau));
}

Digest dispute_lot(const Digest& coins, const PeerId& speaker) {
  return crypto::Hasher("testudo/dispute/1").bytes(coins).bytes(speaker.key().raw()).finish();
}

std::optional<PeerId> next_reducer(const std::vector<PeerId>& order, const std::vector<PeerId>& alive,
                                   const swarm::Roster& roster, const PeerId& failed) {
  const auto start = std::ranges::find(order, failed);
  const auto offset = static_cast<std::size_t>(start - order.begin());
  for (std::size_t step = 1; step <= order.size(); ++step) {
    const PeerId& next = order[(offset + step) % order.size()];
    const auto index = roster.index_of(next);
    if (next != failed && index && roster.members()[*index].reduces() &&
        std::ranges::binary_search(alive, next)) {
      return next;
    }
  }
  return std::nullopt;
}

bool may_challenge(const std::vector<PartOf>& results, const std::vector<PeerId>& reducers, std::size_t limit,
                   std::size_t hostile_count) {
  if (results.size() <= limit) return true;
  if (results.size() > reducers.size()) return false;
  std::set<PeerId> asked;
  for (const PartOf& entry : results) {
    if (entry.part.value() >= reducers.size()) return false;
    asked.insert(reducers[entry.part.value()]);
  }
  return asked.size() <= hostile_count;
}

std::set<PartOf> beyond_one_answer(const std::vector<PartOf>& wanted, const std::vector<PeerId>& reducers,
                                   const std::vector<PartRange>& ranges, std::size_t values) {
  struct Asked {
    std::size_t parts = 0;
    std::size_t values = 0;
  };
  std::map<PeerId, Asked> asked;
  std::set<PartOf> beyond;
  for (const PartOf& entry : wanted) {
    Asked& sum = asked[reducers[entry.part.value()]];
    const std::size_t size = ranges[entry.part.value()].size;
    if (sum.parts == part_limit || sum.values + size > values) {
      beyond.insert(entry);
      continue;
    }
    ++sum.parts;
    sum.values += size;
  }
  return beyond;
}

Digest aggregation_seed(const swarm::RunId& run, swarm::RoundNumber round, const Digest& beacon) {
  return crypto::derive_seed("testudo/aggregation/1", run, round.value(), 0, beacon, ByteView{});
}

std::size_t max_payload(const swarm::Manifest& manifest, swarm::Phase phase) {
  constexpr std::size_t list = 64 * 1024;
  constexpr std::size_t sketches = part_limit * (sizeof(Deviation) + 64);
  // Per part a header and, for int8, one more scale.
  const std::size_t contribution =
      list + static_cast<std::size_t>(manifest.parameter_count) * sizeof(float) + 64 * part_limit;
  switch (phase) {
    case swarm::Phase::commit:
      return list + sketches;
    case swarm::Phase::check:
      return list + 2 * sketches;
    case swarm::Phase::serve:
    case swarm::Phase::reveal_answer:
      return contribution;
    case swarm::Phase::evidence:
    case swarm::Phase::evidence_again:
      return manifest.validators > 0 ? 4 * contribution : contribution;
    default:
      return list;
  }
}

std::size_t contributors_of(const swarm::Outcome& outcome, const swarm::Manifest& manifest) {
  return static_cast<std::size_t>((outcome.samples + manifest.samples - 1) / manifest.samples);
}

std::vector<swarm::Admission> admissions(const swarm::Roster& roster,
                                         const std::map<PeerId, CommitPayload>& commits, double growth_cap,
                                         std::size_t group_max, const Digest& beacon) {
  std::map<std::pair<PeerId, bool>, std::size_t> listings;
  std::size_t votes = 0;
  for (const auto& [member, commit] : commits) {
    if (!roster.votes(member)) continue;
    ++votes;
    for (const auto& entry : commit.applications) ++listings[{entry.peer, entry.client_mode}];
  }
  std::vector<std::pair<Digest, swarm::Admission>> drawn;
  for (const auto& [entry, count] : listings) {
    const auto& [peer, client_mode] = entry;
    if (2 * count <= votes || roster.contains(peer) || roster.is_banned(peer)) continue;
    drawn.emplace_back(crypto::Hasher("testudo/admission/1").bytes(beacon).bytes(peer.key().raw()).finish(),
                       swarm::Admission{peer, client_mode});
  }
  std::ranges::sort(drawn, {}, &std::pair<Digest, swarm::Admission>::first);
  const auto cap =
      std::max<std::size_t>(1, static_cast<std::size_t>(growth_cap * static_cast<double>(roster.size())));
  // Founders that lost their seats may have them back at any time as long as the run is founding.
  const auto away = static_cast<std::size_t>(std::ranges::count_if(
      roster.founders(), [&](const PeerId& id) { return roster.founding() && !roster.contains(id); }));
  const std::size_t taken = roster.size() + away;
  std::size_t room = group_max > taken ? group_max - taken : 0;
  std::vector<swarm::Admission> admitted;
  for (auto& [lot, admission] : drawn) {
    const bool has_place = roster.founding() && roster.is_founder(admission.peer);
    if (admitted.size() == cap || (!has_place && room == 0)) continue;
    if (!has_place) --room;
    admitted.push_back(admission);
  }
  std::ranges::sort(admitted, {}, &swarm::Admission::peer);
  return admitted;
}

}  // namespace testudo::training
