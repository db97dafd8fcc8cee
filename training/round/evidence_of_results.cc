// Evidence about a result: one that the contributions do not give, found in its own round or by an audit; a
// report of what a contribution deviates from it by; an auditor that calls a right one wrong.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "crypto/base/counted.h"
#include "crypto/merkle.h"
#include "swarm/sync.h"
#include "training/checks/validation.h"
#include "training/round/evidence_case.h"
#include "training/round/reduce_job.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using swarm::AppliedRound;
using swarm::Evidence;
using swarm::Fault;
using swarm::Phase;
using swarm::PhaseMessage;

namespace {

class ResultCase final : public EvidenceCase {
 public:
  explicit ResultCase(const CaseInput& input) : EvidenceCase(input) {}

 private:
  Result<Finding> judge_fault() const override {
    if (evidence_.fault == Fault::wrong_aggregate) return wrong_aggregate();
    if (is_bare()) return bare();
    return evidence_.fault == Fault::wrong_sketch ? wrong_report() : false_audit();
  }

  // The COMMITs of C_j, in its order. It is what the outcome says: those that were present and have a vote,
  // but for members that lost their seat and those that offered nothing.
  Result<std::vector<CommitPayload>> contributions(const AppliedRound& round, std::size_t parts) const {
    use(&evidence_.contributors);
    std::vector<CommitPayload> commits;
    for (const PeerId& member : evidence_.contributors) {
      if (!std::ranges::binary_search(round.present, member) || !round.roster->votes(member))
        return refuse(member.short_text() + " did not contribute to the round");
      TRY(auto commit, commit_of(round, member, parts));
      if (commit.parts.empty()) return refuse(member.short_text() + " committed to no contribution");
      commits.push_back(std::move(commit));
    }
    for (const PeerId& member : round.present) {
      if (std::ranges::binary_search(evidence_.contributors, member) || !round.roster->votes(member) ||
          std::ranges::find(round.removed, member, &swarm::Removal::peer) != round.removed.end()) {
        continue;
      }
      TRY(const auto commit, commit_of(round, member, parts));
      if (!commit.parts.empty()) return refuse("the contribution of " + member.short_text() + " is left out");
    }
    return commits;
  }

  double tau(const std::vector<PartRange>& parts, const std::vector<CommitPayload>& commits) const {
    std::vector<double> distances;
    if (has_distances(rules_)) {
      for (const CommitPayload& commit : commits) distances.push_back(commit.distances[evidence_.part]);
    }
    return tau_of_part(rules_, parts[evidence_.part].size, distances);
  }

  // What the rule starts from, of a state whose root is certified.
  Result<std::vector<float>> start(const AppliedRound& round, const PartRange& range) const {
    std::vector<float> values;
    if (!rules_.rule->uses_start() || round.round == swarm::RoundNumber(1)) return values;
    if (!evidence_.state) return refuse("the state that the rule starts from is missing");
    const Evidence::StatePiece& piece = *evidence_.state;
    use(&piece);
    const TrainingState::Sizes sizes = rules_.state_sizes();
    constexpr std::size_t chunk = swarm::state_chunk_bytes;
    if (piece.size != TrainingState::encoded_bytes(sizes) ||
        swarm::state_root(piece.size, piece.leaves) != round.state_root) {
      return refuse("the state is not the certified one");
    }
    const std::size_t begin = TrainingState::aggregate_begin(sizes) + range.begin * sizeof(float);
    const std::size_t end = begin + range.size * sizeof(float);
    if (piece.first != begin / chunk || piece.chunks.size() != (end - 1) / chunk - begin / chunk + 1)
      return refuse("other pieces of the state than the rule starts from");
    Bytes bytes;
    for (std::size_t i = 0; i < piece.chunks.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(piece.first) + i;
      if (at >= piece.leaves.size() || crypto::tree_hash(piece.chunks[i]) != piece.leaves[at])
        return refuse("a piece of the state is not the certified one");
      append(bytes, piece.chunks[i]);
    }
    const std::size_t skip = begin - static_cast<std::size_t>(piece.first) * chunk;
    if (bytes.size() < skip + range.size * sizeof(float)) return refuse("a piece of the state is cut");
    values.resize(range.size);
    std::memcpy(values.data(), bytes.data() + skip, range.size * sizeof(float));
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      return refuse("the state is not finite");
    return values;
  }

  // What the kept contributions to the part give; zero where the rule does not converge.
  Result<Digest> reduced_again(const AppliedRound& round, const std::vector<PartRange>& parts) const {
    TRY(const auto commits, contributions(round, parts.size()));
    const PartRange& range = parts[evidence_.part];
    std::vector<ByteView> views;
    for (std::size_t i = 0; i < commits.size(); ++i) {
      TRY(const Bytes* const bytes, shown(Kind::contribution, evidence_.part, evidence_.contributors[i],
                                          commits[i].parts[evidence_.part], range.size));
      if (bytes == nullptr) return refuse("not all contributions are kept");
      views.emplace_back(*bytes);
    }
    TRY(const auto from, start(round, range));
    const auto reduced = reduce_part({rules_, range.size, std::move(views), from, tau(parts, commits),
                                      round.roster->greatest_hostile_count(rules_.manifest.hostile_share),
                                      aggregation_seed(rules_.run, round.round, round.beacon)},
                                     nullptr);
    return reduced ? reduced->hash : Digest{};
  }
  // What a round certified for the part that this is about.
  Result<Digest> certified_result(const AppliedRound& round, const std::vector<PartRange>& parts) const {
    if (evidence_.part >= parts.size() || round.results.size() != parts.size())
      return refuse("the round has no such part");
    return round.results[evidence_.part];
  }
  std::string part_text() const { return "part " + std::to_string(evidence_.part); }

  Result<Finding> wrong_aggregate() const {
    const Phase phase = first().key.phase;
    if (phase != Phase::reduce && phase != Phase::reduce_again) return refuse("its message is no REDUCE");
    TRY(const auto payload, ReducePayload::decode(first().payload));
    TRY(const auto published, result_in(payload, evidence_.part));
    return is_of_this_attempt(first()) ? corrected_aggregate(published) : audited_aggregate(published);
  }

  // Found in its own round, whose certificate has the right result.
  Result<Finding> corrected_aggregate(const std::optional<Digest>& published) const {
    TRY(const auto parts, ranges(here()));
    TRY(const auto certified, certified_result(here(), parts));
    const std::string part = part_text();
    if (published.value_or(Digest{}) == certified)
      return refuse("the result that it published for " + part + " is the certified one");
    const std::string other = "the result that it published for " + part + " is not the certified one; ";
    if (evidence_.shortened) {
      return attested(other + "that the contributions give this one rests on the quorum, because they " +
                      "(or what the rule starts from) were too large to keep");
    }
    // Where not all was shown, the part is absent.
    if (published && certified == Digest{} &&
        find_shown(Kind::result, evidence_.part, evidence_.offender) != nullptr) {
      return aggregate_by_shown(*published, parts);
    }
    TRY(const auto right, reduced_again(here(), parts));
    if (right != certified) return refuse("the contributions give another result than the certified one");
    return proven(other + "reduced again from " + counted(evidence_.contributors.size(), "contribution") +
                  ", it is the certified one");
  }

  // Not every contribution was shown; those that were may tell all the same.
  Result<Finding> aggregate_by_shown(const Digest& published, const std::vector<PartRange>& parts) const {
    if (!rules_.rule->solves_clipped_sum()) return refuse("some contributions are missing");
    TRY(const auto commits, contributions(here(), parts.size()));
    const std::size_t size = parts[evidence_.part].size;
    TRY(const Bytes* const result, shown(Kind::result, evidence_.part, evidence_.offender, published, size));
    std::vector<ByteView> views;
    for (std::size_t i = 0; i < commits.size(); ++i) {
      const PeerId& member = evidence_.contributors[i];
      if (evidence_.find(Kind::contribution, evidence_.part, member) == nullptr) continue;
      TRY(const Bytes* const bytes,
          shown(Kind::contribution, evidence_.part, member, commits[i].parts[evidence_.part], size));
      views.emplace_back(*bytes);
    }
    if (may_be_result(rules_, *result, size, views, commits.size(), tau(parts, commits)))
      return refuse("contributions that were not shown could give that result");
    return proven("the result that it published for " + part_text() + " deviates from the " +
                  std::to_string(views.size()) + " of " + std::to_string(commits.size()) +
                  " contributions that were shown by more than any others could make up for");
  }

  // Found by an audit, when it had been applied.
  Result<Finding> audited_aggregate(const std::optional<Digest>& published) const {
    TRY_VOID(needs_earlier_rounds());
    const AppliedRound& round = context_.earlier[0];
    if (!is_of(round, first())) return refuse("its message is of another round");
    TRY(const auto parts, ranges(round));
    TRY(const auto certified, certified_result(round, parts));
    if (!published || *published != certified)
      return refuse("the result that it published for " + part_text() + " is not the certified one");
    const std::string what = "the result that it published for " + part_text() + " of round " +
                             std::to_string(round.round.value()) + " was applied; ";
    if (evidence_.shortened) {
      return attested(what +
                      "that the contributions give another one rests on the quorum, because they (or " +
                      "what the rule starts from) were too large to keep");
    }
    TRY(const auto right, reduced_again(round, parts));
    if (right == certified) return refuse("the contributions give the result that it published");
    const std::string other = what + "reduced again from " +
                              counted(evidence_.contributors.size(), "contribution") + ", it is another one";
    const bool certain = std::ranges::none_of(round.removed, [&](const swarm::Removal& removal) {
      if (!std::ranges::binary_search(round.present, removal.peer)) return false;
      const auto commit = commit_of(round, removal.peer, parts.size());
      return !commit || !commit->parts.empty();
    });
    if (certain) return proven(other);
    return attested(other + "; that these are the ones which counted rests on the quorum, because a " +
                    "contributor lost its seat in that round");
  }

  // An auditor that says so of a right result.
  Result<Finding> false_audit() const {
    use(&evidence_.contributors);
    TRY_VOID(needs_earlier_rounds());
    const AppliedRound& round = context_.earlier[0];
    if (first().key != statement_key()) return refuse("its message is not what it said as an auditor");
    TRY(const auto payload, CheckPayload::decode(first().payload));
    if (!payload.audit || !payload.audit->is_wrong()) return refuse("it did not say that a result is wrong");
    TRY(const auto parts, ranges(round));
    const auto audits = audits_of(drawn_validations(), parts.size(), rules_.run, context_.earlier[1].round,
                                  context_.earlier[1].beacon);
    if (std::ranges::find(audits, Audit{evidence_.offender, PartIndex(evidence_.part)}) == audits.end())
      return refuse("it was not drawn to audit that part");
    TRY(const auto certified, certified_result(round, parts));
    const std::string what = "it said that the result of " + part_text() + " of round " +
                             std::to_string(round.round.value()) + " is wrong; ";
    if (evidence_.shortened) {
      return attested(what +
                      "that the contributions give it rests on the quorum, because they (or what the " +
                      "rule starts from) were too large to keep");
    }
    TRY(const auto right, reduced_again(round, parts));
    if (certified == Digest{} || right != certified) return refuse("it was right about that");
    return proven(what + "reduced again from " + counted(evidence_.contributors.size(), "contribution") +
                  ", it is the same");
  }

  // Of what its contribution deviates from a result by.
  Result<Finding> wrong_report() const {
    if (!is_of_this_attempt(first())) return refuse("its message is of another attempt");
    TRY(const auto parts, ranges(here()));
    TRY(const auto payload, CheckPayload::decode(first().payload));
    TRY(const auto commit, commit_of(here(), evidence_.offender, parts.size()));
    const std::size_t part = evidence_.part;
    if (part >= parts.size() || payload.parts.size() != parts.size() || commit.parts.size() != parts.size())
      return refuse("it reports on no such part");
    std::vector<CommitPayload> commits;
    if (has_distances(rules_) && !evidence_.shortened) {
      TRY(commits, contributions(here(), parts.size()));
    }
    if (evidence_.shortened) {
      return attested("it signed a report on part " + std::to_string(part) +
                      "; that its contribution deviates by something else rests on the quorum, because " +
                      "the contribution and the result were too large to keep");
    }
    TRY(const Bytes* const own,
        shown(Kind::contribution, part, evidence_.offender, commit.parts[part], parts[part].size));
    TRY(const Bytes* const result, result_reported_on(part, parts[part].size));
    const EncodedParts contribution(rules_.codec, parts[part].size, rules_.manifest.g_max, {*own});
    const EncodedParts reduced(rules_.codec, parts[part].size, rules_.manifest.g_max, {*result});
    const Digest seed = sketch_seed(rules_.run, here().round, here().attempt, here().coins, part);
    const Deviation right = deviations(contribution, reduced, seed, tau(parts, commits)).front();
    if (right == payload.parts[part]) return refuse("its report is right");
    return proven("the norm or sketch that it reported for part " + std::to_string(part) +
                  " is not what its contribution deviates from the result by");
  }

  // The result as its reducer published it: the certified one, or one that bans its reducer in the same
  // certificate.
  Result<const Bytes*> result_reported_on(std::size_t part, std::size_t size) const {
    const AppliedRound& round = here();
    for (const PhaseMessage& message : evidence_.messages) {
      const Phase phase = message.key.phase;
      if (!is_of_this_attempt(message) || (phase != Phase::reduce && phase != Phase::reduce_again)) continue;
      TRY(const auto payload, ReducePayload::decode(message.payload));
      TRY(const auto hash, result_in(payload, static_cast<std::uint32_t>(part)));
      const auto removed = std::ranges::find(round.removed, message.author, &swarm::Removal::peer);
      // Or it lost its seat because not all of the part was shown, which is absent then.
      const bool absent = part < round.results.size() && round.results[part] == Digest{};
      const bool wrong = removed != round.removed.end() && (is_ban(removed->fault) || absent);
      const bool certified = hash && part < round.results.size() && round.results[part] == *hash;
      if (!hash || (!certified && !wrong)) continue;
      use(&message);
      return shown(Kind::result, part, message.author, *hash, size);
    }
    return refuse("who published the result is missing");
  }
};

}  // namespace

std::unique_ptr<EvidenceCase> case_of_result(const CaseInput& input) {
  return std::make_unique<ResultCase>(input);
}

}  // namespace testudo::training
