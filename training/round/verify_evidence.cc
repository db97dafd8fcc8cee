#include "training/round/verify_evidence.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "crypto/base/counted.h"
#include "crypto/merkle.h"
#include "swarm/sync.h"
#include "training/checks/validation.h"
#include "training/round/payloads.h"
#include "training/round/reduce_job.h"
#include "training/round/round_rules.h"

namespace testudo::training {

using swarm::Evidence;
using swarm::Fault;
using swarm::PeerId;
using swarm::Phase;
using swarm::PhaseMessage;

namespace {

Finding proven(std::string text) { return {true, std::move(text)}; }
Finding attested(std::string text) { return {false, std::move(text)}; }

constexpr std::string_view too_large = "was too large to keep";

// One ban and its evidence.
class Case {
 public:
  Case(const Evidence& evidence, const swarm::Removal& removal, const swarm::EvidenceContext& context,
       const RoundRules& rules)
      : evidence_(evidence), removal_(removal), context_(context), rules_(rules) {}

  Result<Finding> judge() const {
    TRY_VOID(check_form());
    switch (evidence_.fault) {
      case Fault::equivocation:
        return equivocation();
      case Fault::malformed:
        return malformed();
      case Fault::wrong_reveal:
        return wrong_reveal();
      case Fault::wrong_aggregate:
        return wrong_aggregate();
      case Fault::wrong_sketch:
        return wrong_sketch();
      case Fault::wrong_contribution:
      case Fault::false_accusation:
        return recomputed();
      case Fault::absent:
      case Fault::silent:
      case Fault::unserved:
        break;
    }
    return refuse("nobody is banned for being " + std::string(name(evidence_.fault)));
  }

  // After judge(): without what it did not look at. It judges alike.
  Evidence needed() const {
    Evidence kept = evidence_;
    kept.messages.clear();
    for (const PhaseMessage& message : evidence_.messages) {
      if (kept.messages.empty() ? evidence_.fault != Fault::equivocation : used_.contains(&message))
        kept.messages.push_back(message);
    }
    kept.shown.clear();
    for (const Evidence::Shown& entry : evidence_.shown) {
      if (used_.contains(&entry)) kept.shown.push_back(entry);
    }
    if (kept.state && !used_.contains(&*evidence_.state)) kept.state.reset();
    if (evidence_.fault != Fault::equivocation) kept.equivocation.reset();
    if (evidence_.fault != Fault::wrong_aggregate && evidence_.fault != Fault::wrong_sketch)
      kept.contributors.clear();
    return kept;
  }

 private:
  static tl::unexpected<Error> refuse(const std::string& why) {
    return fail(ErrorCode::protocol, "evidence: " + why);
  }

  const PhaseMessage& first() const { return evidence_.messages.front(); }
  std::string place() const {
    return "round " + std::to_string(first().key.round.value()) + ", " + std::string(name(first().key.phase));
  }
  bool is_of_this_attempt(const PhaseMessage& message) const {
    return message.key.round == context_.outcome.round && message.key.attempt == context_.outcome.attempt;
  }

  // Whether its author had a seat in its round; it may have lost it since.
  bool is_of_member(const PhaseMessage& message) const {
    if (context_.roster->contains(message.author)) return true;
    return std::ranges::any_of(context_.earlier, [&](const swarm::AppliedRound& earlier) {
      return earlier.round == message.key.round && earlier.roster->contains(message.author);
    });
  }

  // Of this ban, signed by who it says, and nothing said twice.
  Result<void> check_form() const {
    if (evidence_.offender != removal_.peer || evidence_.fault != removal_.fault ||
        evidence_.name != removal_.evidence) {
      return refuse("it is that of another ban");
    }
    std::set<std::pair<swarm::PhaseKey, PeerId>> said;
    for (const PhaseMessage& message : evidence_.messages) {
      if (!is_of_member(message))
        return refuse("a message of " + message.author.short_text() + ", who is no member");
      if (!said.emplace(message.key, message.author).second) return refuse("two messages in one place");
      if (!message.verify(rules_.run))
        return refuse("a signature of " + message.author.short_text() + " does not hold");
    }
    if (evidence_.fault == Fault::equivocation) return {};
    if (evidence_.messages.empty()) return refuse("no message");
    if (first().author != evidence_.offender || first().digest(rules_.run) != evidence_.name)
      return refuse("its message is not the one that the certificate names");
    return {};
  }

  const PhaseMessage* find(Phase phase, swarm::RoundNumber round, swarm::Attempt attempt,
                           const PeerId& author) const {
    const swarm::PhaseKey key{round, attempt, phase};
    const auto found = std::ranges::find_if(evidence_.messages, [&](const PhaseMessage& message) {
      return message.key == key && message.author == author;
    });
    if (found == evidence_.messages.end()) return nullptr;
    used_.insert(&*found);
    return &*found;
  }
  const Evidence::Shown* find_shown(Evidence::Kind kind, std::size_t part, const PeerId& member) const {
    const auto* entry = evidence_.find(kind, static_cast<std::uint32_t>(part), member);
    if (entry != nullptr) used_.insert(entry);
    return entry;
  }
  // What a member committed to in the attempt that the certificate ended.
  Result<CommitPayload> commit_of(const PeerId& member, std::size_t parts) const {
    const PhaseMessage* message =
        find(Phase::commit, context_.outcome.round, context_.outcome.attempt, member);
    if (message == nullptr) return refuse("the COMMIT of " + member.short_text() + " is missing");
    auto commit = CommitPayload::decode(message->payload);
    if (!commit || !fits(*commit, rules_, parts))
      return refuse("the COMMIT of " + member.short_text() + " does not fit the round");
    return commit;
  }
  Result<std::vector<PartRange>> ranges_of(const swarm::Roster& roster, swarm::RoundNumber round,
                                           swarm::Attempt attempt, const Digest& beacon) const {
    return partition_of(roster, static_cast<std::size_t>(rules_.manifest.parameter_count),
                        partition_lot(rules_.run, round, attempt, beacon));
  }
  Result<std::vector<PartRange>> ranges() const {
    return ranges_of(*context_.roster, context_.outcome.round, context_.outcome.attempt, context_.beacon);
  }

  // Bytes of a part that somebody committed to, as whoever judged them saw them; null where evidence was
  // shortened.
  Result<const Bytes*> shown(Evidence::Kind kind, std::size_t part, const PeerId& member, const Digest& hash,
                             std::size_t size) const {
    const auto* entry = find_shown(kind, part, member);
    if (entry == nullptr) {
      if (evidence_.shortened) return static_cast<const Bytes*>(nullptr);
      return refuse("bytes of " + member.short_text() + " are missing");
    }
    if (crypto::tree_hash(entry->bytes) != hash)
      return refuse("bytes of " + member.short_text() + " are not those that were signed for");
    if (!check_encoded(rules_.codec, entry->bytes, size, rules_.manifest.g_max))
      return refuse("bytes of " + member.short_text() + " do not decode");
    return &entry->bytes;
  }

  Result<Finding> equivocation() const {
    if (!evidence_.equivocation) return refuse("the two signatures are missing");
    const swarm::Equivocation& pair = *evidence_.equivocation;
    if (pair.offender != evidence_.offender || pair.digest(rules_.run) != evidence_.name)
      return refuse("its place is not the one that the certificate names");
    if (!pair.verify(rules_.run)) return refuse("it does not hold two signatures over different payloads");
    return proven("two different payloads signed for round " + std::to_string(pair.key.round.value()) +
                  ", attempt " + std::to_string(pair.key.attempt.value()) + ", " +
                  std::string(name(pair.key.phase)));
  }

  Result<Finding> malformed() const {
    if (!is_of_this_attempt(first())) return refuse("its message is of another attempt");
    TRY(const auto parts, ranges());
    const ByteView payload = first().payload;
    const std::string what = "what it signed in " + place() + " ";
    const auto undecodable = [&](const auto& decoded) -> Result<Finding> {
      if (decoded) return refuse(what + "is well formed");
      return proven(what + "does not decode: " + decoded.error().message);
    };
    switch (first().key.phase) {
      case Phase::commit: {
        const auto commit = CommitPayload::decode(payload);
        if (commit && !fits(*commit, rules_, parts.size())) return proven(what + "does not fit the round");
        return undecodable(commit);
      }
      case Phase::reduce:
      case Phase::reduce_again: {
        const auto reduced = ReducePayload::decode(payload);
        if (!reduced) return undecodable(reduced);
        const auto& manifest = rules_.manifest;
        const std::size_t hostile = context_.roster->greatest_hostile_count(manifest.hostile_share);
        if (!fits(*reduced, manifest, hostile))
          return proven(what + "challenges more than the manifest allows");
        return malformed_result(*reduced, parts);
      }
      case Phase::reveal: {
        const auto reveal = RevealPayload::decode(payload);
        if (!reveal) return undecodable(reveal);
        return challenged_results(reveal->missing, parts);
      }
      case Phase::check: {
        const auto check = CheckPayload::decode(payload);
        if (!check) return undecodable(check);
        TRY(const auto commit, commit_of(evidence_.offender, parts.size()));
        const std::size_t due = rules_.rule->solves_clipped_sum() && !commit.parts.empty() ? parts.size() : 0;
        if (check->parts.size() == due) return refuse(what + "is well formed");
        return proven(what + "reports on " + std::to_string(check->parts.size()) + " parts where " +
                      std::to_string(due) + " are due");
      }
      case Phase::measure:
        return undecodable(MeasurePayload::decode(payload));
      case Phase::serve:
      case Phase::reveal_answer:
      case Phase::evidence:
      case Phase::evidence_again:
      case Phase::certify:
        break;
    }
    return refuse("nobody is banned for the form of an answer");
  }

  Result<Finding> challenged_results(const std::vector<PartOf>& missing,
                                     const std::vector<PartRange>& parts) const {
    std::vector<PeerId> reducers;
    for (const PartRange& range : parts) reducers.push_back(context_.roster->members()[range.reducer].id);
    const auto& manifest = rules_.manifest;
    const std::size_t hostile = context_.roster->greatest_hostile_count(manifest.hostile_share);
    const bool too_many = !may_challenge(missing, reducers, manifest.challenge_limit, hostile);
    // Who lost its seat before may have been replaced as a reducer: then others had these parts.
    const bool as_drawn = std::ranges::none_of(context_.outcome.removed, [&](const swarm::Removal& removal) {
      return removal.peer != evidence_.offender &&
             std::ranges::find(reducers, removal.peer) != reducers.end();
    });
    const std::string what = "what it signed in " + place() + " ";
    if (as_drawn && !too_many) return refuse(what + "is well formed");
    if (as_drawn) return proven(what + "challenges more than the manifest allows");
    if (missing.size() <= manifest.challenge_limit) return refuse(what + "is well formed");
    return attested(
        what + "challenges " + std::to_string(missing.size()) +
        " results; that these were of too many reducers rests on the quorum, because some had been "
        "replaced");
  }

  static Result<std::optional<Digest>> result_in(const ReducePayload& payload, std::uint32_t part) {
    // The last one counts, should it say several.
    for (auto at = payload.results.rbegin(); at != payload.results.rend(); ++at) {
      if (at->first.value() == part) return at->second;
    }
    return refuse("its REDUCE says nothing of part " + std::to_string(part));
  }

  Result<Finding> malformed_result(const ReducePayload& payload, const std::vector<PartRange>& parts) const {
    TRY(const auto hash, result_in(payload, evidence_.part));
    if (!hash || evidence_.part >= parts.size()) return refuse("its REDUCE is well formed");
    const std::string part = "part " + std::to_string(evidence_.part);
    const auto* entry = find_shown(Evidence::Kind::result, evidence_.part, evidence_.offender);
    if (entry == nullptr) {
      if (!evidence_.shortened) return refuse("the result is missing");
      return attested("it signed for a result of " + part + "; that this does not decode rests on the " +
                      "quorum, because the result " + std::string(too_large));
    }
    if (crypto::tree_hash(entry->bytes) != *hash)
      return refuse("the result is not the one that it signed for");
    if (check_encoded(rules_.codec, entry->bytes, parts[evidence_.part].size, rules_.manifest.g_max))
      return refuse("the result decodes");
    return proven("the result of " + part + " that it signed for does not decode");
  }

  Result<Finding> wrong_reveal() const {
    if (!is_of_this_attempt(first()) || first().key.phase != Phase::reveal)
      return refuse("its message is no REVEAL of this attempt");
    TRY(const auto parts, ranges());
    TRY(const auto commit, commit_of(evidence_.offender, parts.size()));
    TRY(const auto reveal, RevealPayload::decode(first().payload));
    if (crypto::verify_commitment(commit.coin, evidence_.offender, first().key.round.value(),
                                  first().key.attempt.value(), reveal.opening)) {
      return refuse("the coin is the one that it committed to");
    }
    return proven("the coin that it revealed is not the one that it committed to");
  }

  // The COMMITs of C_j, in its order. It is what the outcome says: those that were present, but for members
  // that lost their seat and those that offered nothing.
  Result<std::vector<CommitPayload>> contributions(std::size_t parts) const {
    std::vector<CommitPayload> commits;
    for (const PeerId& member : evidence_.contributors) {
      if (!std::ranges::binary_search(context_.outcome.present, member))
        return refuse(member.short_text() + " did not contribute to this round");
      TRY(auto commit, commit_of(member, parts));
      if (commit.parts.empty()) return refuse(member.short_text() + " committed to no contribution");
      commits.push_back(std::move(commit));
    }
    const auto& removed = context_.outcome.removed;
    for (const PeerId& member : context_.outcome.present) {
      if (std::ranges::binary_search(evidence_.contributors, member) ||
          std::ranges::find(removed, member, &swarm::Removal::peer) != removed.end()) {
        continue;
      }
      TRY(const auto commit, commit_of(member, parts));
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
  Result<std::vector<float>> start(const PartRange& range) const {
    std::vector<float> values;
    if (!rules_.rule->uses_start() || context_.outcome.round == swarm::RoundNumber(1)) return values;
    if (!evidence_.state) return refuse("the state that the rule starts from is missing");
    const Evidence::StatePiece& piece = *evidence_.state;
    used_.insert(&piece);
    const TrainingState::Sizes sizes = rules_.state_sizes();
    constexpr std::size_t chunk = swarm::state_chunk_bytes;
    if (piece.size != TrainingState::encoded_bytes(sizes) ||
        swarm::state_root(piece.size, piece.leaves) != context_.state_root) {
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

  Result<Finding> wrong_aggregate() const {
    const Phase phase = first().key.phase;
    if (!is_of_this_attempt(first()) || (phase != Phase::reduce && phase != Phase::reduce_again))
      return refuse("its message is no REDUCE of this attempt");
    TRY(const auto parts, ranges());
    TRY(const auto payload, ReducePayload::decode(first().payload));
    TRY(const auto published, result_in(payload, evidence_.part));
    const swarm::Outcome& outcome = context_.outcome;
    if (evidence_.part >= parts.size() || outcome.results.size() != parts.size())
      return refuse("the round has no such part");
    const std::string part = "part " + std::to_string(evidence_.part);
    const Digest certified = outcome.results[evidence_.part];
    if (published.value_or(Digest{}) == certified)
      return refuse("the result that it published for " + part + " is the certified one");
    const std::string other = "the result that it published for " + part + " is not the certified one; ";
    if (evidence_.shortened) {
      return attested(other + "that the contributions give this one rests on the quorum, because they " +
                      "(or what the rule starts from) were too large to keep");
    }
    TRY(const auto commits, contributions(parts.size()));
    const PartRange& range = parts[evidence_.part];
    // Where not all was shown, the part is absent.
    if (published && certified == Digest{} &&
        find_shown(Evidence::Kind::result, evidence_.part, evidence_.offender) != nullptr) {
      return aggregate_by_shown(*published, range, commits, tau(parts, commits));
    }
    std::vector<ByteView> views;
    for (std::size_t i = 0; i < commits.size(); ++i) {
      TRY(const Bytes* const bytes,
          shown(Evidence::Kind::contribution, evidence_.part, evidence_.contributors[i],
                commits[i].parts[evidence_.part], range.size));
      views.emplace_back(*bytes);  // not shortened: there, or an error
    }
    TRY(const auto from, start(range));
    const auto reduced = reduce_part({rules_, range.size, std::move(views), from, tau(parts, commits),
                                      context_.roster->greatest_hostile_count(rules_.manifest.hostile_share),
                                      aggregation_seed(rules_.run, outcome.round, context_.beacon)},
                                     nullptr);
    const Digest right = reduced ? reduced->hash : Digest{};
    if (right != certified) return refuse("the contributions give another result than the certified one");
    return proven(other + "reduced again from the " + std::to_string(commits.size()) +
                  " contributions, these give the certified one");
  }

  // Not every contribution was shown; those that were may tell all the same.
  Result<Finding> aggregate_by_shown(const Digest& published, const PartRange& range,
                                     const std::vector<CommitPayload>& commits, double tau) const {
    if (!rules_.rule->solves_clipped_sum()) return refuse("some contributions are missing");
    TRY(const Bytes* const result,
        shown(Evidence::Kind::result, evidence_.part, evidence_.offender, published, range.size));
    std::vector<ByteView> views;
    for (std::size_t i = 0; i < commits.size(); ++i) {
      const PeerId& member = evidence_.contributors[i];
      if (evidence_.find(Evidence::Kind::contribution, evidence_.part, member) == nullptr) continue;
      TRY(const Bytes* const bytes, shown(Evidence::Kind::contribution, evidence_.part, member,
                                          commits[i].parts[evidence_.part], range.size));
      views.emplace_back(*bytes);
    }
    if (may_be_result(rules_, *result, range.size, views, commits.size(), tau))
      return refuse("contributions that were not shown could give that result");
    return proven("the result that it published for part " + std::to_string(evidence_.part) +
                  " deviates from the " + std::to_string(views.size()) + " of " +
                  std::to_string(commits.size()) +
                  " contributions that were shown by more than any others could make up for");
  }

  // Of evidence so large that only the message which the certificate names was kept.
  bool is_bare() const { return evidence_.shortened && evidence_.messages.size() == 1; }
  Finding bare() const {
    return attested("what it signed in " + place() + " is kept; all else was too large, so that this is " +
                    std::string(name(evidence_.fault)) + " rests on the quorum");
  }

  Result<Finding> wrong_sketch() const {
    if (is_bare()) return bare();
    if (first().key.phase == Phase::commit) return wrong_holding();
    if (first().key.phase != Phase::check) return refuse("its message holds no sketch");
    return is_of_this_attempt(first()) ? wrong_report() : wrong_statement();
  }

  // Of what its contribution deviates from a result by.
  Result<Finding> wrong_report() const {
    TRY(const auto parts, ranges());
    TRY(const auto payload, CheckPayload::decode(first().payload));
    TRY(const auto commit, commit_of(evidence_.offender, parts.size()));
    const std::size_t part = evidence_.part;
    if (part >= parts.size() || payload.parts.size() != parts.size() || commit.parts.size() != parts.size())
      return refuse("it reports on no such part");
    std::vector<CommitPayload> commits;
    if (has_distances(rules_) && !evidence_.shortened) {
      TRY(commits, contributions(parts.size()));
    }
    if (evidence_.shortened) {
      return attested("it signed a report on part " + std::to_string(part) +
                      "; that its contribution deviates by something else rests on the quorum, because " +
                      "the contribution and the result were too large to keep");
    }
    TRY(const Bytes* const own,
        shown(Evidence::Kind::contribution, part, evidence_.offender, commit.parts[part], parts[part].size));
    TRY(const Bytes* const result, result_reported_on(part, parts[part].size));
    const EncodedParts contribution(rules_.codec, parts[part].size, rules_.manifest.g_max, {*own});
    const EncodedParts reduced(rules_.codec, parts[part].size, rules_.manifest.g_max, {*result});
    const Digest seed = sketch_seed(rules_.run, context_.outcome.round, context_.outcome.attempt,
                                    context_.outcome.coins, part);
    const Deviation right = deviations(contribution, reduced, seed, tau(parts, commits)).front();
    if (right == payload.parts[part]) return refuse("its report is right");
    return proven("the norm or sketch that it reported for part " + std::to_string(part) +
                  " is not what its contribution deviates from the result by");
  }

  // The result as its reducer published it: the certified one, or one that bans its reducer in the same
  // certificate.
  Result<const Bytes*> result_reported_on(std::size_t part, std::size_t size) const {
    const swarm::Outcome& outcome = context_.outcome;
    for (const PhaseMessage& message : evidence_.messages) {
      const Phase phase = message.key.phase;
      if (!is_of_this_attempt(message) || (phase != Phase::reduce && phase != Phase::reduce_again)) continue;
      TRY(const auto payload, ReducePayload::decode(message.payload));
      TRY(const auto hash, result_in(payload, static_cast<std::uint32_t>(part)));
      const auto removed = std::ranges::find(outcome.removed, message.author, &swarm::Removal::peer);
      // Or it lost its seat because not all of the part was shown, which is absent then.
      const bool absent = part < outcome.results.size() && outcome.results[part] == Digest{};
      const bool wrong = removed != outcome.removed.end() && (is_ban(removed->fault) || absent);
      const bool certified = hash && part < outcome.results.size() && outcome.results[part] == *hash;
      if (!hash || (!certified && !wrong)) continue;
      used_.insert(&message);
      return shown(Evidence::Kind::result, part, message.author, *hash, size);
    }
    return refuse("who published the result is missing");
  }

  // The two rounds before: of the contribution, and of what its validator said.
  Result<void> needs_earlier_rounds() const {
    const auto& earlier = context_.earlier;
    const std::uint64_t now = context_.outcome.round.value();
    if (earlier.size() == 2 && earlier[0].round.value() + 2 == now && earlier[1].round.value() + 1 == now)
      return {};
    return refuse("two rounds have to come before it");
  }
  swarm::PhaseKey commitment_key() const {
    return {context_.earlier[0].round, context_.earlier[0].attempt, Phase::commit};
  }
  swarm::PhaseKey statement_key() const {
    return {context_.earlier[1].round, context_.earlier[1].attempt, Phase::check};
  }
  struct Target {
    PeerId member;
    CommitPayload commit;
    std::vector<PartRange> ranges;
  };
  // Whose contribution of the round before the last it is about.
  Result<Target> target() const {
    const swarm::AppliedRound& round = context_.earlier[0];
    TRY(auto parts, ranges_of(*round.roster, round.round, round.attempt, round.beacon));
    for (const PhaseMessage& message : evidence_.messages) {
      if (message.key != commitment_key()) continue;
      TRY(auto commit, CommitPayload::decode(message.payload));
      if (!fits(commit, rules_, parts.size()) || commit.parts.empty())
        return refuse("the contribution that it is about does not fit its round");
      used_.insert(&message);
      return Target{message.author, std::move(commit), std::move(parts)};
    }
    return refuse("the COMMIT of the contribution that it is about is missing");
  }
  // Of the validator that the beacon drew for the target.
  Result<Statement> statement_about(const PeerId& member, PeerId& validator) const {
    const swarm::AppliedRound& round = context_.earlier[1];
    const auto drawn =
        validations_of(rules_.manifest, *round.roster, rules_.run, round.round, round.attempt, round.beacon);
    const auto found = std::ranges::find(drawn, member, &Validation::target);
    if (found == drawn.end()) return refuse("no validator was drawn for " + member.short_text());
    const PhaseMessage* message = find(Phase::check, round.round, round.attempt, found->validator);
    if (message == nullptr) return refuse("what the validator said is missing");
    TRY(auto payload, CheckPayload::decode(message->payload));
    if (!payload.recomputed) return refuse("the validator said nothing");
    validator = found->validator;
    return std::move(*payload.recomputed);
  }
  Result<std::optional<Sketch>> sketch_of_target(const Target& about, std::size_t part) const {
    TRY(const Bytes* const bytes, shown(Evidence::Kind::contribution, part, about.member,
                                        about.commit.parts[part], about.ranges[part].size));
    if (bytes == nullptr) return std::optional<Sketch>{};
    const swarm::AppliedRound& spoken = context_.earlier[1];
    return std::optional<Sketch>(
        sketch_of(EncodedParts(rules_.codec, about.ranges[part].size, rules_.manifest.g_max, {*bytes}),
                  statement_seed(rules_.run, spoken.round, spoken.coins, about.member, part)));
  }

  // Of a part that it holds as the reducer.
  Result<Finding> wrong_holding() const {
    if (!is_of_this_attempt(first())) return refuse("its message is of another attempt");
    TRY_VOID(needs_earlier_rounds());
    TRY(const auto about, target());
    TRY(const auto payload, CommitPayload::decode(first().payload));
    const std::uint32_t part = evidence_.part;
    const Sketch* const said = payload.find_holding(about.member, PartIndex(part));
    if (said == nullptr || part >= about.ranges.size()) return refuse("it gave no sketch of that part");
    TRY(const auto right, sketch_of_target(about, part));
    const std::string what = "the sketch that it gave of part " + std::to_string(part) + " of " +
                             about.member.short_text() + "'s contribution ";
    if (!right) {
      return attested(what + "is signed; that the part gives another one rests on the quorum, because the " +
                      "part " + std::string(too_large));
    }
    if (*right == *said) return refuse(what + "is right");
    return proven(what + "is not what the committed bytes give");
  }

  // Of what it says that it recomputed.
  Result<Finding> wrong_statement() const {
    TRY_VOID(needs_earlier_rounds());
    TRY(const auto about, target());
    PeerId validator;
    TRY(const auto statement, statement_about(about.member, validator));
    if (validator != evidence_.offender) return refuse("another member was drawn as the validator");
    if (first().key != statement_key()) return refuse("its message is not what it said as a validator");
    if (!statement.same) return refuse("it did not vouch for the contribution");
    const std::string what = "it vouched for " + about.member.short_text() + "'s contribution";
    const std::uint32_t part = evidence_.part;
    if (statement.sketches.size() != about.ranges.size())
      return proven(what + " with sketches of another number of parts");
    if (part >= about.ranges.size()) return refuse("there is no such part");
    TRY(const auto right, sketch_of_target(about, part));
    if (!right) {
      return attested(what + "; that part " + std::to_string(part) + " gives another sketch rests on the " +
                      "quorum, because the part " + std::string(too_large));
    }
    if (*right == statement.sketches[part]) return refuse("its sketch is right");
    return proven(what + " with a sketch of part " + std::to_string(part) +
                  " that the committed bytes do not give");
  }

  Result<Finding> recomputed() const {
    if (is_bare()) return bare();
    TRY_VOID(needs_earlier_rounds());
    TRY(const auto about, target());
    PeerId validator;
    const bool of_target = evidence_.fault == Fault::wrong_contribution;
    TRY(const auto statement, statement_about(about.member, validator));
    if (evidence_.offender != (of_target ? about.member : validator) ||
        first().key != (of_target ? commitment_key() : statement_key())) {
      return refuse("it is about something else");
    }
    if (statement.same) return refuse("the validator vouched for the contribution");
    std::vector<PeerId> heard;
    std::vector<std::pair<PeerId, double>> measures;
    for (const PhaseMessage& message : evidence_.messages) {
      if (!is_of_this_attempt(message) || message.key.phase != Phase::measure) continue;
      heard.push_back(message.author);
      used_.insert(&message);
      const auto payload = MeasurePayload::decode(message.payload);
      const auto distance = payload ? payload->find(about.member) : std::nullopt;
      if (distance) measures.emplace_back(message.author, *distance);
    }
    std::size_t whole = 0;
    for (std::size_t part = 0; part < about.ranges.size(); ++part) {
      if (find_shown(Evidence::Kind::contribution, part, about.member) == nullptr) continue;
      TRY_VOID(shown(Evidence::Kind::contribution, part, about.member, about.commit.parts[part],
                     about.ranges[part].size));
      ++whole;
    }
    const double tolerance = rules_.manifest.recompute_tolerance;
    const auto is_quorum = [&](const std::vector<PeerId>& members) {
      return swarm::is_quorum(*context_.roster, heard, members);
    };
    const bool all_shown = tolerance == 0 || whole == about.ranges.size() || evidence_.shortened;
    const Verdict verdict = judge_measures(measures, tolerance, all_shown, is_quorum);
    if (verdict != (of_target ? Verdict::wrong_contribution : Verdict::false_accusation))
      return refuse("the signed measurements decide something else");
    return attested(
        counted(measures.size(), "member") + " signed how far the contribution to round " +
        std::to_string(context_.earlier[0].round.value()) + " is from what they compute, a quorum " +
        (of_target ? "beyond the tolerance" : "within it, whatever the validator said") +
        "; that they measured rightly rests on them: to measure again takes the model, its data and the " +
        "state before that round, which a ledger does not keep");
  }

  const Evidence& evidence_;
  const swarm::Removal& removal_;
  const swarm::EvidenceContext& context_;
  const RoundRules& rules_;
  mutable std::set<const void*> used_;  // messages and pieces that the judgement looked at
};

}  // namespace

Result<Finding> verify_evidence(const Evidence& evidence, const swarm::Removal& removal,
                                const swarm::EvidenceContext& context, const RoundRules& rules) {
  return Case(evidence, removal, context, rules).judge();
}

Result<Evidence> needed_evidence(const Evidence& evidence, const swarm::Removal& removal,
                                 const swarm::EvidenceContext& context, const RoundRules& rules) {
  const Case one(evidence, removal, context, rules);
  TRY_VOID(one.judge());
  return one.needed();
}

}  // namespace testudo::training
