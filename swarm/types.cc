#include "swarm/types.h"

namespace testudo::swarm {

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::commit:
      return "COMMIT";
    case Phase::serve:
      return "SERVE";
    case Phase::serve_answer:
      return "SERVE answer";
    case Phase::reduce:
      return "REDUCE";
    case Phase::reduce_again:
      return "REDUCE again";
    case Phase::gather:
      return "GATHER";
    case Phase::gather_answer:
      return "GATHER answer";
    case Phase::reveal:
      return "REVEAL";
    case Phase::check:
      return "CHECK";
    case Phase::evidence:
      return "EVIDENCE";
    case Phase::evidence_again:
      return "EVIDENCE again";
    case Phase::measure:
      return "MEASURE";
  }
  return "unknown phase";
}

}  // namespace testudo::swarm
