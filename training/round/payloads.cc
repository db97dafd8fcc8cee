#include "training/round/payloads.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "net/messages/message.h"

namespace testudo::training {

namespace {

struct WireApplication {
  swarm::PeerId peer;
  bool client_mode = false;
  MSGPACK_DEFINE_ARRAY(peer, client_mode)
};

struct WireHolding {
  swarm::PeerId target;
  std::uint32_t part = 0;
  Bytes sketch;  // little-endian floats, as all sketches
  MSGPACK_DEFINE_ARRAY(target, part, sketch)
};

struct WireMark {
  std::uint8_t reason = 0;
  swarm::PeerId peer;
  MSGPACK_DEFINE_ARRAY(reason, peer)
};

struct WireCommit {
  std::vector<Digest> parts;
  std::vector<double> distances;
  std::uint32_t samples = 0;
  float loss = 0;
  Digest coin{};
  std::vector<WireApplication> applications;
  std::vector<Bytes> accusations;
  std::vector<WireHolding> holdings;
  std::vector<WireMark> marks;
  MSGPACK_DEFINE_ARRAY(parts, distances, samples, loss, coin, applications, accusations, holdings, marks)
};

struct WirePartOf {
  std::uint32_t part = 0;
  swarm::PeerId member;
  MSGPACK_DEFINE_ARRAY(part, member)
};

struct WireAnswer {
  std::uint32_t part = 0;
  swarm::PeerId member;
  Bytes bytes;
  MSGPACK_DEFINE_ARRAY(part, member, bytes)
};

struct WireAnswers {
  std::vector<WireAnswer> parts;
  std::vector<WireAnswer> earlier;
  std::vector<WireAnswer> audited;
  MSGPACK_DEFINE_ARRAY(parts, earlier, audited)
};

struct WireReduced {
  std::uint32_t part = 0;
  std::vector<Digest> hash;  // one, or none
  MSGPACK_DEFINE_ARRAY(part, hash)
};

struct WireReduce {
  std::vector<WireReduced> results;
  std::vector<WirePartOf> missing;
  std::vector<WirePartOf> given_up;
  MSGPACK_DEFINE_ARRAY(results, missing, given_up)
};

struct WireReveal {
  Digest coin{};
  Digest salt{};
  std::vector<WirePartOf> missing;
  MSGPACK_DEFINE_ARRAY(coin, salt, missing)
};

struct WireDeviation {
  double norm = 0;
  Bytes sketch;
  MSGPACK_DEFINE_ARRAY(norm, sketch)
};

struct WireStatement {
  bool same = false;
  std::vector<Bytes> sketches;
  MSGPACK_DEFINE_ARRAY(same, sketches)
};

struct WireValidation {
  swarm::PeerId validator;
  swarm::PeerId target;
  MSGPACK_DEFINE_ARRAY(validator, target)
};

struct WireAuditStatement {
  std::vector<swarm::PeerId> unserved_by;
  MSGPACK_DEFINE_ARRAY(unserved_by)
};

struct WireAudit {
  swarm::PeerId auditor;
  std::uint32_t part = 0;
  MSGPACK_DEFINE_ARRAY(auditor, part)
};

struct WireCheck {
  std::vector<WireDeviation> parts;
  std::vector<WireStatement> recomputed;  // one, or none
  std::vector<WireValidation> disputes;
  std::vector<WireAuditStatement> audit;  // one, or none
  std::vector<WireAudit> audits;
  std::vector<swarm::PeerId> right;
  MSGPACK_DEFINE_ARRAY(parts, recomputed, disputes, audit, audits, right)
};

struct WireMeasure {
  swarm::PeerId target;
  double distance = 0;
  MSGPACK_DEFINE_ARRAY(target, distance)
};

Bytes sketch_bytes(const Sketch& sketch) {
  Bytes bytes(sizeof(Sketch));
  std::memcpy(bytes.data(), sketch.data(), sizeof(Sketch));
  return bytes;
}

Result<Sketch> read_sketch(const Bytes& bytes) {
  if (bytes.size() != sizeof(Sketch)) {
    return fail(ErrorCode::protocol, "a sketch of " + std::to_string(bytes.size()) + " bytes");
  }
  Sketch sketch;
  std::memcpy(sketch.data(), bytes.data(), sizeof(Sketch));
  if (!std::ranges::all_of(sketch, [](float value) { return std::isfinite(value); })) {
    return fail(ErrorCode::protocol, "a sketch is not finite");
  }
  return sketch;
}

bool is_length(double value) { return std::isfinite(value) && value >= 0; }

// Answers carry parts: the link that a payload came by bounds its size.
template <typename T>
Result<T> unpack_payload(ByteView bytes) {
  return net::unpack<T>(bytes, {.size = bytes.size()});
}

template <typename T>
Result<void> at_most(const std::vector<T>& list, std::size_t limit, const char* what) {
  if (list.size() > limit) {
    return fail(ErrorCode::limit,
                std::to_string(list.size()) + " " + what + ", " + std::to_string(limit) + " are allowed");
  }
  return {};
}

std::vector<WirePartOf> written(const std::vector<PartOf>& challenges) {
  std::vector<WirePartOf> wire;
  for (const PartOf& entry : challenges) wire.push_back({entry.part.value(), entry.member});
  return wire;
}

Result<std::vector<PartOf>> read_challenges(const std::vector<WirePartOf>& wire) {
  TRY_VOID(at_most(wire, part_limit, "challenges"));
  std::vector<PartOf> challenges;
  for (const WirePartOf& entry : wire) challenges.push_back({PartIndex(entry.part), entry.member});
  return challenges;
}

}  // namespace

Bytes CommitPayload::encode() const {
  WireCommit wire{parts, distances, samples, loss, coin, {}, {}, {}, {}};
  for (const auto& entry : applications) wire.applications.push_back({entry.peer, entry.client_mode});
  for (const auto& accusation : accusations) wire.accusations.push_back(accusation.encode());
  for (const Holding& holding : holdings) {
    wire.holdings.push_back({holding.target, holding.part.value(), sketch_bytes(holding.sketch)});
  }
  for (const Mark& mark : marks) wire.marks.push_back({static_cast<std::uint8_t>(mark.reason), mark.peer});
  return net::pack(wire);
}

Result<CommitPayload> CommitPayload::decode(ByteView bytes) {
  TRY(WireCommit wire, unpack_payload<WireCommit>(bytes));
  TRY_VOID(at_most(wire.parts, part_limit, "parts"));
  TRY_VOID(at_most(wire.applications, application_limit, "applications"));
  TRY_VOID(at_most(wire.accusations, accusation_limit, "accusations"));
  TRY_VOID(at_most(wire.holdings, part_limit, "holdings"));
  TRY_VOID(at_most(wire.marks, mark_limit, "marks"));
  if (!std::isfinite(wire.loss)) return fail(ErrorCode::protocol, "loss is not finite");
  if (!wire.distances.empty() && wire.distances.size() != wire.parts.size()) {
    return fail(ErrorCode::protocol, std::to_string(wire.distances.size()) + " distances for " +
                                         std::to_string(wire.parts.size()) + " parts");
  }
  if (!std::ranges::all_of(wire.distances, is_length)) {
    return fail(ErrorCode::protocol, "a distance is no length");
  }
  CommitPayload payload{
      std::move(wire.parts), std::move(wire.distances), wire.samples, wire.loss, wire.coin, {}, {}, {}, {}};
  for (const auto& entry : wire.applications) payload.applications.push_back({entry.peer, entry.client_mode});
  const auto by_peer = [](const auto& a, const auto& b) { return a.peer < b.peer; };
  if (std::ranges::adjacent_find(payload.applications, [&](const auto& a, const auto& b) {
        return !by_peer(a, b);
      }) != payload.applications.end()) {
    return fail(ErrorCode::protocol, "applications are not ascending");
  }
  for (const Bytes& accusation : wire.accusations) {
    TRY(auto evidence, swarm::Equivocation::decode(accusation));
    payload.accusations.push_back(std::move(evidence));
  }
  for (const WireHolding& holding : wire.holdings) {
    TRY(const Sketch sketch, read_sketch(holding.sketch));
    payload.holdings.push_back({holding.target, PartIndex(holding.part), sketch});
  }
  for (const WireMark& mark : wire.marks) {
    const auto reason = static_cast<swarm::StrikeReason>(mark.reason);
    if (!is_mark(reason)) return fail(ErrorCode::protocol, "a mark for what nobody is marked for");
    payload.marks.push_back({reason, mark.peer});
  }
  if (std::ranges::adjacent_find(payload.marks, std::ranges::greater_equal{}) != payload.marks.end()) {
    return fail(ErrorCode::protocol, "marks are not ascending");
  }
  return payload;
}

bool is_mark(swarm::StrikeReason reason) {
  switch (reason) {
    case swarm::StrikeReason::late:
    case swarm::StrikeReason::unconfirmed:
    case swarm::StrikeReason::silent_validator:
    case swarm::StrikeReason::silent_reducer:
      return true;
    default:
      return false;
  }
}

const Sketch* CommitPayload::find_holding(const swarm::PeerId& target, PartIndex part) const {
  const auto found = std::ranges::find_if(
      holdings, [&](const Holding& holding) { return holding.target == target && holding.part == part; });
  return found == holdings.end() ? nullptr : &found->sketch;
}

Bytes AnswerPayload::encode() const {
  const auto written = [](const Parts& list) {
    std::vector<WireAnswer> out;
    for (const auto& [entry, bytes] : list) out.push_back({entry.part.value(), entry.member, bytes});
    return out;
  };
  return net::pack(WireAnswers{written(parts), written(earlier), written(audited)});
}

Result<AnswerPayload> AnswerPayload::decode(ByteView bytes) {
  TRY(auto wire, unpack_payload<WireAnswers>(bytes));
  TRY_VOID(at_most(wire.parts, part_limit, "answers"));
  TRY_VOID(at_most(wire.earlier, part_limit, "earlier answers"));
  TRY_VOID(at_most(wire.audited, part_limit, "answers about audited parts"));
  const auto read = [](std::vector<WireAnswer> list) {
    Parts out;
    for (WireAnswer& entry : list) {
      out.emplace_back(PartOf{PartIndex(entry.part), entry.member}, std::move(entry.bytes));
    }
    return out;
  };
  AnswerPayload payload;
  payload.parts = read(std::move(wire.parts));
  payload.earlier = read(std::move(wire.earlier));
  payload.audited = read(std::move(wire.audited));
  return payload;
}

const Bytes* AnswerPayload::find_in(const Parts& parts, const PartOf& entry) {
  const auto found = std::ranges::find(parts, entry, &Parts::value_type::first);
  return found == parts.end() ? nullptr : &found->second;
}

const AnswerPayload* Answers::of(const swarm::PeerId& author) {
  auto known = decoded_.find(author);
  if (known == decoded_.end()) {
    const auto message = messages_.find(author);
    std::optional<AnswerPayload> answer;
    if (message != messages_.end()) {
      auto payload = AnswerPayload::decode(message->second.payload);
      if (payload) answer = std::move(*payload);
    }
    known = decoded_.emplace(author, std::move(answer)).first;
  }
  return known->second ? &*known->second : nullptr;
}

Bytes ReducePayload::encode() const {
  WireReduce wire;
  for (const auto& [part, hash] : results) {
    wire.results.push_back({part.value(), hash ? std::vector<Digest>{*hash} : std::vector<Digest>{}});
  }
  wire.missing = written(missing);
  wire.given_up = written(given_up);
  return net::pack(wire);
}

Result<ReducePayload> ReducePayload::decode(ByteView bytes) {
  TRY(const auto wire, unpack_payload<WireReduce>(bytes));
  TRY_VOID(at_most(wire.results, part_limit, "results"));
  ReducePayload payload;
  for (const WireReduced& entry : wire.results) {
    if (entry.hash.size() > 1) return fail(ErrorCode::protocol, "two hashes for one part");
    payload.results.emplace_back(PartIndex(entry.part),
                                 entry.hash.empty() ? std::nullopt : std::optional<Digest>(entry.hash[0]));
  }
  TRY(payload.missing, read_challenges(wire.missing));
  TRY(payload.given_up, read_challenges(wire.given_up));
  return payload;
}

Bytes RevealPayload::encode() const {
  return net::pack(WireReveal{opening.coin, opening.salt, written(missing)});
}

Result<RevealPayload> RevealPayload::decode(ByteView bytes) {
  TRY(const auto wire, unpack_payload<WireReveal>(bytes));
  TRY(auto missing, read_challenges(wire.missing));
  return RevealPayload{{wire.coin, wire.salt}, std::move(missing)};
}

Bytes CheckPayload::encode() const {
  WireCheck wire;
  for (const Deviation& part : parts) wire.parts.push_back({part.norm, sketch_bytes(part.sketch)});
  if (recomputed) {
    WireStatement statement{recomputed->same, {}};
    for (const Sketch& sketch : recomputed->sketches) statement.sketches.push_back(sketch_bytes(sketch));
    wire.recomputed.push_back(std::move(statement));
  }
  for (const Validation& dispute : disputes) wire.disputes.push_back({dispute.validator, dispute.target});
  if (audit) wire.audit.push_back({audit->unserved_by});
  for (const Audit& dispute : audits) wire.audits.push_back({dispute.auditor, dispute.part.value()});
  wire.right = right;
  return net::pack(wire);
}

Result<CheckPayload> CheckPayload::decode(ByteView bytes) {
  TRY(const auto wire, unpack_payload<WireCheck>(bytes));
  TRY_VOID(at_most(wire.parts, part_limit, "deviations"));
  TRY_VOID(at_most(wire.recomputed, 1, "statements"));
  TRY_VOID(at_most(wire.disputes, dispute_limit, "disputes"));
  TRY_VOID(at_most(wire.audit, 1, "statements about an audited part"));
  TRY_VOID(at_most(wire.audits, dispute_limit, "disputed audits"));
  TRY_VOID(at_most(wire.right, validation_limit, "right contributions"));
  CheckPayload payload;
  for (const WireDeviation& entry : wire.parts) {
    if (!is_length(entry.norm)) return fail(ErrorCode::protocol, "a norm is no length");
    TRY(const Sketch sketch, read_sketch(entry.sketch));
    payload.parts.push_back({entry.norm, sketch});
  }
  for (const WireStatement& entry : wire.recomputed) {
    TRY_VOID(at_most(entry.sketches, part_limit, "sketches"));
    Statement statement{entry.same, {}};
    for (const Bytes& encoded : entry.sketches) {
      TRY(const Sketch sketch, read_sketch(encoded));
      statement.sketches.push_back(sketch);
    }
    payload.recomputed = std::move(statement);
  }
  for (const auto& entry : wire.disputes) payload.disputes.push_back({entry.validator, entry.target});
  if (std::ranges::adjacent_find(payload.disputes, std::ranges::greater_equal{}) != payload.disputes.end()) {
    return fail(ErrorCode::protocol, "disputes are not ascending");
  }
  if (!wire.audit.empty()) {
    payload.audit = AuditStatement{std::move(wire.audit.front().unserved_by)};
    const auto& named = payload.audit->unserved_by;
    TRY_VOID(at_most(named, part_limit, "members that kept something from an auditor"));
    if (std::ranges::adjacent_find(named, std::ranges::greater_equal{}) != named.end())
      return fail(ErrorCode::protocol, "members that kept something from an auditor are not ascending");
  }
  for (const auto& entry : wire.audits) payload.audits.push_back({entry.auditor, PartIndex(entry.part)});
  if (std::ranges::adjacent_find(payload.audits, std::ranges::greater_equal{}) != payload.audits.end()) {
    return fail(ErrorCode::protocol, "disputed audits are not ascending");
  }
  payload.right = wire.right;
  if (std::ranges::adjacent_find(payload.right, std::ranges::greater_equal{}) != payload.right.end()) {
    return fail(ErrorCode::protocol, "right contributions are not ascending");
  }
  return payload;
}

Bytes MeasurePayload::encode() const {
  std::vector<WireMeasure> wire;
  for (const auto& [target, distance] : distances) wire.push_back({target, distance});
  return net::pack(wire);
}

Result<MeasurePayload> MeasurePayload::decode(ByteView bytes) {
  TRY(const auto wire, unpack_payload<std::vector<WireMeasure>>(bytes));
  TRY_VOID(at_most(wire, dispute_limit, "measured distances"));
  MeasurePayload payload;
  for (const WireMeasure& entry : wire) {
    if (!is_length(entry.distance)) return fail(ErrorCode::protocol, "a distance is no length");
    payload.distances.emplace_back(entry.target, entry.distance);
  }
  return payload;
}

std::optional<double> MeasurePayload::find(const swarm::PeerId& target) const {
  const auto found = std::ranges::find(distances, target, [](const auto& entry) { return entry.first; });
  return found == distances.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace testudo::training
