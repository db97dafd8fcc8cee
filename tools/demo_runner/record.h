// RunRecord: what one run of a swarm left behind, put together from the JSON lines of its members. Pure: no
// process, no clock, no file. One owner.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/base/result.h"

namespace testudo::tools {

struct MemberRecord {
  std::string name;  // "founder 1"
  std::string peer;  // its id, as text
  bool founder = false;
  bool hostile = false;

  std::uint64_t last_round = 0;  // that it reported
  std::uint64_t bytes_sent = 0;  // over all rounds that it reported
  std::uint64_t bytes_received = 0;
  std::optional<double> accuracy;  // its last evaluation
  std::string removed;             // "eliminated in round 12: silent"; empty while it holds its seat
  std::uint64_t strikes = 0;       // of its own and between it and others, as the first member saw them
  bool done = false;               // it said so itself
};

struct RoundRecord {
  std::uint64_t round = 0;
  std::optional<double> loss;      // nothing when it was not a finite number
  std::optional<double> accuracy;  // on held-out data, where somebody evaluated this round
  std::size_t members = 0;
  double seconds = 0;
  std::vector<std::pair<std::string, double>> phases;  // of one honest member, in order
};

// A ban as members reported it, and what a founder's ledger shows for it once the run is over.
struct BanRecord {
  std::uint64_t round = 0;
  std::string peer;
  std::string member;  // its name
  std::string reason;
  std::string proof;     // "proven", "attested", "none"; empty until the ledger was verified
  std::string evidence;  // what that rests on
};

// Whether the honest members held the same parameters after every round.
struct Agreement {
  std::uint64_t rounds_compared = 0;  // rounds that at least two honest members reported
  std::vector<std::uint64_t> rounds_apart;
  bool holds() const { return rounds_compared > 0 && rounds_apart.empty(); }
};

class RunRecord {
 public:
  RunRecord(std::string rule, std::uint64_t rounds, std::uint64_t attack_from,
            std::vector<MemberRecord> members);

  // One line of a member's --json output, or of `testudo ledger verify` on its directory. Errors: not a JSON
  // object with an `event`; the line is then ignored.
  Result<void> add_line(std::size_t member, std::string_view line);

  const std::string& rule() const { return rule_; }
  std::uint64_t rounds() const { return rounds_; }  // planned
  std::uint64_t attack_from() const {
    return attack_from_;
  }  // the first hostile round; 0: there is no attack
  const std::vector<MemberRecord>& members() const { return members_; }
  std::size_t hostile_count() const;

  // Applied rounds in order, each as the first honest member in the list reported it.
  std::vector<RoundRecord> curve() const;
  std::vector<std::pair<std::uint64_t, double>> accuracy_by_round() const;
  std::optional<double> test_accuracy() const;  // the last one
  std::uint64_t latest_round() const;           // applied, reported by an honest member
  std::uint64_t voided_rounds() const { return voided_; }
  const std::vector<BanRecord>& bans() const { return bans_; }  // in the order in which they were reported
  // What `testudo ledger verify` says: "verified", "broken: …"; empty when it did not run.
  const std::string& ledger() const { return ledger_; }
  std::uint64_t total_bytes_sent() const;
  Agreement agreement() const;
  // Why a member waits, the last thing said; empty once rounds go on.
  const std::string& waiting() const { return waiting_; }

  double wall_seconds = 0;  // of the whole run; set by whoever ran it

 private:
  struct Report {
    RoundRecord round;
    std::string parameters;
  };

  BanRecord& ban_of(const std::string& peer, std::uint64_t round, const std::string& reason);

  std::string rule_;
  std::uint64_t rounds_;
  std::uint64_t attack_from_;
  std::vector<MemberRecord> members_;
  std::map<std::uint64_t, std::map<std::size_t, Report>> reports_;  // by round, then by member; applied only
  std::uint64_t voided_ = 0;  // as the first member in the list saw them
  std::string waiting_;
  std::vector<BanRecord> bans_;
  std::string ledger_;
};

}  // namespace testudo::tools
