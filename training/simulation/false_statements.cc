#include "training/simulation/false_statements.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "training/arithmetic/reproducible.h"
#include "training/round/payloads.h"

namespace testudo::training {

namespace {

using swarm::Phase;

class WrongAggregate final : public Misconduct {
 public:
  WrongAggregate(CodecKind codec, double shift, std::uint64_t from_round)
      : codec_(codec), shift_(shift), from_(from_round) {}
  void on_result(swarm::RoundNumber round, const PartRange& range, Buffer& encoded) override {
    if (round < from_) return;
    std::vector<float> values(range.size);
    if (!decode(codec_, encoded, values, std::numeric_limits<float>::max())) return;
    const double scale = shift_ * norm(values) / std::sqrt(static_cast<double>(range.size));
    for (float& value : values) value += static_cast<float>(scale);
    (void)encode_into(codec_, values, encoded);
  }

 private:
  CodecKind codec_;
  double shift_;
  swarm::RoundNumber from_;
};

// Where something is disputed.
void show_nothing(const swarm::PhaseKey& key, Bytes& payload) {
  if (key.phase == Phase::evidence || key.phase == Phase::evidence_again) payload = AnswerPayload{}.encode();
}

class HiddenAggregate final : public Misconduct {
 public:
  HiddenAggregate(CodecKind codec, double shift, std::uint64_t from_round)
      : wrong_(codec, shift, from_round) {}
  void on_result(swarm::RoundNumber round, const PartRange& range, Buffer& encoded) override {
    wrong_.on_result(round, range, encoded);
  }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override { show_nothing(key, payload); }

 private:
  WrongAggregate wrong_;
};

// Spoils the part that nobody else holds, and shows nothing of its contribution when it is disputed.
class HiddenPart final : public Misconduct {
 public:
  explicit HiddenPart(std::uint64_t from_round) : from_(from_round) {}
  void on_gradient(const ContributionView& view, std::span<float> gradient) override {
    if (view.round < from_) return;
    for (const std::size_t j : view.reduces) {
      const PartRange& range = view.ranges[j];
      for (float& value : gradient.subspan(range.begin, range.size)) value *= -10;
    }
  }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override { show_nothing(key, payload); }

 private:
  swarm::RoundNumber from_;
};

// May shift what it reduces, and helps to find nobody that does: says nothing as an auditor; may show nothing
// in disputes about results of earlier rounds.
class EvadesAudits final : public Misconduct {
 public:
  EvadesAudits(std::shared_ptr<Misconduct> shift, bool shows, std::uint64_t from_round)
      : shift_(std::move(shift)), shows_(shows), from_(from_round) {}
  void on_result(swarm::RoundNumber round, const PartRange& range, Buffer& encoded) override {
    if (shift_) shift_->on_result(round, range, encoded);
  }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round < from_) return;
    if (key.phase == Phase::check) {
      auto check = CheckPayload::decode(payload);
      if (!check) return;
      check->audit.reset();
      payload = check->encode();
    }
    if (shows_ || (key.phase != Phase::evidence && key.phase != Phase::evidence_again)) return;
    auto answer = AnswerPayload::decode(payload);
    if (!answer) return;
    answer->audited.clear();
    payload = answer->encode();
  }

 private:
  std::shared_ptr<Misconduct> shift_;
  bool shows_;
  swarm::RoundNumber from_;
};

// Says as an auditor that nobody sent it anything.
class UnservedAudit final : public Misconduct {
 public:
  explicit UnservedAudit(std::uint64_t from_round) : from_(from_round) {}
  void on_gradient(const ContributionView& view, std::span<float>) override {
    everybody_ = view.contributors;
    std::erase(everybody_, view.self);
  }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round < from_ || key.phase != Phase::check || everybody_.empty()) return;
    auto check = CheckPayload::decode(payload);
    // It knows that it was drawn: then it also has something to say of a contribution.
    if (!check || !check->recomputed) return;
    check->audit = AuditStatement{everybody_};
    payload = check->encode();
  }

 private:
  swarm::RoundNumber from_;
  std::vector<swarm::PeerId> everybody_;
};

bool is_audited(const std::string& protocol, const TamperedFrame& frame, swarm::RoundNumber from) {
  const auto key = protocol.starts_with("/testudo/part/") ? PartExchange::key_in(frame.header) : std::nullopt;
  return key && key->kind == PartKind::audited && key->round >= from;
}

// What auditors are to get leaves so long after the results, with which a round sends its last parts.
Tamper late_to_auditors(net::Duration hold, std::uint64_t from_round) {
  const auto kept = std::make_shared<std::map<swarm::PeerId, std::vector<TamperedFrame>>>();
  return [kept, hold, from = swarm::RoundNumber(from_round)](
             const swarm::PeerId& to, const std::string& protocol, TamperedFrame frame) {
    std::vector<TamperedFrame> frames;
    if (is_audited(protocol, frame, from)) {
      if ((*kept)[to].empty()) frame.hold = hold;
      (*kept)[to].push_back(std::move(frame));
      return frames;
    }
    const auto key =
        protocol.starts_with("/testudo/part/") ? PartExchange::key_in(frame.header) : std::nullopt;
    frames.push_back(std::move(frame));
    if (key && key->kind == PartKind::result) {
      std::ranges::move((*kept)[to], std::back_inserter(frames));
      kept->erase(to);
    }
    return frames;
  };
}

// No part that is to be audited goes out.
Tamper keeps_from_auditors(std::uint64_t from_round) {
  return [from = swarm::RoundNumber(from_round)](const swarm::PeerId&, const std::string& protocol,
                                                 TamperedFrame frame) {
    std::vector<TamperedFrame> frames;
    if (is_audited(protocol, frame, from)) return frames;
    frames.push_back(std::move(frame));
    return frames;
  };
}

// Of what others contribute to the parts that a member reduces.
std::vector<PartOf> contributions_to(const ContributionView& view) {
  std::vector<PartOf> all;
  for (const std::size_t j : view.reduces) {
    for (const swarm::PeerId& member : view.contributors) {
      if (member != view.self) all.push_back({PartIndex(static_cast<std::uint32_t>(j)), member});
    }
  }
  return all;
}

// Challenges of contributions to its own parts, and of results, though it has them.
class Challenges final : public Misconduct {
 public:
  Challenges(std::size_t count, std::uint64_t from_round) : count_(count), from_(from_round) {}
  void on_gradient(const ContributionView& view, std::span<float>) override {
    right_ = contributions_to(view);
    results_.clear();
    for (std::size_t j = 0; j < view.ranges.size(); ++j) {
      results_.push_back({PartIndex(static_cast<std::uint32_t>(j)), view.self});
    }
  }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round < from_) return;
    if (key.phase == Phase::reduce) payload = with<ReducePayload>(payload, right_);
    if (key.phase == Phase::reveal) payload = with<RevealPayload>(payload, results_);
  }

 private:
  template <typename Payload>
  Bytes with(const Bytes& payload, const std::vector<PartOf>& missing) const {
    auto decoded = Payload::decode(payload);
    if (!decoded) return payload;
    decoded->missing = missing;
    if (missing.size() > count_) decoded->missing.resize(count_);
    return decoded->encode();
  }

  std::size_t count_;
  swarm::RoundNumber from_;
  std::vector<PartOf> right_;
  std::vector<PartOf> results_;
};

// Gives up its parts, and says that it misses everything.
class GivesUp final : public Misconduct {
 public:
  explicit GivesUp(std::uint64_t from_round) : from_(from_round) {}
  void on_gradient(const ContributionView& view, std::span<float>) override {
    right_ = contributions_to(view);
  }
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round < from_ || key.phase != Phase::reduce) return;
    payload = ReducePayload{{}, {}, right_}.encode();
  }

 private:
  swarm::RoundNumber from_;
  std::vector<PartOf> right_;
};

// Says nothing that would help to find wrong contributions.
class IdleChecks final : public Misconduct {
 public:
  explicit IdleChecks(std::uint64_t from_round) : from_(from_round) {}
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round < from_) return;
    if (key.phase == Phase::commit) {
      auto commit = CommitPayload::decode(payload);
      if (!commit) return;
      commit->holdings.clear();
      payload = commit->encode();
    } else if (key.phase == Phase::check) {
      auto check = CheckPayload::decode(payload);
      if (!check) return;
      check->recomputed.reset();
      payload = check->encode();
    }
  }

 private:
  swarm::RoundNumber from_;
};

// Changes the payloads of one phase.
template <typename Payload, Phase phase>
class WrongPayload final : public Misconduct {
 public:
  using Change = std::function<void(Payload&)>;
  WrongPayload(std::uint64_t from_round, Change change) : from_(from_round), change_(std::move(change)) {}
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.phase != phase || key.round < from_) return;
    auto decoded = Payload::decode(payload);
    if (!decoded) return;
    change_(*decoded);
    payload = decoded->encode();
  }

 private:
  swarm::RoundNumber from_;
  Change change_;
};

// Commits to no contribution, and reports on none.
class Idle final : public Misconduct {
 public:
  explicit Idle(std::uint64_t from_round) : from_(from_round) {}
  void on_payload(const swarm::PhaseKey& key, Bytes& payload) override {
    if (key.round < from_) return;
    if (auto commit = CommitPayload::decode(payload); key.phase == Phase::commit && commit) {
      commit->parts.clear();
      commit->distances.clear();
      payload = commit->encode();
    }
    if (auto check = CheckPayload::decode(payload); key.phase == Phase::check && check) {
      check->parts.clear();
      payload = check->encode();
    }
  }

 private:
  swarm::RoundNumber from_;
};

}  // namespace

Behaviour wrong_aggregate(CodecKind codec, double shift, std::uint64_t from_round) {
  return {.name = "wrong_aggregate",
          .misconduct = std::make_shared<WrongAggregate>(codec, shift, from_round)};
}

Behaviour hidden_aggregate(CodecKind codec, double shift, std::uint64_t from_round) {
  return {.name = "hidden_aggregate",
          .misconduct = std::make_shared<HiddenAggregate>(codec, shift, from_round)};
}

Behaviour hidden_audit(CodecKind codec, double shift, std::uint64_t from_round) {
  const auto shifts = std::make_shared<WrongAggregate>(codec, shift, from_round);
  return {.name = "hidden_audit",
          .tamper = keeps_from_auditors(from_round),
          .misconduct = std::make_shared<EvadesAudits>(shifts, false, from_round)};
}

Behaviour late_audit(CodecKind codec, double shift, net::Duration hold, std::uint64_t from_round) {
  const auto shifts = std::make_shared<WrongAggregate>(codec, shift, from_round);
  return {.name = "late_audit",
          .tamper = late_to_auditors(hold, from_round),
          .misconduct = std::make_shared<EvadesAudits>(shifts, true, from_round)};
}

Behaviour unserved_audit(std::uint64_t from_round) {
  return {.name = "unserved_audit", .misconduct = std::make_shared<UnservedAudit>(from_round)};
}

Behaviour withheld_audit(std::uint64_t from_round) {
  return {.name = "withheld_audit",
          .tamper = keeps_from_auditors(from_round),
          .misconduct = std::make_shared<EvadesAudits>(nullptr, false, from_round)};
}

Behaviour no_result(std::uint64_t from_round) {
  const auto change = [](ReducePayload& payload) {
    for (auto& [part, hash] : payload.results) hash = std::nullopt;
  };
  return {.name = "no_result",
          .misconduct = std::make_shared<WrongPayload<ReducePayload, Phase::reduce>>(from_round, change)};
}

Behaviour idle(std::uint64_t from_round) {
  return {.name = "idle", .misconduct = std::make_shared<Idle>(from_round)};
}

Behaviour wrong_sketch(std::uint64_t from_round) {
  const auto change = [](CheckPayload& payload) {
    for (Deviation& part : payload.parts) {
      for (float& value : part.sketch) value = -value;
    }
  };
  return {.name = "wrong_sketch",
          .misconduct = std::make_shared<WrongPayload<CheckPayload, Phase::check>>(from_round, change)};
}

Behaviour wrong_reveal(std::uint64_t from_round) {
  const auto change = [](RevealPayload& payload) { payload.opening.coin[0] ^= 1; };
  return {.name = "wrong_reveal",
          .misconduct = std::make_shared<WrongPayload<RevealPayload, Phase::reveal>>(from_round, change)};
}

Behaviour false_accusation(std::uint64_t from_round) {
  const auto change = [](CheckPayload& payload) {
    if (!payload.recomputed) return;
    payload.recomputed->same = false;
    for (Sketch& sketch : payload.recomputed->sketches) {
      for (float& value : sketch) value = -value;
    }
  };
  return {.name = "false_accusation",
          .misconduct = std::make_shared<WrongPayload<CheckPayload, Phase::check>>(from_round, change)};
}

Behaviour lazy_validation(std::uint64_t from_round) {
  const auto change = [](CheckPayload& payload) {
    if (!payload.recomputed) return;
    payload.recomputed->same = true;
    for (Sketch& sketch : payload.recomputed->sketches) sketch.fill(1.0F);
  };
  return {.name = "lazy_validation",
          .misconduct = std::make_shared<WrongPayload<CheckPayload, Phase::check>>(from_round, change)};
}

Behaviour false_audit(std::uint64_t from_round) {
  const auto change = [](CheckPayload& payload) {
    // It knows that it was drawn: then it also has something to say of a contribution.
    if (payload.recomputed) payload.audit = AuditStatement{};
  };
  return {.name = "false_audit",
          .misconduct = std::make_shared<WrongPayload<CheckPayload, Phase::check>>(from_round, change)};
}

Behaviour wrong_holding(std::uint64_t from_round) {
  const auto change = [](CommitPayload& payload) {
    for (Holding& holding : payload.holdings) {
      for (float& value : holding.sketch) value = -value;
    }
  };
  return {.name = "wrong_holding",
          .misconduct = std::make_shared<WrongPayload<CommitPayload, Phase::commit>>(from_round, change)};
}

Behaviour hidden_part(std::uint64_t from_round) {
  return {.name = "hidden_part", .misconduct = std::make_shared<HiddenPart>(from_round)};
}

Behaviour challenges(std::size_t count, std::uint64_t from_round) {
  return {.name = "challenges", .misconduct = std::make_shared<Challenges>(count, from_round)};
}

Behaviour give_up(std::uint64_t from_round) {
  return {.name = "give_up", .misconduct = std::make_shared<GivesUp>(from_round)};
}

Behaviour keep_results(std::uint64_t from_round) {
  const auto change = [](ReducePayload& payload) { payload.results.clear(); };
  return {.name = "keep_results",
          .misconduct = std::make_shared<WrongPayload<ReducePayload, Phase::reduce>>(from_round, change)};
}

Behaviour idle_checks(std::uint64_t from_round) {
  return {.name = "idle_checks", .misconduct = std::make_shared<IdleChecks>(from_round)};
}

Behaviour wrong_samples(std::uint32_t samples, std::uint64_t from_round) {
  const auto change = [samples](CommitPayload& payload) {
    if (!payload.parts.empty()) payload.samples = samples;
  };
  return {.name = "wrong_samples",
          .misconduct = std::make_shared<WrongPayload<CommitPayload, Phase::commit>>(from_round, change)};
}

Behaviour wrong_loss(float loss, std::uint64_t from_round) {
  const auto change = [loss](CommitPayload& payload) { payload.loss = loss; };
  return {.name = "wrong_loss",
          .misconduct = std::make_shared<WrongPayload<CommitPayload, Phase::commit>>(from_round, change)};
}

Behaviour wrong_distances(double factor, std::uint64_t from_round) {
  const auto change = [factor](CommitPayload& payload) {
    for (double& distance : payload.distances) distance *= factor;
  };
  return {.name = "wrong_distances",
          .misconduct = std::make_shared<WrongPayload<CommitPayload, Phase::commit>>(from_round, change)};
}

}  // namespace testudo::training
