#include "training/simulation/covered_aggregate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "crypto/base/check.h"
#include "crypto/hash.h"
#include "swarm/control.h"
#include "training/arithmetic/reproducible.h"
#include "training/round/part_exchange.h"
#include "training/round/payloads.h"
#include "training/round/round_rules.h"
#include "training/simulation/false_statements.h"

namespace testudo::training {

namespace {

using crypto::PeerId;
using swarm::Phase;

// More than the sums of honest sketches leave, less than one sketch may hide, in runs of some members.
constexpr double shift_of_attack = 0.1;

class CoveredAggregate final : public Misconduct {
 public:
  CoveredAggregate(std::shared_ptr<const RoundRules> rules, PeerId self, double shift,
                   std::uint64_t from_round)
      : rules_(std::move(rules)),
        self_(std::move(self)),
        shift_(wrong_aggregate(rules_->codec, shift, from_round).misconduct),
        from_(from_round) {}

  void on_gradient(const ContributionView& view, std::span<float>) override {
    round_ = view.round;
    ranges_ = view.ranges;
    results_.clear();
  }
  void on_result(swarm::RoundNumber round, const PartRange& range, Buffer& encoded) override {
    if (round < from_ || round != round_) return;
    shift_->on_result(round, range, encoded);
    for (std::size_t j = 0; j < ranges_.size(); ++j) {
      if (ranges_[j].begin == range.begin) results_[j] = to_bytes(encoded);
    }
  }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.phase == Phase::reveal) note_coin(key, self_, payload);
    if (key.phase == Phase::commit) note_distances(key, self_, payload);
    if (key.phase != Phase::check || key.round != round_ || results_.empty()) return;
    auto check = CheckPayload::decode(payload);
    if (!check) return;
    for (const auto& [j, result] : results_) {
      if (j < check->parts.size()) cover(key, j, result, check->parts[j]);
    }
    payload = check->encode();
  }

  void hear(const PeerId& from, const std::string& protocol, TamperedFrame frame) {
    if (protocol.starts_with("/testudo/part/")) {
      const auto key = PartExchange::key_in(frame.header);
      if (!key || key->kind != PartKind::contribution) return;
      forget_before({key->round, key->attempt, Phase::commit});
      heard_[{key->round, key->attempt, Phase::commit}].parts[key->part.value()][from] =
          std::move(frame.blob);
      return;
    }
    const auto control = swarm::decode_control(frame.header);
    const auto* broadcast = control ? std::get_if<swarm::BroadcastFrame>(&*control) : nullptr;
    const auto* message = broadcast != nullptr ? std::get_if<swarm::PhaseMessage>(broadcast) : nullptr;
    if (message == nullptr || message->author != from) return;
    if (message->key.phase == Phase::reveal) note_coin(message->key, from, message->payload);
    if (message->key.phase == Phase::commit) note_distances(message->key, from, message->payload);
  }

 private:
  struct Heard {  // of one attempt
    std::map<std::size_t, std::map<PeerId, Bytes>> parts;
    std::map<PeerId, Digest> coins;
    std::map<PeerId, std::vector<double>> distances;
  };

  static swarm::PhaseKey attempt_of(const swarm::PhaseKey& key) {
    return {key.round, key.attempt, Phase::commit};
  }
  // Parts of the next round may come while this one ends.
  void forget_before(const swarm::PhaseKey& key) {
    std::erase_if(heard_, [&](const auto& entry) { return entry.first.round.next() < key.round; });
  }
  void note_coin(const swarm::PhaseKey& key, const PeerId& author, ByteView payload) {
    const auto reveal = RevealPayload::decode(payload);
    if (reveal) heard_[attempt_of(key)].coins[author] = reveal->opening.coin;
  }
  void note_distances(const swarm::PhaseKey& key, const PeerId& author, ByteView payload) {
    const auto commit = CommitPayload::decode(payload);
    if (commit && !commit->parts.empty()) heard_[attempt_of(key)].distances[author] = commit->distances;
  }

  // Its own sketch becomes what the others' sum to, the other way round; its norm as long as that needs.
  void cover(const swarm::PhaseKey& key, std::size_t j, const Bytes& result, Deviation& own) {
    const Heard& heard = heard_[attempt_of(key)];
    crypto::Hasher hasher("testudo/coins/1");
    for (const auto& [member, coin] : heard.coins) hasher.bytes(coin);
    const auto parts = heard.parts.find(j);
    if (parts == heard.parts.end()) return;
    std::vector<ByteView> others;
    for (const auto& [member, bytes] : parts->second) {
      if (check_encoded(rules_->codec, bytes, ranges_[j].size, rules_->manifest.g_max))
        others.emplace_back(bytes);
    }
    if (others.empty()) return;
    std::vector<double> distances;
    for (const auto& [member, of_parts] : heard.distances) {
      if (j < of_parts.size()) distances.push_back(of_parts[j]);
    }
    const float g_max = rules_->manifest.g_max;
    const EncodedParts contributions(rules_->codec, ranges_[j].size, g_max, std::move(others));
    const EncodedParts shifted(rules_->codec, ranges_[j].size, g_max, {ByteView(result)});
    const Digest seed = sketch_seed(rules_->run, key.round, key.attempt, hasher.finish(), j);
    const double tau = tau_of_part(*rules_, ranges_[j].size, distances);
    std::array<double, sketch_size> sum{};
    for (const Deviation& deviation : deviations(contributions, shifted, seed, tau)) {
      for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += deviation.sketch[c];
    }
    double square = 0;
    for (std::size_t c = 0; c < sum.size(); ++c) {
      own.sketch[c] = static_cast<float>(-sum[c]);
      square += sum[c] * sum[c];
    }
    own.norm = std::max(own.norm, std::sqrt(square) / sketch_slack * 1.01);
  }

  std::shared_ptr<const RoundRules> rules_;
  PeerId self_;
  std::shared_ptr<Misconduct> shift_;
  swarm::RoundNumber from_;
  swarm::RoundNumber round_;  // to which it contributes
  std::vector<PartRange> ranges_;
  std::map<std::size_t, Bytes> results_;  // that it shifted, by part
  std::map<swarm::PhaseKey, Heard> heard_;
};

}  // namespace

Behaviour covered_aggregate(const swarm::Manifest& manifest, const PeerId& self, double shift,
                            std::uint64_t from_round) {
  const auto rules = RoundRules::make(manifest);
  TESTUDO_CHECK(rules.has_value());  // of a manifest that members run
  const auto covered = std::make_shared<CoveredAggregate>(*rules, self, shift, from_round);
  return {.name = "covered_aggregate",
          .hear = [covered](const PeerId& from, const std::string& protocol,
                            TamperedFrame frame) { covered->hear(from, protocol, std::move(frame)); },
          .misconduct = covered};
}

Behaviour covered_aggregate(const AttackSetup& setup) {
  return covered_aggregate(setup.manifest, setup.identity.peer_id(), shift_of_attack, setup.from_round);
}

}  // namespace testudo::training
