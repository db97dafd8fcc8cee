// The offline look at a member's ledger: every certificate verified from the founders on, every ban judged
// once more on the evidence that is kept for it, and the state on disk against what is certified. Needs
// nobody's word and no network. One thread; reads the storage only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "net/storage/storage.h"
#include "swarm/ledger.h"
#include "training/round/rules.h"

namespace testudo::training {

enum class Proof {
  proven,    // by the evidence alone
  attested,  // the evidence holds as far as it goes; what decides beyond it is what the quorum signed
  none,      // no evidence is kept here: the quorum's signatures are all there is
};
const char* name(Proof proof);

struct BanAudit {
  swarm::Removal removal;
  Proof proof = Proof::none;
  std::string text;
};

struct CertificateAudit {
  std::uint64_t height = 0;
  swarm::Outcome outcome;
  std::size_t members = 0;  // of the roster that it makes
  std::uint64_t votes = 0;  // of those
  std::size_t signers = 0;
  std::vector<BanAudit> bans;
  std::vector<swarm::PeerId> rested;   // who reduced nothing in it because of strikes, ascending
  std::vector<swarm::PeerId> resting;  // who does from here on
};

struct AuditOptions {
  bool state = true;  // also the state on disk: reads all of it
};

// A member's vote after the last certificate, and what it did for it (swarm/standing.h).
struct VoteAudit {
  swarm::PeerId peer;
  std::uint32_t weight = 0;
  swarm::Standing standing;
};

// The first thing that does not hold.
struct LedgerBreak {
  std::uint64_t height = 0;  // of the certificate, or where it should be
  swarm::RoundNumber round;
  swarm::Attempt attempt;
  std::string cause;
};

struct LedgerAudit {
  std::optional<LedgerBreak> broken;  // all that is counted below was verified before it
  std::uint64_t height = 0;
  swarm::RoundNumber rounds;      // applied
  std::size_t members = 0;        // of the last roster
  std::uint64_t votes = 0;        // of these
  std::vector<VoteAudit> earned;  // of each of them, ascending, where votes are earned
  std::size_t voids = 0;
  std::size_t eliminations = 0;
  std::size_t strikes = 0;
  std::size_t proven = 0;  // bans, by their Proof
  std::size_t attested = 0;
  std::size_t without_evidence = 0;
  bool state_on_disk = false;  // the certified state, whole
};

// Each certificate is reported in order, once it and its bans are verified. `rules`: of the run's manifest.
LedgerAudit audit_ledger(net::Storage& storage, const std::shared_ptr<const RoundRules>& rules,
                         const std::function<void(const CertificateAudit&)>& report,
                         const AuditOptions& options = {});

}  // namespace testudo::training
