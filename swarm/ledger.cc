#include "swarm/ledger.h"

#include <algorithm>
#include <map>

#include "crypto/base/encoding.h"
#include "crypto/hash.h"
#include "net/messages/message.h"
#include "net/storage/lost.h"

namespace testudo::swarm {
namespace {

constexpr std::string_view run_key = "run";
constexpr std::string_view entered_key = "entered";
constexpr std::string_view vote_key = "vote";
constexpr std::string_view ledger_prefix = "ledger/";
constexpr std::string_view evidence_prefix = "evidence/";

std::string height_text(std::uint64_t height) {  // fixed width, so that byte order is the order of heights
  Bytes number;
  append_be(number, height, 8);
  return to_hex(number);
}
std::string ledger_key(std::uint64_t height) { return std::string(ledger_prefix) + height_text(height); }
std::string evidence_key(std::uint64_t height, const Digest& name) {
  return std::string(evidence_prefix) + height_text(height) + "/" + to_hex(name);
}
Result<std::pair<std::uint64_t, Digest>> parse_evidence_key(std::string_view key) {
  const std::string_view place = key.substr(evidence_prefix.size());
  constexpr std::size_t digits = 16;
  if (place.size() > digits && place[digits] == '/') {
    const auto height = from_hex(place.substr(0, digits));
    const auto name = digest_from_hex(place.substr(digits + 1));
    if (height && name) return std::pair(read_be(*height), *name);
  }
  return fail(ErrorCode::corrupt, "storage: evidence under a name that no ban has");
}

// Certificates check themselves by their signatures. Other records have none, or not over all of them, so
// they carry a digest: a flipped bit in the remembered attempt would make a member sign twice.
Digest seal_of(std::string_view key, ByteView value) {
  return crypto::Hasher("testudo/stored/1").bytes(as_bytes(key)).bytes(value).finish();
}
Bytes seal(std::string_view key, Bytes value) {
  append(value, seal_of(key, value));
  return value;
}
Result<std::optional<Bytes>> get_sealed(net::Storage& storage, std::string_view key) {
  TRY(auto stored, storage.get(key));
  if (!stored) return std::optional<Bytes>{};
  constexpr std::size_t width = sizeof(Digest);
  if (stored->size() < width)
    return fail(ErrorCode::corrupt, "storage: \"" + std::string(key) + "\" is cut short");
  const ByteView all(*stored);
  const ByteView value = all.first(all.size() - width);
  if (!equal(seal_of(key, value), all.last(width))) {
    return fail(ErrorCode::corrupt, "storage: \"" + std::string(key) + "\" does not match its checksum");
  }
  return std::optional<Bytes>(to_bytes(value));
}

// What another version of this program wrote is whole: no copy of it would read better.
Error of_another_version(const net::Storage& storage, std::uint8_t version) {
  return {ErrorCode::refused,
          storage.name() + ": another version of testudo wrote it (format " + std::to_string(version) +
              ", this one reads format " + std::to_string(Outcome::format_version) +
              "): go on with that version, as the others of the run do; for a run of this version, use "
              "another --data directory"};
}

std::string text(RoundNumber round, Attempt attempt) {
  return "round " + std::to_string(round.value()) + ", attempt " + std::to_string(attempt.value());
}

}  // namespace

Chain::Chain(const Manifest& manifest)
    : run_(manifest.run_id()),
      hostile_share_(manifest.hostile_share),
      head_(run_),
      roster_(std::make_shared<const Roster>(manifest.founders, manifest.validators > 0)),
      beacon_(first_beacon(run_)) {}

EvidenceContext Chain::context_of(const Outcome& outcome) const {
  return {height_, outcome, roster_, beacon_, state_root_, fruitless_voids_, applied_};
}

Result<void> Chain::append(const Certificate& certificate) {
  const Outcome& outcome = certificate.outcome;
  const std::string where = "certificate of " + text(outcome.round, outcome.attempt) + ": ";
  const auto refuse = [&where](const std::string& why) { return fail(ErrorCode::protocol, where + why); };
  TRY_VOID(outcome.check());
  if (outcome.run != run_) return refuse("it is of another run, " + to_hex(outcome.run));
  if (outcome.round != next_round_)
    return refuse("round " + std::to_string(next_round_.value()) + " is next");
  if (outcome.attempt != next_attempt_)
    return refuse("attempt " + std::to_string(next_attempt_.value()) + " is next");
  if (outcome.previous != head_) return refuse("it follows another outcome than the last one here");
  for (const PeerId& peer : outcome.present) {
    if (!roster_->contains(peer)) return refuse("contributor " + peer.short_text() + " is no member");
  }
  std::size_t seats_lost = 0;
  for (const Removal& removal : outcome.removed) {
    if (roster_->contains(removal.peer)) {
      ++seats_lost;
    } else if (!is_ban(removal.fault) || !roster_->may_be_banned(removal.peer)) {
      return refuse("removed " + removal.peer.short_text() + " is no member");
    }
  }
  for (const Admission& admission : outcome.admitted) {
    if (roster_->is_banned(admission.peer) ||
        std::ranges::find(outcome.removed, admission.peer, &Removal::peer) != outcome.removed.end())
      return refuse("admitted " + admission.peer.short_text() + " is banned");
    if (roster_->contains(admission.peer)) {
      return refuse("admitted " + admission.peer.short_text() + " is a member already");
    }
  }
  if (roster_->size() - seats_lost + outcome.admitted.size() > max_members) {
    return refuse("it makes a roster of more than " + std::to_string(max_members) + " members");
  }
  for (const Strike& strike : outcome.strikes) {
    if (!roster_->contains(strike.peer) || (strike.other && !roster_->contains(*strike.other)))
      return refuse("a strike of " + strike.peer.short_text() + " names somebody who is no member");
  }
  for (const PeerId& peer : outcome.audited) {
    const bool removed = std::ranges::find(outcome.removed, peer, &Removal::peer) != outcome.removed.end();
    if (!roster_->contains(peer) || removed)
      return refuse("audited " + peer.short_text() + " is no member, or does not stay one");
  }
  TRY_VOID(certificate.verify(*roster_));

  if (outcome.kind == OutcomeKind::apply) {
    if (applied_.size() == 2) applied_.erase(applied_.begin());
    applied_.push_back({.round = outcome.round,
                        .attempt = outcome.attempt,
                        .fruitless_voids = fruitless_voids_,
                        .beacon = beacon_,
                        .coins = outcome.coins,
                        .roster = roster_,
                        .state_root = state_root_,
                        .present = outcome.present,
                        .removed = outcome.removed,
                        .results = outcome.results});
  }
  const bool fruitless = std::ranges::none_of(
      outcome.removed, [this](const Removal& removal) { return roster_->votes(removal.peer); });
  roster_ = std::make_shared<const Roster>(roster_->after(outcome, hostile_share_));
  head_ = outcome.digest();
  ++height_;
  if (outcome.kind == OutcomeKind::apply) {
    next_round_ = next_round_.next();
    next_attempt_ = Attempt(0);
    fruitless_voids_ = 0;
    state_root_ = outcome.state;
    beacon_ = beacon_after(outcome);
    deviation_ = outcome.deviation;
  } else {
    next_attempt_ = next_attempt_.next();
    if (fruitless) ++fruitless_voids_;
  }
  return {};
}

Result<std::unique_ptr<Ledger>> Ledger::open(net::Storage& storage, const SignedManifest& manifest) {
  auto ledger = load(storage, manifest);
  if (!ledger && ledger.error().code == ErrorCode::corrupt) {
    Error error = std::move(ledger).error().in(storage.name());
    error.message += std::string("; the file is damaged: ") + net::advice_when_lost;
    return fail(std::move(error));
  }
  return ledger;
}

Result<std::optional<RunId>> LedgerReader::stored_run(net::Storage& storage) {
  TRY(const auto stored, get_sealed(storage, run_key));
  if (!stored) return std::optional<RunId>{};
  RunId run{};
  if (stored->size() != run.size()) return fail(ErrorCode::corrupt, "storage: \"run\" is not a run id");
  std::ranges::copy(*stored, run.begin());
  return std::optional<RunId>(run);
}

Result<LedgerReader> LedgerReader::open(net::Storage& storage, const Manifest& manifest) {
  LedgerReader reader(storage, manifest);
  TRY(reader.keys_, storage.keys(ledger_prefix));
  TRY(const auto kept, storage.keys(evidence_prefix));
  for (const std::string& key : kept) {
    TRY(const auto place, parse_evidence_key(key));
    reader.unclaimed_.insert(place);
  }
  return reader;
}

Result<std::optional<LedgerReader::Entry>> LedgerReader::next() {
  const std::uint64_t height = chain_.height();
  if (height == keys_.size()) return std::optional<Entry>{};
  const auto damaged = [&](const std::string& why) {
    return fail(ErrorCode::corrupt, "ledger: height " + std::to_string(height) + " (" +
                                        text(chain_.next_round(), chain_.next_attempt()) + ") " + why);
  };
  if (keys_[height] != ledger_key(height)) return damaged("is missing");
  TRY(const auto encoded, storage_->get(keys_[height]));
  if (!encoded) return damaged("is missing");
  auto certificate = Certificate::decode(*encoded);
  if (const auto version = Certificate::version_in(*encoded);
      version && *version != Outcome::format_version) {
    return fail(of_another_version(*storage_, *version));
  }
  if (!certificate) return damaged("does not check: " + certificate.error().message);
  EvidenceContext context = chain_.context_of(certificate->outcome);
  const auto appended = chain_.append(*certificate);
  if (!appended) return damaged("does not check: " + appended.error().message);
  for (const Removal& removal : certificate->outcome.removed) unclaimed_.erase({height, removal.evidence});
  return std::optional<Entry>(Entry{std::move(context), std::move(*certificate)});
}

Result<std::optional<Evidence>> LedgerReader::evidence(std::uint64_t height, const Digest& name) const {
  TRY(const auto stored, get_sealed(*storage_, evidence_key(height, name)));
  if (!stored) return std::optional<Evidence>{};
  auto evidence = Evidence::decode(*stored);
  if (!evidence) return fail(ErrorCode::corrupt, evidence.error().message);
  return std::optional<Evidence>(std::move(*evidence));
}

Result<std::unique_ptr<Ledger>> Ledger::load(net::Storage& storage, const SignedManifest& manifest) {
  std::unique_ptr<Ledger> ledger(new Ledger(storage, manifest.manifest));
  const RunId run = manifest.manifest.run_id();
  TRY(const auto stored_run, LedgerReader::stored_run(storage));
  TRY(auto reader, LedgerReader::open(storage, manifest.manifest));
  if (!stored_run) {
    TRY(const auto certificates, storage.keys(ledger_prefix));
    if (!certificates.empty()) return fail(ErrorCode::corrupt, "storage: a ledger, but not of which run");
    TRY_VOID(storage.put(std::string(run_key), seal(run_key, to_bytes(run))));
  } else if (*stored_run != run) {
    return fail(ErrorCode::refused, "this data directory belongs to run " + to_hex(*stored_run) + ", not " +
                                        to_hex(run) + ": use another --data directory");
  }

  std::map<std::uint64_t, std::set<Digest>> proven;
  for (const auto& [height, name] : reader.evidence_of_no_ban()) {
    proven[height].insert(name);
    TRY(const auto kept, storage.get(evidence_key(height, name)));
    ledger->evidence_bytes_ += kept ? kept->size() : 0;
  }
  while (true) {
    TRY(const auto entry, reader.next());
    if (!entry) break;
    ledger->note_unproven(entry->context, proven[entry->context.height]);
  }
  ledger->chain_ = reader.chain();

  TRY(ledger->entered_, read_entered(storage));
  TRY(ledger->voted_, read_vote(storage));
  return ledger;
}

Result<std::optional<Ledger::Position>> Ledger::read_entered(net::Storage& storage) {
  TRY(const auto entered, get_sealed(storage, entered_key));
  if (!entered) return std::optional<Position>{};
  if (entered->size() != 12) return fail(ErrorCode::corrupt, "storage: \"entered\" is not a position");
  const ByteView bytes(*entered);
  return std::optional<Position>(
      {RoundNumber(read_be(bytes.first(8))), Attempt(static_cast<std::uint32_t>(read_be(bytes.subspan(8))))});
}

Result<std::optional<Outcome>> Ledger::read_vote(net::Storage& storage) {
  TRY(const auto vote, get_sealed(storage, vote_key));
  if (!vote) return std::optional<Outcome>{};
  // Its digest held: so it was written.
  if (const auto version = net::version_of(*vote); version && *version != Outcome::format_version)
    return fail(of_another_version(storage, *version));
  auto outcome = Outcome::decode(*vote);
  if (!outcome) return fail(ErrorCode::corrupt, "storage: \"vote\": " + outcome.error().message);
  return std::optional<Outcome>(*std::move(outcome));
}

Result<void> LedgerReader::check_remembered(net::Storage& storage) {
  TRY_VOID(Ledger::read_entered(storage));
  TRY_VOID(Ledger::read_vote(storage));
  return {};
}

Result<void> Ledger::append(const Certificate& certificate, std::vector<net::Storage::Entry> more,
                            const std::vector<Evidence>& evidence) {
  Chain next = chain_;
  TRY_VOID(next.append(certificate));
  const Outcome& outcome = certificate.outcome;
  std::set<Digest> proven;
  std::size_t size = 0;
  for (const Evidence& known : evidence) {
    const Removal proves{known.offender, known.fault, known.name};
    const bool of_this = std::ranges::find(outcome.removed, proves) != outcome.removed.end();
    if (!of_this || proven.contains(known.name)) continue;
    const std::string key = evidence_key(chain_.height(), known.name);
    Bytes value = seal(key, known.encode());
    if (evidence_bytes_ + size + value.size() > evidence_total_bytes) continue;
    size += value.size();
    proven.insert(known.name);
    more.push_back({key, std::move(value)});
  }
  more.push_back({ledger_key(chain_.height()), certificate.encode()});
  TRY_VOID(storage_.write(std::move(more)));
  if (!outcome.removed.empty()) note_unproven(chain_.context_of(outcome), proven);
  evidence_bytes_ += size;
  chain_ = std::move(next);
  return {};
}

void Ledger::note_unproven(const EvidenceContext& context, const std::set<Digest>& proven) {
  std::shared_ptr<const EvidenceContext> shared;
  for (const Removal& removal : context.outcome.removed) {
    if (!is_ban(removal.fault) || proven.contains(removal.evidence)) continue;
    if (!shared) shared = std::make_shared<const EvidenceContext>(context);
    unproven_.push_back({shared, removal});
    if (unproven_.size() > unproven_limit) unproven_.pop_front();
  }
}

Result<void> Ledger::keep_evidence(const Unproven& ban, const Evidence& evidence) {
  const std::string key = evidence_key(ban.context->height, ban.removal.evidence);
  Bytes value = seal(key, evidence.encode());
  const std::size_t size = value.size();
  if (evidence_bytes_ + size <= evidence_total_bytes) {
    TRY_VOID(storage_.put(key, std::move(value)));
    evidence_bytes_ += size;
  }
  give_up(ban);
  return {};
}

void Ledger::give_up(const Unproven& ban) {
  const std::uint64_t height = ban.context->height;
  const Digest name = ban.removal.evidence;
  std::erase_if(unproven_, [&](const Unproven& entry) {
    return entry.context->height == height && entry.removal.evidence == name;
  });
}

Result<std::optional<Bytes>> Ledger::read_evidence(std::uint64_t height, const Digest& name) const {
  return get_sealed(storage_, evidence_key(height, name));
}

Result<std::vector<Bytes>> Ledger::read(std::uint64_t from, std::size_t count) const {
  std::vector<Bytes> certificates;
  for (std::uint64_t height = from; height < chain_.height() && certificates.size() < count; ++height) {
    TRY(auto encoded, storage_.get(ledger_key(height)));
    if (!encoded) {
      return fail(ErrorCode::corrupt,
                  "ledger: the certificate at height " + std::to_string(height) + " is missing");
    }
    certificates.push_back(*std::move(encoded));
  }
  return certificates;
}

Result<void> Ledger::remember_entered(Position position) {
  if (entered_ == position) return {};
  if (entered_ && position < *entered_) {
    return fail(ErrorCode::refused, "cannot enter " + text(position.round, position.attempt) + " after " +
                                        text(entered_->round, entered_->attempt));
  }
  Bytes value;
  append_be(value, position.round.value(), 8);
  append_be(value, position.attempt.value(), 4);
  TRY_VOID(storage_.put(std::string(entered_key), seal(entered_key, std::move(value))));
  entered_ = position;
  return {};
}

Result<void> Ledger::remember_vote(const Outcome& outcome, std::vector<net::Storage::Entry> more) {
  // What could not be read back would make the whole ledger unreadable after a restart.
  TRY_VOID(outcome.check());
  if (voted_) {
    const Position before{voted_->round, voted_->attempt};
    const Position now{outcome.round, outcome.attempt};
    if (now == before && voted_->digest() == outcome.digest()) return {};
    if (now <= before) {
      return fail(ErrorCode::refused, "already signed an outcome of " + text(before.round, before.attempt) +
                                          "; another of " + text(now.round, now.attempt) +
                                          " would be a second one");
    }
  }
  more.push_back({std::string(vote_key), seal(vote_key, outcome.encode())});
  TRY_VOID(storage_.write(std::move(more)));
  voted_ = outcome;
  return {};
}

}  // namespace testudo::swarm
