#include "swarm/types.h"

namespace testudo::swarm {

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::commit:
      return "COMMIT";
    case Phase::reduce:
      return "REDUCE";
    case Phase::serve:
      return "SERVE";
    case Phase::reduce_again:
      return "REDUCE again";
    case Phase::reveal:
      return "REVEAL";
    case Phase::reveal_answer:
      return "REVEAL answer";
    case Phase::check:
      return "CHECK";
    case Phase::evidence:
      return "EVIDENCE";
    case Phase::evidence_again:
      return "EVIDENCE again";
    case Phase::measure:
      return "MEASURE";
    case Phase::certify:
      return "CERTIFY";
  }
  return "unknown phase";
}

}  // namespace testudo::swarm
