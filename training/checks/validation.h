// Validation: a member drawn by the beacon recomputes what another should have contributed. Pure functions on
// agreed values, the same on every honest member; any thread.
//
// The course, for a contribution of round t (docs/protocol.md, "A wrong contribution"): round t + 1's beacon
// draws a validator for it, which recomputes it instead of contributing itself, and says in CHECK whether its
// encoding has the committed hashes, with a sketch of every part under the coins of that round. In COMMIT of
// round t + 2, which comes later, the reducers of round t say the sketches of the committed parts that they
// hold. Now everybody can compare; what does not fit is disputed in round t + 2.
//
// Audit: the same validator reduces one part of round t again, from the committed contributions, and says in
// CHECK of round t + 1 when that gives another result (docs/protocol.md, "A wrong aggregate of any rule").
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "swarm/roster.h"
#include "training/checks/sketch.h"
#include "training/partition.h"

namespace testudo::training {

struct Validation {
  swarm::PeerId validator;
  swarm::PeerId target;
  auto operator<=>(const Validation&) const = default;
};

// How many validators a round has: those that are wanted, but at most a quarter of the members, because they
// contribute nothing themselves, and so few that the hostile stay a minority of the contributors
// (2F + m < members); one less for each attempt of the round before that was VOID for nothing, without
// anybody losing a seat, so that a round is not voided for good. (Attack: to void attempts by one seat each
// until nobody validates; but those make the roster smaller, and so they end.)
std::size_t validator_count(std::size_t members, std::size_t hostile_count, std::uint32_t wanted,
                            std::uint32_t fruitless_voids);

// `count` of `members` validate, each one of `candidates` that is no validator and nobody else's target;
// fewer where there are fewer. Both are distinct peers in any order. Who validates whom follows from ids and
// `lot` alone, not from places in a list: `count` members are drawn by the order of a hash of each; every
// candidate, and every validator once more, has a place on a circle by another hash, and a validator's target
// is the next candidate there that is free. So whoever comes or goes changes the draws that it has a part in,
// and others only where targets are next to one another on the circle. (Attack: to give up a seat between
// the coins and the next round, so that somebody else is drawn.)
std::vector<Validation> draw_validations(std::span<const swarm::PeerId> members,
                                         std::span<const swarm::PeerId> candidates, std::size_t count,
                                         const Digest& lot);

// A reducer's result that a validator also reduces again: `part` is one of the round before.
struct Audit {
  swarm::PeerId auditor;
  PartIndex part;
  auto operator<=>(const Audit&) const = default;
};

// The parts that validators audit, one each, of so many; no two the same one while there are as many parts.
// `lot`: another one than the validators were drawn by, so that who is drawn says nothing about the part.
std::vector<Audit> draw_audits(std::span<const Validation> validators, std::size_t parts, const Digest& lot);

// What an auditor says of its part; nothing where the result is right, or where it could not tell in time.
struct AuditStatement {
  // Whoever kept from it what it was to get, ascending. Nobody: it has all contributions, and they give
  // another result.
  std::vector<swarm::PeerId> unserved_by;

  bool is_wrong() const { return unserved_by.empty(); }
  bool operator==(const AuditStatement&) const = default;
};

// What a validator said about a contribution.
struct Statement {
  bool same = false;             // its own encoding has all the committed hashes, and the sample count
  std::vector<Sketch> sketches;  // of its own encoding, by part
  bool operator==(const Statement&) const = default;
};

// Whether a statement has to be disputed, given the sketches of the committed parts that reducers showed
// (nothing: nobody did). "The same" must have the same sketches, to the bit. Something else is a dispute
// where honest computers compute the same bits (tolerance 0), and beyond 3 tolerances elsewhere.
bool is_disputed(const Statement& statement, std::span<const std::optional<Sketch>> shown, double tolerance);
// Whether it says, and may be believed, that the contribution is right: not disputed, and compared with more
// than half of the parts. A hostile minority of reducers can neither keep that from anybody by silence, nor
// vouch for what all others have not got.
bool is_right(const Statement& statement, std::span<const std::optional<Sketch>> shown, double tolerance);

// ‖a − b‖ / ‖a‖ from the squares of both, part by part; the greatest double for something against nothing.
class RelativeDistance {
 public:
  void add(double difference_square, double length_square);
  double value() const;

 private:
  double difference_ = 0;
  double length_ = 0;
};

enum class Verdict {
  wrong_contribution,  // a quorum measures more than 2 tolerances
  false_accusation,    // a quorum measures at most one, of the whole contribution
  undecided,           // in between, too few could measure, or not all was shown: nobody is guilty
};
// `whole`: all of the contribution could be measured. What a target withheld may be what its validator was
// right about. `is_quorum`: whether these members can decide for all.
Verdict judge_measures(const std::vector<std::pair<swarm::PeerId, double>>& measures, double tolerance,
                       bool whole, const std::function<bool(const std::vector<swarm::PeerId>&)>& is_quorum);

}  // namespace testudo::training
