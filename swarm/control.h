// The frames of `round_protocol` besides the agreed broadcast: votes, certificates, applications, and
// where a member stands. Values; any thread.
#pragma once

#include <optional>
#include <variant>

#include "swarm/ledger.h"
#include "swarm/outcome.h"
#include "swarm/phase_message.h"

namespace testudo::swarm {

// With what it carries, payloads and outcomes included, its version changes: members that read a message
// differently would ban one another for it, and so they do not hear one another.
inline constexpr const char* round_protocol = "/testudo/round/2.0.0";

// "I sign this outcome": the outcome comes along, so that whoever lost its own work can follow.
struct VoteFrame {
  Outcome outcome;
  Vote vote;
};

// "This is where my ledger ends": whoever is behind catches up from the sender.
struct HelloFrame {
  std::uint64_t height = 0;
  bool application = false;  // the sender has no seat and asks for one
  bool client_mode = false;
  // The sender takes no part in the attempt at this height: it was restarted in it, or lost touch. After the
  // last round: it does not have the final state on disk yet.
  bool looking_on = false;
  // How many milliseconds ago the sender entered the attempt at this height; nothing when it asks the others
  // that, because it waits for them before its first one, or may have come after them.
  std::optional<std::uint32_t> begun_ms;
};

using ControlFrame = std::variant<BroadcastFrame, VoteFrame, Certificate, HelloFrame>;

Bytes encode_control(const ControlFrame& frame);
// A broadcast frame that is encoded already.
Bytes encode_control_broadcast(ByteView broadcast);
Result<ControlFrame> decode_control(ByteView bytes);

}  // namespace testudo::swarm
