// Behaviour: what a simulated member does that the protocol does not ask for. Everything else of it stays
// production code: a behaviour breaks the rules at the places of Misconduct, or changes frames and answers on
// their way out (false_statements.h, gradient_attack.h; wire_attacks.h, sync_attacks.h). Values; loop thread
// only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.h"
#include "crypto/peer_id.h"
#include "swarm/manifest.h"
#include "training/round/misconduct.h"
#include "training/simulation/gradient_attack.h"
#include "training/simulation/tampering_host.h"

namespace testudo::training {

struct Behaviour {
  std::string name;                        // empty: honest
  Tamper tamper;                           // may be empty
  Hear hear;                               // may be empty
  TamperAnswer answer;                     // may be empty
  std::shared_ptr<Misconduct> misconduct;  // may be null

  bool is_honest() const { return name.empty(); }
};

// What an attack needs to know of the member that it is given to.
struct AttackSetup {
  const swarm::Manifest& manifest;
  const crypto::KeyPair& identity;
  std::uint64_t seed = 1;
  std::uint64_t from_round = 1;          // honest before; but for attacks on single frames
  std::uint64_t every = 1;               // of gradient attacks: in every so many-th round only
  std::shared_ptr<Collusion> collusion;  // as in GradientAttack
  std::shared_ptr<Model> flipped;        // as in GradientAttack
};

struct AttackName {
  std::string_view name;
  std::string_view what;
};
const std::vector<AttackName>& attack_names();
// invalid_argument: no attack of that name.
Result<Behaviour> make_attack(std::string_view name, const AttackSetup& setup);

// Another contribution than the gradient of its batch. invalid_argument: no attack of that kind.
Result<Behaviour> poisoned(const GradientAttack& attack);

}  // namespace testudo::training
