// The phases of a round that move parts: SCATTER, SERVE, REDUCE, GATHER.
#include <algorithm>
#include <set>

#include "crypto/merkle.h"
#include "net/async/combinators.h"
#include "training/round/round.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using net::Task;
using swarm::Fault;
using swarm::Phase;

namespace {

std::vector<ByteView> views_of(const std::vector<std::shared_ptr<const Bytes>>& blobs) {
  std::vector<ByteView> views;
  for (const auto& bytes : blobs) views.emplace_back(*bytes);
  return views;
}

// What the pool needs to reduce one part; owns or shares all of it.
struct ReduceJob {
  std::shared_ptr<const RoundRules> rules;
  std::shared_ptr<const TrainingState> state;
  PartRange range;
  std::vector<std::shared_ptr<const Bytes>> contributions;

  // Nothing when the rule did not converge. REQUIRES: check_encoded() accepted all contributions.
  std::optional<Bytes> run() const {
    const CodecKind codec = rules->codec;
    const EncodedParts parts(codec, range.size, rules->manifest.g_max, views_of(contributions));
    const std::vector<double> weights(contributions.size(), 1.0);
    std::span<const float> start;
    if (!state->aggregate.empty()) start = std::span(state->aggregate).subspan(range.begin, range.size);
    const double tau = rules->manifest.tau == automatic
                           ? automatic
                           : part_tau(rules->manifest.tau, range.size, state->parameters.size());
    Bytes encoded(encoded_size(codec, range.size));
    bool finite = true;
    const auto sink = [&](std::size_t begin, std::span<const float> values) {
      const auto place = encoded_range(codec, MutableByteView(encoded), begin, values.size());
      finite = finite && encode_into(codec, values, place).has_value();
    };
    const Aggregate aggregate = rules->rule->aggregate({parts, weights, start, tau}, sink);
    if (!aggregate.converged || !finite) return std::nullopt;
    return encoded;
  }
};

}  // namespace

// SCATTER: part j to its reducer; only now, after COMMIT is agreed, or a late committer could react to
// others.
Task<void> Round::scatter(const Prepared& prepared, bool again) {
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    const Reduction& reduction = reductions_[j];
    if ((again && !reduction.assigned_again) || prepared.parts.empty()) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    if (reduction.reducer == self_) {
      contributions_[{part, self_}] = prepared.parts[j];
    } else {
      exchange_.send(reduction.reducer, key(PartKind::contribution, part), prepared.parts[j]);
    }
  }
  const auto complete = [this, again] {
    for (std::size_t j = 0; j < reductions_.size(); ++j) {
      if (reductions_[j].reducer != self_ || (again && !reductions_[j].assigned_again)) continue;
      for (const PeerId& member : reductions_[j].contributors) {
        if (!contribution(PartIndex(static_cast<std::uint32_t>(j)), member)) return false;
      }
    }
    return true;
  };
  co_await wait_for_parts(complete, anchor_ + setup_.rules->manifest.exchange_deadline());
  lap("scatter");
}

// SERVE: agreed challenges and answers fix C_j before REDUCE's clock starts.
Task<void> Round::serve(const Prepared& prepared) {
  const swarm::Manifest& manifest = setup_.rules->manifest;
  ChallengePayload mine;
  std::vector<PartOf> missing;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    if (reductions_[j].reducer != self_) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    for (const PeerId& member : reductions_[j].contributors) {
      if (!contribution(part, member)) missing.push_back({part, member});
    }
  }
  if (missing.size() <= manifest.challenge_limit) {
    mine.missing = missing;
  } else {
    for (const PartOf& entry : missing) {
      if (mine.given_up.empty() || mine.given_up.back() != entry.part) mine.given_up.push_back(entry.part);
    }
  }
  // The deadline leaves room for the scatter's own wait.
  const auto set = co_await agree(Phase::serve, 2 * manifest.exchange_deadline(), mine.encode());
  std::set<PartOf> challenged;
  for (const auto& [author, message] : set) {
    const auto payload = ChallengePayload::decode(message.payload);
    if (!payload || payload->missing.size() > manifest.challenge_limit) {
      remove(author, Fault::malformed, message.digest(setup_.rules->run));
      continue;
    }
    for (const PartOf& entry : payload->missing) {
      if (entry.part.value() >= reductions_.size() || reductions_[entry.part.value()].reducer != author)
        continue;
      const auto commit = commits_.find(entry.member);
      if (commit != commits_.end() && !commit->second.parts.empty()) challenged.insert(entry);
    }
    for (PartIndex part : payload->given_up) {
      if (part.value() >= reductions_.size() || reductions_[part.value()].reducer != author) continue;
      reductions_[part.value()].assigned_again = true;
    }
  }
  if (!challenged.empty()) {
    AnswerPayload answer;
    for (const PartOf& entry : challenged) {
      if (entry.member == self_) answer.parts.emplace_back(entry.part, *prepared.parts[entry.part.value()]);
    }
    const auto answers = co_await agree(Phase::serve_answer, manifest.exchange_deadline(), answer.encode());
    for (const PartOf& entry : challenged) {
      const auto message = answers.find(entry.member);
      std::shared_ptr<const Bytes> bytes;
      if (message != answers.end()) {
        const auto payload = AnswerPayload::decode(message->second.payload);
        const Bytes* found = payload ? payload->find(entry.part) : nullptr;
        if (found != nullptr && decodes_as_committed(*found, entry.part, entry.member)) {
          bytes = std::make_shared<const Bytes>(*found);
        }
      }
      if (bytes) {
        contributions_[entry] = std::move(bytes);
      } else {
        std::erase(reductions_[entry.part.value()].contributors, entry.member);
        remove(entry.member, Fault::unserved);
      }
    }
  }
  lap("serve");
}

// REDUCE: aggregate exactly C_j, agree on the hash of the encoded result.
Task<void> Round::reduce(Phase phase) {
  const bool again = phase == Phase::reduce_again;
  const swarm::Manifest& manifest = setup_.rules->manifest;
  ReducePayload mine;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    Reduction& reduction = reductions_[j];
    if (reduction.reducer != self_ || reduction.assigned_again != again) continue;
    const PartIndex part(static_cast<std::uint32_t>(j));
    ReduceJob job{setup_.rules, setup_.state, ranges_[j], {}};
    for (const PeerId& member : reduction.contributors)
      job.contributions.push_back(contribution(part, member));
    if (std::ranges::any_of(job.contributions, [](const auto& bytes) { return !bytes; })) continue;
    auto result = co_await net::offload(scheduler_, [job = std::move(job)] { return job.run(); });
    std::optional<Digest> hash;
    if (result) {
      hash = crypto::tree_hash(*result);
      reduction.bytes = std::make_shared<const Bytes>(std::move(*result));
    }
    mine.results.emplace_back(part, hash);
  }
  const auto set = co_await agree(phase, manifest.exchange_deadline() * (again ? 2 : 1), mine.encode());
  std::vector<bool> published(reductions_.size(), false);
  for (const auto& [author, message] : set) {
    const auto payload = ReducePayload::decode(message.payload);
    if (!payload) {
      remove(author, Fault::malformed, message.digest(setup_.rules->run));
      continue;
    }
    for (const auto& [part, hash] : payload->results) {
      const std::size_t j = part.value();
      if (j >= reductions_.size() || reductions_[j].reducer != author ||
          reductions_[j].assigned_again != again)
        continue;
      reductions_[j].hash = hash;
      published[j] = true;
    }
  }
  if (!again) {
    for (std::size_t j = 0; j < reductions_.size(); ++j) {
      if (!published[j]) reductions_[j].assigned_again = true;
    }
  }
  lap("reduce");
}

// Parts that were given up, or whose reducer fell silent, go to the next member, once.
void Round::assign_again() {
  for (Reduction& reduction : reductions_) {
    if (!reduction.assigned_again) continue;
    reduction.bytes = nullptr;
    const auto next = next_reducer(order_, alive_, setup_.roster, reduction.reducer);
    if (next) {
      reduction.reducer = *next;
    } else {
      reduction.assigned_again = false;  // nobody left: the part is absent
    }
  }
}

// GATHER: receive every reduced part and check its hash; agreed challenges where it is missing.
Task<Result<void>> Round::gather() {
  const swarm::Manifest& manifest = setup_.rules->manifest;
  for (std::size_t j = 0; j < reductions_.size(); ++j) {
    const Reduction& reduction = reductions_[j];
    if (reduction.reducer != self_ || !reduction.hash || !reduction.bytes) continue;
    for (const PeerId& member : alive_) {
      if (member == self_) continue;
      exchange_.send(member, key(PartKind::result, PartIndex(static_cast<std::uint32_t>(j))),
                     reduction.bytes);
    }
  }
  const auto take = [this](std::size_t j) {
    Reduction& reduction = reductions_[j];
    if (!reduction.hash || (reduction.bytes && crypto::tree_hash(*reduction.bytes) == *reduction.hash))
      return true;
    const auto bytes =
        exchange_.find(key(PartKind::result, PartIndex(static_cast<std::uint32_t>(j))), reduction.reducer);
    if (!bytes || crypto::tree_hash(*bytes) != *reduction.hash) return false;
    reduction.bytes = bytes;
    return true;
  };
  const auto complete = [this, &take] {
    bool all = true;
    for (std::size_t j = 0; j < reductions_.size(); ++j) all = take(j) && all;
    return all;
  };
  co_await wait_for_parts(complete, anchor_ + manifest.exchange_deadline());

  // Every member begins its list elsewhere: what several miss is asked for by one of them, and answers reach
  // all.
  ChallengePayload mine;
  const std::size_t shift = *setup_.roster.index_of(self_);
  for (std::size_t i = 0; i < reductions_.size() && mine.missing.size() < manifest.challenge_limit; ++i) {
    const std::size_t j = (i + shift) % reductions_.size();
    if (!take(j)) mine.missing.push_back({PartIndex(static_cast<std::uint32_t>(j)), reductions_[j].reducer});
  }
  const auto set = co_await agree(Phase::gather, 2 * manifest.exchange_deadline(), mine.encode());
  std::set<std::size_t> challenged;
  for (const auto& [author, message] : set) {
    const auto payload = ChallengePayload::decode(message.payload);
    if (!payload || payload->missing.size() > manifest.challenge_limit) {
      remove(author, Fault::malformed, message.digest(setup_.rules->run));
      continue;
    }
    for (const PartOf& entry : payload->missing) {
      if (entry.part.value() < reductions_.size() && reductions_[entry.part.value()].hash) {
        challenged.insert(entry.part.value());
      }
    }
  }
  if (!challenged.empty()) {
    AnswerPayload answer;
    for (std::size_t j : challenged) {
      if (reductions_[j].reducer == self_ && reductions_[j].bytes) {
        answer.parts.emplace_back(PartIndex(static_cast<std::uint32_t>(j)), *reductions_[j].bytes);
      }
    }
    const auto answers = co_await agree(Phase::gather_answer, manifest.exchange_deadline(), answer.encode());
    for (std::size_t j : challenged) {
      Reduction& reduction = reductions_[j];
      const auto message = answers.find(reduction.reducer);
      bool served = false;
      if (message != answers.end()) {
        const auto payload = AnswerPayload::decode(message->second.payload);
        const Bytes* found = payload ? payload->find(PartIndex(static_cast<std::uint32_t>(j))) : nullptr;
        if (found != nullptr && crypto::tree_hash(*found) == *reduction.hash) {
          reduction.bytes = std::make_shared<const Bytes>(*found);
          served = true;
        }
      }
      if (!served) {
        remove(reduction.reducer, Fault::unserved);
        reduction.hash = std::nullopt;  // absent, for everybody
      }
    }
  }
  lap("gather");
  // Too much was missing to make everybody send it again: this member follows the certificate.
  if (!complete()) co_return fail(ErrorCode::not_found, "too many reduced parts did not arrive");
  co_return testudo::Result<void>{};
}

// The reduced vector; absent parts are zero. A result that does not decode bans its reducer: it signed the
// hash.
Task<Result<std::vector<float>>> Round::assemble() {
  std::vector<std::shared_ptr<const Bytes>> parts;
  for (const Reduction& reduction : reductions_) parts.push_back(reduction.hash ? reduction.bytes : nullptr);
  struct Assembled {
    std::vector<float> vector;
    std::vector<std::size_t> malformed;
  };
  auto assembled = co_await net::offload(
      scheduler_, [rules = setup_.rules, ranges = ranges_, parts, count = setup_.state->parameters.size()] {
        Assembled made{std::vector<float>(count, 0.0F), {}};
        for (std::size_t j = 0; j < ranges.size(); ++j) {
          if (!parts[j]) continue;
          const auto slice = std::span(made.vector).subspan(ranges[j].begin, ranges[j].size);
          if (!decode(rules->codec, *parts[j], slice, rules->manifest.g_max)) {
            std::ranges::fill(slice, 0.0F);
            made.malformed.push_back(j);
          }
        }
        return made;
      });
  for (std::size_t j : assembled.malformed) {
    remove(reductions_[j].reducer, Fault::malformed, *reductions_[j].hash);
    reductions_[j].hash = std::nullopt;
  }
  co_return std::move(assembled.vector);
}

Task<void> Round::wait_for_parts(const std::function<bool()>& complete, net::TimePoint limit) {
  net::Timer timer = scheduler_.at(limit, [this] { exchange_.arrived().pulse(); });
  while (true) {
    const bool done = complete();
    if (done || scheduler_.now() >= limit) co_return;
    co_await exchange_.arrived().wait();
  }
}

// The committed bytes of one contribution, once this member holds them and they decode. Bytes that match
// their hash and do not decode are challenged like missing ones: the answer shows everybody.
std::shared_ptr<const Bytes> Round::contribution(PartIndex part, const PeerId& from) {
  const auto checked = contributions_.find({part, from});
  if (checked != contributions_.end()) return checked->second;
  auto bytes = exchange_.find(key(PartKind::contribution, part), from);
  if (!bytes || !decodes_as_committed(*bytes, part, from)) return nullptr;
  contributions_[{part, from}] = bytes;
  return bytes;
}

bool Round::decodes_as_committed(ByteView bytes, PartIndex part, const PeerId& from) const {
  std::vector<float> values(ranges_[part.value()].size);
  return crypto::tree_hash(bytes) == commits_.at(from).parts[part.value()] &&
         decode(setup_.rules->codec, bytes, values, setup_.rules->manifest.g_max).has_value();
}

}  // namespace testudo::training
