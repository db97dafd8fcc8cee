// SwarmChecker: what must hold in every simulated run, whatever is done to it. It is told what happens,
// believes no member, and keeps what it finds broken. The properties, by name:
//
//   same_parameters  after a round all honest members hold the same bytes, those that the certificate names
//   one_outcome      an attempt of a round has one outcome, whoever reports it
//   one_signature    no honest member signs two different things in one place, in all its lives, or sends
//                    garbage
//   no_honest_ban    no honest member is banned
//   kept_seat        in a network that breaks nothing no honest member loses its seat either, whatever those
//                    do that the run survives
//   fair_strikes     there, too: every strike is of a hostile member, or between one and another, and not
//   more
//                    honest members than hostile ones rest because of theirs
//   nothing_lost     what a member reported as certified is in its ledger after kill -9, and never reported
//                    again
//   worst_time       an attempt that nobody disturbs from outside ends within its worst time
//   progress         while enough members are there, the next certificate comes within the worst time
//   bounded          queues, streams and storage stay below bounds that do not grow with time
//   no_early_end     no honest member ends with an error
//   last_round       in the end every honest member is up and holds the last round's parameters
//
// Loop thread only. Owned by SimSwarm; useful without it, so that tests can lie to it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "net/async/scheduler.h"
#include "swarm/manifest.h"
#include "training/round/participant.h"

namespace testudo::training {

struct Violation {
  std::string property;
  std::uint64_t round = 0;            // 0: of no particular round
  std::optional<std::size_t> member;  // nothing: of no particular member
  std::string what;

  // Of what honest members hold.
  bool is_divergence() const { return property == "one_outcome" || property == "same_parameters"; }
};
// "round 3, member 2: same_parameters: it holds …".
std::string to_text(const Violation& violation);

// The worst time of an attempt with so many members (docs/protocol.md, "What a death costs").
net::Duration worst_attempt(const swarm::Manifest& manifest, std::size_t members);

class SwarmChecker {
 public:
  // After a disturbance connections come back (directory back-off 10 s, a dial that nobody answers 5 s) and
  // founders wait for one another (15 s), before the attempt whose time counts.
  static constexpr net::Duration recovery = std::chrono::seconds(60);

  // `calm`: the network delivers within Δ, nobody is killed, and no more are hostile than the run survives.
  SwarmChecker(swarm::Manifest manifest, std::vector<swarm::PeerId> members, bool calm);

  void set_hostile(std::size_t member) {
    members_[member].hostile = true;
    attacked_ = true;
  }
  // Nobody is asked to hold to what nobody promised: from now on it was not calm.
  void not_calm() { calm_ = false; }

  void started(std::size_t member, net::TimePoint now);
  void killed(std::size_t member, net::TimePoint now);
  // Something else was done to everybody: a partition, its end.
  void disturbed(net::TimePoint now) { undisturbed_since_ = now; }

  // `held`: digest of the parameters that the member really holds after this round, if it says it does.
  void reported(std::size_t member, const RoundReport& report, const std::optional<Digest>& held,
                net::TimePoint now);
  // What `signer` signed in this place of the protocol, as it went out to others.
  void signed_by(const swarm::PeerId& signer, swarm::RoundNumber round, swarm::Attempt attempt,
                 std::string_view place, const Digest& content);
  void garbled(std::size_t member, const Error& why);
  void removed(std::size_t member, const swarm::Removal& removal, swarm::RoundNumber round);
  void struck(std::size_t member, const swarm::Strike& strike, swarm::RoundNumber round);
  void rests(std::size_t member, const std::vector<swarm::PeerId>& resting, swarm::RoundNumber from);
  // What the ledger on the member's disk continues with, read while it is down.
  void recovered(std::size_t member, swarm::RoundNumber next_round, swarm::Attempt next_attempt);
  void ended(std::size_t member, const Result<void>& result);

  struct Load {  // of one member, or of the network
    std::string what;
    std::size_t size = 0;
    std::size_t bound = 0;
  };
  void measured(std::optional<std::size_t> member, const Load& load);
  // Once in a while: has everybody got on?
  void tick(net::TimePoint now);
  // `holds`: the round whose parameters each member holds, 0 if none.
  void finished(const std::vector<std::uint64_t>& holds, net::TimePoint now);

  const std::vector<Violation>& violations() const { return violations_; }
  // Attempts with a certificate so far.
  std::size_t attempts() const { return outcomes_.size(); }

 private:
  using Position = std::pair<std::uint64_t, std::uint32_t>;  // round, attempt
  struct MemberState {
    swarm::PeerId id;
    bool founder = false;
    bool hostile = false;
    bool up = false;
    bool known = false;  // was ever started
    bool reached_end = false;
    Position reported{};  // the last
  };
  using Signature = std::tuple<Position, std::size_t, std::string>;  // of a member, in a place
  struct Ending {
    swarm::OutcomeKind kind;
    Digest parameters;
  };
  void broken(std::string property, std::uint64_t round, std::optional<std::size_t> member, std::string what);
  std::optional<std::size_t> index_of(const swarm::PeerId& peer) const;
  bool is_hostile(const swarm::PeerId& peer) const;
  bool enough_are_there() const;
  net::Duration worst() const;

  swarm::Manifest manifest_;
  std::vector<MemberState> members_;
  bool founding_;
  bool calm_;
  bool attacked_ = false;
  std::map<Position, Ending> outcomes_;
  std::map<Signature, Digest> signed_;
  net::TimePoint last_certificate_{};
  net::TimePoint undisturbed_since_{};
  std::vector<Violation> violations_;
};

}  // namespace testudo::training
